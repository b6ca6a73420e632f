//! Makes one object on a member what it should be, and takes one away, without ever touching what is not ours.

use std::fmt::Debug;

use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::covers::covers;
use crate::api::v1alpha1::names;
use crate::kube_ext::client::{CallError, call};
use crate::provider::{ErrorClass, ProviderError};

/// A kind that the driver makes.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> Object for K {}

/// Reads the object that is wanted, as it is now.
///
/// # Errors
/// Any [`ProviderError`] but `NotFound`.
pub async fn read<K: Object>(api: &Api<K>, name: &str) -> Result<Option<K>, ProviderError> {
    match call("get", api.get(name)).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if is_gone::<K>(&error, name) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the member says that this very object is not there. Any other 404 (of a proxy in between, or of a server
/// that does not know the kind now) says nothing of it: taken for an answer, it would leave something running.
fn is_gone<K: Object>(error: &CallError, name: &str) -> bool {
    let status = error.status().filter(|status| status.code == 404);
    let details = status.and_then(|status| status.details.as_ref());
    details.is_some_and(|details| details.name == name && details.kind == K::plural(&()))
}

/// The labels that mark an object as an endpoint's own.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The installation's id.
    pub install_id: &'a str,
    /// The endpoint's name.
    pub endpoint: &'a str,
}

impl Mark<'_> {
    /// Whether `live` carries the mark.
    pub fn is_on<K: Object>(&self, live: &K) -> bool {
        label(live, names::LABEL_INSTALL_ID) == Some(self.install_id)
            && label(live, names::LABEL_ENDPOINT) == Some(self.endpoint)
    }

    /// The error for an object that has the endpoint's name and does not carry the mark.
    pub fn missing_on<K: Object>(&self, live: &K) -> ProviderError {
        let Self { install_id, endpoint } = *self;
        let (installation, name) = (names::LABEL_INSTALL_ID, names::LABEL_ENDPOINT);
        let whose = match (label(live, installation), label(live, name)) {
            (Some(other), _) if other != install_id => format!("belongs to installation {other:?}"),
            (None, _) => format!("has no label {installation}"),
            (_, Some(other)) => format!("has the label {name}={other}"),
            (_, None) => format!("has no label {name}"),
        };
        let message = format!(
            "{} {}/{} on the member {whose}; this operator is {install_id:?}. It is not touched: rename or delete it, \
             or, if it is this endpoint's, label it {installation}={install_id} and {name}={endpoint}",
            K::kind(&()),
            live.namespace().unwrap_or_default(),
            live.name_any()
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }
}

fn label<'a>(live: &'a impl ResourceExt, name: &str) -> Option<&'a str> {
    live.labels().get(name).map(String::as_str)
}

/// Whether `live` says all that `wanted` says.
///
/// # Errors
/// `Bug` if one of them cannot be written as JSON.
pub fn in_sync<K: Object>(live: &K, wanted: &K) -> Result<bool, ProviderError> {
    Ok(covers(&to_value(live)?, &to_value(wanted)?))
}

fn to_value<K: Object>(object: &K) -> Result<Value, ProviderError> {
    serde_json::to_value(object).map_err(|error| ProviderError::new(ErrorClass::Bug, error))
}

/// Creates `wanted`, or puts right what differs in `live`; nothing is sent if nothing differs.
///
/// Creation is a POST, so that a late one cannot overwrite; a change is a server-side apply that names the version and
/// the UID which it was computed from, so that a late one changes nothing newer.
///
/// # Errors
/// `Conflict` if `live` does not carry `mark`, `Transient` if it changed meanwhile, else any [`ProviderError`].
pub async fn put_right<K: Object>(
    api: &Api<K>,
    live: Option<K>,
    wanted: &K,
    mark: Mark<'_>,
) -> Result<K, ProviderError> {
    let Some(live) = live else {
        let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
        return Ok(call("create", api.create(&params, wanted)).await?);
    };
    if !mark.is_on(&live) {
        return Err(mark.missing_on(&live));
    }
    if in_sync(&live, wanted)? {
        return Ok(live);
    }
    let live = own_by_apply(api, live).await?;
    let mut body = to_value(wanted)?;
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), json!(live.resource_version()));
        metadata.insert("uid".to_owned(), json!(live.uid()));
    }
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    Ok(call("apply", api.patch(&wanted.name_any(), &params, &Patch::Apply(body))).await?)
}

