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

/// Whether `live` carries the labels that make it the endpoint's own.
pub fn is_ours<K: Object>(live: &K, wanted: &K) -> bool {
    [names::LABEL_INSTALL_ID, names::LABEL_ENDPOINT]
        .iter()
        .all(|label| live.labels().get(*label) == wanted.labels().get(*label))
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
/// `Conflict` if `live` is not ours, `Transient` if it changed meanwhile, else any [`ProviderError`].
pub async fn put_right<K: Object>(api: &Api<K>, live: Option<K>, wanted: &K) -> Result<K, ProviderError> {
    let Some(live) = live else {
        let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
        return Ok(call("create", api.create(&params, wanted)).await?);
    };
    if !is_ours(&live, wanted) {
        return Err(foreign(&live));
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

/// The error for an object that has the name but is not ours.
pub fn foreign<K: Object>(live: &K) -> ProviderError {
    ProviderError::new(
        ErrorClass::Conflict,
        format!(
            "{} {}/{} exists on the member but does not carry this endpoint's labels; it is not touched: rename or delete it",
            K::kind(&()),
            live.namespace().unwrap_or_default(),
            live.name_any()
        ),
    )
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
