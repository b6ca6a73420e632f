//! Writes to the hub: each carries the version it was decided on, and its answer goes straight into the cache.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::PAGE;
use super::error::ActError;
use crate::api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use crate::kube_ext::cache::Part;
use crate::kube_ext::client::{CallError, call};
use crate::kube_ext::patch::merge_patch;

/// A kind that can be written through `api`.
pub trait Object: Resource + Clone + Debug + Serialize + DeserializeOwned {}
impl<K: Resource + Clone + Debug + Serialize + DeserializeOwned> Object for K {}

/// The API of a namespaced kind in the namespace of `object`.
pub fn api_of<K>(client: &Client, object: &impl Resource) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

/// How every write names its author.
#[must_use]
pub fn author() -> PatchParams {
    PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Patches the status of `object` to `status`; `None` if nothing but times would change.
///
/// # Errors
/// [`ActError`]; a conflict means that the object changed since it was read.
pub async fn patch_status<K: Object, S: Serialize + PartialEq>(
    api: &Api<K>,
    object: &K,
    from: &S,
    to: &S,
) -> Result<Option<K>, ActError> {
    // Mostly nothing is new, and this is the cheapest way to see it.
    if from == to {
        return Ok(None);
    }
    let Some(change) = merge_patch(&serde_json::to_value(from)?, &serde_json::to_value(to)?) else {
        return Ok(None);
    };
    let patch = json!({"metadata": {"resourceVersion": object.resource_version()}, "status": change});
    Ok(Some(call("patch status", api.patch_status(&object.name_any(), &author(), &Patch::Merge(patch))).await?))
}

/// Patches `object` (not its status) with `change`, a merge patch.
///
/// # Errors
/// [`ActError`]; a conflict means that the object changed since it was read.
pub async fn patch<K: Object>(api: &Api<K>, object: &K, mut change: Value) -> Result<K, ActError> {
    if let Some(change) = change.as_object_mut()
        && let Some(metadata) = change.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
    {
        metadata.insert("resourceVersion".to_owned(), json!(object.resource_version()));
    }
    Ok(call("patch", api.patch(&object.name_any(), &author(), &Patch::Merge(change))).await?)
}

/// Whether `object` holds this finalizer.
pub fn has_finalizer(object: &impl ResourceExt, finalizer: &str) -> bool {
    object.finalizers().iter().any(|held| held == finalizer)
}

/// Adds or removes our finalizer; `None` if it is as wanted already, or the object is gone.
///
/// # Errors
/// [`ActError`]; a conflict means that the object changed since it was read.
pub async fn set_finalizer<K: Object>(
    api: &Api<K>,
    object: &K,
    finalizer: &str,
    wanted: bool,
) -> Result<Option<K>, ActError> {
    if has_finalizer(object, finalizer) == wanted {
        return Ok(None);
    }
    let mut finalizers: Vec<&str> =
        object.finalizers().iter().map(String::as_str).filter(|held| *held != finalizer).collect();
    if wanted {
        finalizers.push(finalizer);
    }
    match patch(api, object, json!({"metadata": {"finalizers": finalizers}})).await {
        Err(ActError::Hub(error)) if error.is_not_found() => Ok(None),
        written => written.map(Some),
    }
}

/// An endpoint that fits among those of `part` that `params` select, by the hub itself, which may know more than a cache.
///
/// No resource version is asked for, so that the answer holds everything that was written before the question; and no
/// object is too odd to be asked about.
///
/// # Errors
/// [`CallError`] of any page.
pub async fn find_endpoint(
    client: &Client,
    part: &Part,
    params: &ListParams,
    fits: impl Fn(&DynamicObject) -> bool,
) -> Result<Option<DynamicObject>, CallError> {
    let kind = ApiResource::erase::<InferenceEndpoint>(&());
    let api: Api<DynamicObject> = match part {
        Part::Namespace(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        Part::Everything | Part::Named(_) => Api::all_with(client.clone(), &kind),
    };
    let mut params = params.clone().limit(PAGE);
    loop {
        let page = call("list inferenceendpoints", api.list(&params)).await?;
        if let Some(found) = page.items.into_iter().find(&fits) {
            return Ok(Some(found));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(None),
        }
    }
}

/// Whether there is an endpoint that fits in any of `parts`; see [`find_endpoint`].
///
/// # Errors
/// [`ActError`] of any page.
pub async fn has_endpoint(
    client: &Client,
    parts: &[Part],
    params: &ListParams,
    fits: impl Fn(&DynamicObject) -> bool,
) -> Result<bool, ActError> {
    for part in parts {
        if find_endpoint(client, part, params, &fits).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same as [`has_endpoint`], among those of `deployment`, or of a former one of its name.
///
/// # Errors
/// [`ActError`] of any page.
pub async fn has_endpoint_of(
    client: &Client,
    deployment: &ModelDeployment,
    fits: impl Fn(&DynamicObject) -> bool,
) -> Result<bool, ActError> {
    let namespace = Part::Namespace(deployment.namespace().unwrap_or_default());
    let ours = ListParams::default().labels(&format!("{}={}", names::LABEL_DEPLOYMENT, deployment.name_any()));
    has_endpoint(client, &[namespace], &ours, fits).await
}

/// Asks for the deletion of exactly this `object`, in the version in which it was seen; gone already is fine.
///
/// Returns the object as it is while it is being deleted, or `None` if it is gone.
///
/// # Errors
/// [`ActError`]; a conflict means that the object changed since it was read.
pub async fn delete<K: Object>(api: &Api<K>, object: &K) -> Result<Option<K>, ActError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: object.uid(), resource_version: object.resource_version() }),
        ..DeleteParams::default()
    };
    match call("delete", api.delete(&object.name_any(), &params)).await {
        Ok(answer) => Ok(answer.left()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
