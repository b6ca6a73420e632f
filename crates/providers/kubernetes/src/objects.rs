//! Applies one object on a member, and deletes one, without ever changing a foreign object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use serde_json::{Value, json};

use super::admission::{ANNOTATION_APPLIED, Admissions, record};
use super::differences::{Difference, differences};
use super::mark::{Mark, MemberObject, to_value};
use crate::refusal::provider_error;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{ProviderError, Redacted};
use roadstead_runtime::client::{CallError, call};

/// Reads the object that is wanted, as it is now.
///
/// # Errors
/// Any [`ProviderError`] but `NotFound`.
pub async fn read<K: MemberObject>(api: &Api<K>, name: &str) -> Result<Option<K>, ProviderError> {
    match call("get", api.get(name)).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if is_gone::<K>(&error, name) => Ok(None),
        Err(error) => Err(provider_error(error)),
    }
}

/// True if the member says that this very object is not there. Any other 404 (of a proxy in between, or of a server
/// that does not know the kind now) says nothing of it: taken for an answer, it would leave something running.
fn is_gone<K: MemberObject>(error: &CallError, name: &str) -> bool {
    let status = error.status().filter(|status| status.code == 404);
    let details = status.and_then(|status| status.details.as_ref());
    details.is_some_and(|details| details.name == name && details.kind == K::plural(&()))
}

/// Common parts of all writes of an endpoint's objects.
pub struct Writer<'a> {
    /// Changes by admission to former writes.
    pub admissions: &'a Admissions,
    /// The endpoint's API key.
    pub key: &'a Redacted,
    /// Mark of the endpoint's objects.
    pub mark: Mark<'a>,
}

impl Writer<'_> {
    /// Creates `wanted`, or puts right what differs in `live`; nothing is sent if nothing differs but what admission
    /// makes of it.
    ///
    /// Creation is a POST, so that a late one cannot overwrite; a change is a server-side apply that names the version
    /// and the UID which it was computed from, so that a late one changes nothing newer.
    ///
    /// # Errors
    /// `Conflict` if `live` does not carry the mark, `Transient` if it changed meanwhile, else any [`ProviderError`].
    pub async fn put_right<K: MemberObject>(
        &self,
        api: &Api<K>,
        live: Option<K>,
        wanted: &K,
    ) -> Result<K, ProviderError> {
        let Some(live) = live else {
            let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
            let made = call("create", api.create(&params, &self.recorded(wanted)?)).await.map_err(provider_error)?;
            return self.learn(made, wanted);
        };
        if !self.mark.is_on(&live) {
            return Err(self.mark.missing_on(&live));
        }
        let judged = self.admissions.judge(&live, wanted, self.key)?;
        if judged.due.is_empty() {
            self.admissions.learn(&live, judged.admitted);
            return Ok(live);
        }
        let kept = self.admissions.kept(&live, &judged);
        let live = if judged.only_values { live } else { own_by_apply(api, live).await? };
        let mut body = to_value(&self.recorded(wanted)?)?;
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), json!(live.resource_version()));
            metadata.insert("uid".to_owned(), json!(live.uid()));
        }
        if !kept.is_empty() && !keeps_by_itself(api, &body, &wanted.name_any(), &kept).await {
            for difference in kept {
                difference.path.set(&mut body, difference.live.unwrap_or_default());
            }
        }
        let params = PatchParams::apply(names::FIELD_MANAGER).force();
        let made =
            call("apply", api.patch(&wanted.name_any(), &params, &Patch::Apply(body))).await.map_err(provider_error)?;
        self.learn(made, wanted)
    }

    /// The object `wanted`, with its record.
    fn recorded<K: MemberObject>(&self, wanted: &K) -> Result<K, ProviderError> {
        let record = record(&to_value(wanted)?, self.key).to_string();
        let mut wanted = wanted.clone();
        wanted.annotations_mut().insert(ANNOTATION_APPLIED.to_owned(), record);
        Ok(wanted)
    }

    /// Remembers a difference right after our own write: admission caused it.
    fn learn<K: MemberObject>(&self, made: K, wanted: &K) -> Result<K, ProviderError> {
        self.admissions.learn(&made, differences(&to_value(&made)?, &to_value(wanted)?));
        Ok(made)
    }
}

