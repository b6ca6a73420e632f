//! Keeps the listing of a place current, with listings that wait for news.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use roadstead_model::{self as model, Timestamp};
use tokio::task::AbortHandle;

use super::client::CloudClient;
use crate::cloud::wire::{EndpointList, EndpointView};
use roadstead_api::v1alpha1::names;
use roadstead_provider::tags::ListedEndpoint;
use roadstead_provider::{Inventory, Listener, NewestInventory, ProviderEvent};
use roadstead_runtime::panics::caught;

/// Longest time that the cloud may take for an answer without news.
const WAIT: Duration = Duration::from_secs(20);
/// Pause after a failed listing.
const PAUSE: Duration = Duration::from_secs(1);
/// News is gathered for this long before the next listing: endpoints come and go in bursts.
const GATHER: Duration = Duration::from_millis(200);

/// The newest inventory of a place, and who it says it is.
#[derive(Default)]
pub struct Listed {
    /// The inventory.
    pub inventory: NewestInventory,
    identity: RwLock<String>,
}

impl Listed {
    /// The place's identity, as it was said last.
    pub fn identity(&self) -> String {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The place said who it is.
    pub fn identified(&self, identity: &str) {
        identity.clone_into(&mut self.identity.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Listing that continues until this is dropped.
pub struct ListingTask {
    task: AbortHandle,
}

impl Drop for ListingTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ListingTask {
    /// Lists `path` of the cloud repeatedly, and reports news to `listener`.
    pub fn start(client: CloudClient, path: String, listed: Arc<Listed>, listener: Listener) -> Self {
        let task = tokio::spawn(list(client, path, listed, listener));
        Self { task: task.abort_handle() }
    }
}

async fn list(client: CloudClient, path: String, listed: Arc<Listed>, listener: Listener) {
    let mut known = EndpointList { mark: String::new(), endpoints: Vec::new() };
    loop {
        // A mark that is no plain word is not repeated into an address.
        let mark = Some(known.mark.as_str()).filter(|mark| names::is_uid(mark)).unwrap_or_default();
        let asked = format!("{path}&after={mark}&waitSeconds={}", WAIT.as_secs());
        match client.get::<EndpointList>(&asked, WAIT).await {
            Ok(newest) => {
                caught("listing of a simulated place", || {
                    let found = newest.endpoints.iter().filter_map(found).collect();
                    if listed.inventory.take(Inventory { found, ..Inventory::default() }) {
                        listener(ProviderEvent::Inventory);
                    }
                    changed(&known, &newest).for_each(|name| listener(ProviderEvent::Endpoint(name.to_owned())));
                });
                known = newest;
                tokio::time::sleep(GATHER).await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot list; retrying");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The names of the endpoints that are not in one list as they are in the other.
fn changed<'a>(known: &'a EndpointList, newest: &'a EndpointList) -> impl Iterator<Item = &'a str> {
    let by_name = |list: &'a EndpointList| -> BTreeMap<&'a str, &'a EndpointView> {
        list.endpoints.iter().map(|view| (view.name.as_str(), view)).collect()
    };
    let (before, after) = (by_name(known), by_name(newest));
    let gone: Vec<&str> = before.keys().copied().filter(|name| !after.contains_key(name)).collect();
    after.into_iter().filter(move |(name, view)| before.get(name) != Some(view)).map(|(name, _)| name).chain(gone)
}

/// An endpoint as a rebuilt hub may adopt it; `None` where its tags do not give the name that it has.
fn found(view: &EndpointView) -> Option<model::Found> {
    if view.deleting {
        return None;
    }
    view.tags.found(ListedEndpoint {
        name: &view.name,
        id: &view.uid,
        accelerators: view.accelerators,
        replicas: view.replicas,
        ready_replicas: view.ready_replicas,
        record: &view.record,
        created_at: Timestamp(view.created_millis.div_euclid(1000)),
    })
}
