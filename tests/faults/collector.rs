//! The part of the garbage collector that matters here, for no controller manager runs: what names an owner that is gone
//! is deleted.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment};
use serde::de::DeserializeOwned;

use super::rig::TEAM;

/// Between two rounds; short enough for what is owned to be gone before everything counts as quiet.
const PAUSE: Duration = Duration::from_millis(500);

/// A collector that can be told to come late.
pub struct Collector {
    awake: Arc<AtomicBool>,
}

impl Collector {
    /// Collects in the namespace of the deployments until the runtime ends.
    pub fn start(runtime: &tokio::runtime::Runtime, client: Client) -> Self {
        let awake = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&awake);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                if state.load(Ordering::Relaxed) {
                    // What failed is done in the next round.
                    let _ = round(&client).await;
                }
            }
        });
        Self { awake }
    }

    /// Has it collect, or not.
    pub fn awake(&self, awake: bool) {
        self.awake.store(awake, Ordering::Relaxed);
    }
}

async fn round(client: &Client) -> kube::Result<()> {
    // Each kind before its owners: an owner that is there is in the later list.
    let secrets = list::<Secret>(client).await?;
    let endpoints = list::<InferenceEndpoint>(client).await?;
    let deployments = list::<ModelDeployment>(client).await?;
    let uids = endpoints.iter().filter_map(ResourceExt::uid).chain(deployments.iter().filter_map(ResourceExt::uid));
    let owners: HashSet<String> = uids.collect();
    collect(client, &secrets, &owners).await?;
    collect(client, &endpoints, &owners).await
}

async fn list<K>(client: &Client) -> kube::Result<Vec<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), TEAM);
    Ok(api.list(&ListParams::default()).await?.items)
}

async fn collect<K>(client: &Client, objects: &[K], owners: &HashSet<String>) -> kube::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), TEAM);
    for object in objects {
        let named = object.owner_references();
        if !named.is_empty() && named.iter().all(|owner| !owners.contains(&owner.uid)) {
            let preconditions = Some(Preconditions { uid: object.uid(), resource_version: object.resource_version() });
            let params = DeleteParams { preconditions, ..DeleteParams::default() };
            let _ = api.delete(&object.name_any(), &params).await;
        }
    }
    Ok(())
}