/// Turns what the creating POST owns into what apply owns.
///
/// Otherwise a field that a later apply leaves out would stay, owned for ever by the creation.
async fn own_by_apply<K: Object>(api: &Api<K>, live: K) -> Result<K, ProviderError> {
    let ours = |operation: &str, manager: Option<&str>, subresource: Option<&str>| {
        operation == "Update" && manager == Some(names::FIELD_MANAGER) && subresource.is_none_or(str::is_empty)
    };
    let mut fields = live.managed_fields().to_vec();
    let mut changed = false;
    for entry in &mut fields {
        let operation = entry.operation.as_deref().unwrap_or_default();
        if ours(operation, entry.manager.as_deref(), entry.subresource.as_deref()) {
            entry.operation = Some("Apply".to_owned());
            changed = true;
        }
    }
    if !changed {
        return Ok(live);
    }
    let patch = json!({"metadata": {"resourceVersion": live.resource_version(), "managedFields": fields}});
    let params = PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    Ok(call("take over fields", api.patch(&live.name_any(), &params, &Patch::Merge(patch))).await?)
}

/// Deletes exactly `live`; gone already is fine.
///
/// # Errors
/// `Transient` if it changed meanwhile, else any [`ProviderError`].
pub async fn delete<K: Object>(api: &Api<K>, live: &K, propagation: PropagationPolicy) -> Result<(), ProviderError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: live.uid(), resource_version: live.resource_version() }),
        propagation_policy: Some(propagation),
        ..DeleteParams::default()
    };
    let name = live.name_any();
    match call("delete", api.delete(&name, &params)).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone::<K>(&error, &name) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use kube::core::Status;

    use super::*;

    fn not_found(body: Value) -> CallError {
        let status: Status = serde_json::from_value(body).unwrap();
        CallError::Kube { call: "get", source: Box::new(kube::Error::Api(Box::new(status))) }
    }

    #[test]
    fn a_conflict_names_both_installations_and_the_cure() {
        let mark = Mark { install_id: "prod", endpoint: "llama-a" };
        let live = |labels: Value| -> Deployment {
            serde_json::from_value(json!({"metadata": {"name": "llama-a", "namespace": "roadstead", "labels": labels}}))
                .unwrap()
        };
        let (installation, endpoint) = (names::LABEL_INSTALL_ID, names::LABEL_ENDPOINT);
        assert!(mark.is_on(&live(json!({installation: "prod", endpoint: "llama-a"}))));
        for (labels, whose) in [
            (json!({installation: "staging", endpoint: "llama-a"}), "belongs to installation \"staging\""),
            (json!({endpoint: "llama-a"}), "has no label roadstead.dev/install-id"),
            (json!({}), "has no label roadstead.dev/install-id"),
            (json!({installation: "prod", endpoint: "other"}), "has the label roadstead.dev/endpoint=other"),
            (json!({installation: "prod"}), "has no label roadstead.dev/endpoint"),
        ] {
            let live = live(labels);
            assert!(!mark.is_on(&live));
            let ProviderError { class, message } = mark.missing_on(&live);
            assert_eq!(class, ErrorClass::Conflict);
            assert_eq!(
                message,
                format!(
                    "Deployment roadstead/llama-a on the member {whose}; this operator is \"prod\". It is not touched: \
                     rename or delete it, or, if it is this endpoint's, label it roadstead.dev/install-id=prod and \
                     roadstead.dev/endpoint=llama-a"
                )
            );
        }
    }

    #[test]
    fn only_a_404_that_names_the_object_says_that_it_is_gone() {
        let gone = |body| is_gone::<Deployment>(&not_found(body), "llama");
        let named = |kind: &str, name: &str| {
            json!({"status": "Failure", "code": 404, "reason": "NotFound", "message": "not found",
                   "details": {"kind": kind, "name": name}})
        };
        assert!(gone(named("deployments", "llama")));
        assert!(!gone(named("deployments", "other")));
        assert!(!gone(named("namespaces", "llama")));
        // What an API server answers about a kind that it does not serve, and what becomes of a proxy's page.
        assert!(!gone(json!({"status": "Failure", "code": 404, "reason": "NotFound", "details": {}})));
        assert!(!gone(json!({"status": "Failure", "code": 404, "message": "<html>no such host</html>"})));
        let mut conflict = named("deployments", "llama");
        conflict["code"] = json!(409);
        assert!(!gone(conflict));
    }
}
