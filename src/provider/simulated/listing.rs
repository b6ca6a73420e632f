//! Keeps what is known of a place: a listing that waits for news, again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use roadstead_planner::{self as planner, Timestamp};
use tokio::task::AbortHandle;

use super::client::CloudClient;
use crate::api::v1alpha1::names;
use crate::controller::convert;
use crate::provider::{self, Listener, ProviderEvent};
use crate::simulated_cloud::wire::{EndpointList, EndpointView};

/// How long the cloud may take to tell that there is no news.
const WAIT: Duration = Duration::from_secs(20);
/// How long to wait after a listing that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// News is gathered for this long before the next listing: endpoints come and go in bursts.
const GATHER: Duration = Duration::from_millis(200);

/// The newest facts of a place, and who it says it is.
#[derive(Default)]
pub struct Facts {
    newest: RwLock<Option<Arc<provider::Facts>>>,
    identity: RwLock<String>,
}

impl Facts {
    /// The newest facts; `None` until everything was listed once.
    pub fn newest(&self) -> Option<Arc<provider::Facts>> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The place's identity, as it was said last.
    pub fn identity(&self) -> String {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The place said who it is.
    pub fn identified(&self, identity: &str) {
        identity.clone_into(&mut self.identity.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes in a listing; says whether it is news.
    fn take(&self, found: Vec<planner::Found>) -> bool {
        let facts = provider::Facts { nodes: None, bound: BTreeMap::new(), found };
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let news = newest.as_ref().is_none_or(|known| **known != facts);
        *newest = Some(Arc::new(facts));
        news
    }

    /// What has this name was removed: it is not found any more, whatever the last listing showed.
    pub fn removed(&self, name: &str) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = newest.as_mut() {
            Arc::make_mut(facts).found.retain(|found| found.name != name);
        }
    }
}

/// A listing that goes on until this is dropped.
pub struct Listing {
    task: AbortHandle,
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listing {
    /// Lists `path` of the cloud again and again, and tells `listener` of news.
    pub fn start(client: CloudClient, path: String, facts: Arc<Facts>, listener: Listener) -> Self {
        let task = tokio::spawn(list(client, path, facts, listener));
        Self { task: task.abort_handle() }
    }
}

async fn list(client: CloudClient, path: String, facts: Arc<Facts>, listener: Listener) {
    let mut known = EndpointList { mark: String::new(), endpoints: Vec::new() };
    loop {
        let asked = format!("{path}&after={}&waitSeconds={}", known.mark, WAIT.as_secs());
        match client.get::<EndpointList>(&asked, WAIT).await {
            Ok(newest) => {
                let found = newest.endpoints.iter().filter_map(found).collect();
                if facts.take(found) {
                    listener(ProviderEvent::Facts);
                }
                changed(&known, &newest).for_each(|name| listener(ProviderEvent::Endpoint(name.to_owned())));
                known = newest;
                tokio::time::sleep(GATHER).await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot list; trying again");
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
fn found(view: &EndpointView) -> Option<planner::Found> {
    let tags = &view.tags;
    let capacity_type = convert::planner_capacity_type(tags.capacity_type);
    let computed = names::endpoint_name(
        &tags.install_id,
        &tags.namespace,
        &tags.deployment,
        &tags.target,
        &tags.shape,
        capacity_type.as_str(),
        tags.slot,
    );
    if view.deleting || computed != view.name {
        return None;
    }
    Some(planner::Found {
        id: view.uid.clone(),
        name: computed,
        deployment: planner::DeploymentId { namespace: tags.namespace.clone(), name: tags.deployment.clone() },
        target: tags.target.clone(),
        offer: tags.offer.clone(),
        shape: tags.shape.clone(),
        capacity_type,
        slot: tags.slot,
        accelerators: view.accelerators,
        replicas: view.replicas,
        ready_replicas: view.ready_replicas,
        created_at: Timestamp(view.created_millis.div_euclid(1000)),
    })
}
