//! Two hubs with one install id would fight over a member: a `ConfigMap` on the member names its owner.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};

use crate::refusal::provider_error;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Claim, ErrorClass, ProviderError};
use roadstead_runtime::client::{call, call_opt};

/// Key of the hub's UID in the `ConfigMap`.
const HUB_UID: &str = "hubUID";

/// The identity of a cluster: the UID of its `kube-system` namespace.
///
/// # Errors
/// Any [`ProviderError`] of reading that namespace.
pub async fn cluster_uid(client: &Client) -> Result<String, ProviderError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = call("get namespace kube-system", api.get("kube-system")).await.map_err(provider_error)?;
    namespace.uid().ok_or_else(|| ProviderError::new(ErrorClass::Bug, "namespace kube-system has no UID"))
}

/// Reads or makes the claim of `install_id` on the member, for the hub `hub_uid`.
///
/// # Errors
/// Any [`ProviderError`] of reading or writing the `ConfigMap`.
pub async fn claim(
    client: &Client,
    namespace: &str,
    install_id: &str,
    hub_uid: &str,
    takeover: Option<&str>,
) -> Result<Claim, ProviderError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let name = format!("roadstead-{install_id}");
    let Some(existing) = call_opt("get claim", api.get(&name)).await.map_err(provider_error)? else {
        let claim = config_map(&name, install_id, hub_uid);
        return match call("create claim", api.create(&PostParams::default(), &claim)).await {
            Ok(_) => Ok(Claim::Ours),
            Err(error) => Err(match provider_error(error) {
                ProviderError { class: ErrorClass::NotFound, .. } => no_namespace(namespace),
                error => error,
            }),
        };
    };
    match existing.data.as_ref().and_then(|data| data.get(HUB_UID)) {
        Some(holder) if holder == hub_uid => Ok(Claim::Ours),
        Some(holder) if Some(holder.as_str()) != takeover => Ok(Claim::Other { hub_uid: holder.clone() }),
        // A claim that this hub may take over, or an emptied ConfigMap.
        _ => {
            let patch = serde_json::json!({
                "metadata": {"resourceVersion": existing.resource_version()},
                "data": {HUB_UID: hub_uid},
            });
            call("take over claim", api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)))
                .await
                .map_err(provider_error)?;
            tracing::info!(install_id, hub_uid, "took over the member from the former hub");
            Ok(Claim::Ours)
        }
    }
}

fn no_namespace(namespace: &str) -> ProviderError {
    let message = format!("namespace {namespace} does not exist on the member: apply deploy/member.yaml there");
    ProviderError::new(ErrorClass::NotFound, message)
}

fn config_map(name: &str, install_id: &str, hub_uid: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([(names::LABEL_INSTALL_ID.to_owned(), install_id.to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some([(HUB_UID.to_owned(), hub_uid.to_owned())].into()),
        ..ConfigMap::default()
    }
}