/// True if admission makes the same of `body` as it made before: then ours is sent, for what a policy does to its own
/// result is not known. Asked without a change being made; a server that cannot be asked so says no.
async fn keeps_by_itself<K: MemberObject>(api: &Api<K>, body: &Value, name: &str, kept: &[Difference]) -> bool {
    let params = PatchParams::apply(names::FIELD_MANAGER).force().dry_run();
    let Ok(made) = call("try apply", api.patch(name, &params, &Patch::Apply(body))).await else { return false };
    to_value(&made).is_ok_and(|made| kept.iter().all(|kept| kept.path.get(&made) == kept.live.as_ref()))
}

/// Turns what the creating POST owns into what apply owns.
///
/// Otherwise a field that a later apply leaves out would stay, owned for ever by the creation.
async fn own_by_apply<K: MemberObject>(api: &Api<K>, live: K) -> Result<K, ProviderError> {
    let Some(fields) = owned_by_apply(live.managed_fields()) else { return Ok(live) };
    let patch = json!({"metadata": {"resourceVersion": live.resource_version(), "managedFields": fields}});
    let params = PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    call("take over fields", api.patch(&live.name_any(), &params, &Patch::Merge(patch))).await.map_err(provider_error)
}

/// The managers of an object's fields, with all that is ours owned by apply; `None` if it is already.
fn owned_by_apply(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let ours = |entry: &ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(names::FIELD_MANAGER) && entry.subresource.as_deref().is_none_or(str::is_empty)
    };
    let (ours, others): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(ours);
    if ours.iter().all(|entry| entry.operation.as_deref() == Some("Apply")) {
        return None;
    }
    // An entry of its own for each would be one too many: the server keeps one of a manager.
    let all = ours.into_iter().reduce(|mut all, entry| {
        match (&mut all.fields_v1, entry.fields_v1) {
            (Some(fields), Some(more)) => unite(&mut fields.0, more.0),
            (fields, more) => *fields = fields.take().or(more),
        }
        all
    });
    let apply = all.map(|entry| ManagedFieldsEntry { operation: Some("Apply".to_owned()), ..entry });
    Some(apply.into_iter().chain(others).collect())
}

/// Adds the fields of `more` to `fields`.
fn unite(fields: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (fields, more) {
        for (name, below) in more {
            unite(fields.entry(name).or_insert_with(|| json!({})), below);
        }
    }
}

/// Deletes exactly `live`; returns true while the server still has it. Gone already is fine.
///
/// # Errors
/// `Transient` if it changed meanwhile, else any [`ProviderError`].
pub async fn delete<K: MemberObject>(
    api: &Api<K>,
    live: &K,
    propagation: PropagationPolicy,
) -> Result<bool, ProviderError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: live.uid(), resource_version: live.resource_version() }),
        propagation_policy: Some(propagation),
        ..DeleteParams::default()
    };
    let name = live.name_any();
    match call("delete", api.delete(&name, &params)).await {
        // A server that has removed an object answers with a status, else with what is left of it.
        Ok(answer) => Ok(answer.is_left()),
        Err(error) if is_gone::<K>(&error, &name) => Ok(false),
        Err(error) => Err(provider_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_creation_and_apply_own_is_owned_by_apply_together() {
        let entries = |entries: Value| serde_json::from_value::<Vec<ManagedFieldsEntry>>(entries).unwrap();
        let of = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let theirs = of("kubectl", "Update", json!({"f:metadata": {}}));
        let applied = of("roadstead", "Apply", json!({"f:spec": {"f:replicas": {}}}));
        let created = of("roadstead", "Update", json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
        let united = of("roadstead", "Apply", json!({"f:spec": {"f:replicas": {}, "f:paused": {}}}));
        let once = owned_by_apply(&entries(json!([theirs, created, applied]))).unwrap();
        assert_eq!(once, entries(json!([united, theirs])));
        assert_eq!(owned_by_apply(&once), None);
        let mut status = of("roadstead", "Update", json!({"f:status": {}}));
        status["subresource"] = json!("status");
        assert_eq!(owned_by_apply(&entries(json!([applied, status]))), None, "another subresource");
    }

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
