//! Keeps the listing of a namespace current. The service has no watch: it is asked again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roadstead_api::planning;
use roadstead_api::v1alpha1::{limits, names};
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::{Inventory, Listener, NewestInventory, ProviderEvent, record};
use roadstead_rest::{RestClient, RestFailure};
use roadstead_runtime::panics::caught;
use serde::Deserialize;
use tokio::task::AbortHandle;

use crate::service::HubPaths;
use crate::view::{HubTags, HubView, RECORD};

#[derive(Deserialize)]
struct Items {
    items: Vec<HubView>,
}

/// Listing that continues until this is dropped.
pub struct HubListing {
    task: AbortHandle,
}

impl Drop for HubListing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All endpoints of a namespace.
///
/// # Errors
/// The failure of the call.
pub async fn all(client: &RestClient, paths: &HubPaths) -> Result<Vec<HubView>, RestFailure> {
    Ok(client.call(paths.list()).await?.json::<Items>()?.items)
}

impl HubListing {
    /// Lists the endpoints of `install_id` with this pause between two listings, and reports news to `listener`.
    pub fn start(
        client: RestClient,
        paths: HubPaths,
        install_id: String,
        pause: Duration,
        listed: Arc<NewestInventory>,
        listener: Listener,
    ) -> Self {
        let task = tokio::spawn(async move {
            let mut known = BTreeMap::new();
            loop {
                match all(&client, &paths).await {
                    Ok(views) => {
                        let newest = ours(views, &install_id);
                        caught("listing of Hugging Face", || report(&known, &newest, &listed, &listener));
                        known = newest;
                    }
                    Err(error) => tracing::debug!(%error, "cannot list; retrying"),
                }
                tokio::time::sleep(pause).await;
            }
        });
        Self { task: task.abort_handle() }
    }
}

type Ours = BTreeMap<String, (HubTags, HubView)>;

/// The endpoints with the tags of an installation, by name.
fn ours(views: Vec<HubView>, install_id: &str) -> Ours {
    let tagged = views.into_iter().filter_map(|view| Some((view.tags()?, view)));
    let ours = tagged.filter(|(tags, _)| tags.install_id == install_id);
    ours.map(|(tags, view)| (view.name.clone(), (tags, view))).collect()
}

fn report(known: &Ours, newest: &Ours, listed: &NewestInventory, listener: &Listener) {
    let found = newest.values().filter_map(|(tags, view)| found(tags, view)).collect();
    if listed.take(Inventory { found, ..Inventory::default() }) {
        listener(ProviderEvent::Inventory);
    }
    let gone = known.keys().filter(|name| !newest.contains_key(*name));
    let changed = newest.iter().filter(|(name, entry)| known.get(*name) != Some(entry)).map(|(name, _)| name);
    gone.chain(changed).for_each(|name| listener(ProviderEvent::Endpoint(name.clone())));
}

/// An endpoint as a rebuilt hub may adopt it; `None` where its tags do not give the name that it has.
fn found(tags: &HubTags, view: &HubView) -> Option<model::Found> {
    let capacity_type = planning::planner_capacity_type(tags.capacity_type);
    let HubTags { install_id, namespace, deployment, target, offer, shape, slot, .. } = tags;
    let computed =
        names::endpoint_name(install_id, namespace, deployment, target, shape, capacity_type.as_str(), *slot);
    let ours = names::are_tags(namespace, deployment, target, offer, shape) && *slot <= limits::LAST_SLOT;
    if !ours || !view.is_called(&computed) {
        return None;
    }
    let runs = record::runs(view.variable(RECORD).unwrap_or_default());
    let paused = view.state() == crate::view::HubState::Paused;
    Some(model::Found {
        id: view.uid(),
        name: computed,
        deployment: model::DeploymentId { namespace: namespace.clone(), name: deployment.clone() },
        target: target.clone(),
        offer: offer.clone(),
        shape: shape.clone(),
        capacity_type,
        slot: *slot,
        accelerators: runs.as_ref().map_or(0, |runs| runs.accelerator.count),
        replicas: if paused { 0 } else { view.compute.scaling.min_replica },
        ready_replicas: view.status.ready_replica,
        runs,
        created_at: created(&view.status.created_at).unwrap_or_default(),
    })
}

fn created(time: &str) -> Option<Timestamp> {
    let time: k8s_openapi::jiff::Timestamp = time.parse().ok()?;
    Some(Timestamp(time.as_second()))
}
