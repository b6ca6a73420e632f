//! Reads of the hub that know more than a cache may: whether an endpoint of some kind exists at this moment.

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::{Client, ResourceExt};

use super::error::ActError;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use roadstead_runtime::cache::Part;
use roadstead_runtime::client::{CallError, PAGE, call};

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

/// Searches for an endpoint that fits in any of `parts`; see [`find_endpoint`].
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
