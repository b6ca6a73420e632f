//! IP addresses of the endpoints' hosts: Envoy's files of endpoints take no names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use roadstead_gateway::Route;
use roadstead_gateway::render::Addresses;
use tokio::sync::watch;

use super::Routes;

/// Interval between two looks at every name.
const INTERVAL: Duration = Duration::from_secs(15);
/// Time for one name.
const LOOKUP: Duration = Duration::from_secs(3);
/// Names that are looked up at once.
const AT_ONCE: usize = 16;

/// Resolves the hosts of all routes, at once for a new one and again at an interval, and sends what has changed. A name
/// that no longer resolves keeps its last addresses.
pub async fn resolve(mut routes: watch::Receiver<Option<Routes>>, addresses: watch::Sender<Addresses>) {
    loop {
        let hosts = routes.borrow_and_update().as_deref().map(hosts_of).unwrap_or_default();
        let known = addresses.borrow().clone();
        let found = look_up(&hosts, &known).await;
        addresses.send_if_modified(|addresses| {
            let changed = *addresses != found;
            *addresses = found;
            changed
        });
        tokio::select! {
            changed = routes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// The hosts of routes.
#[must_use]
pub fn hosts_of(routes: &BTreeMap<String, Route>) -> BTreeSet<String> {
    routes.values().flat_map(|route| &route.endpoints).map(|endpoint| endpoint.host.clone()).collect()
}

async fn look_up(hosts: &BTreeSet<String>, known: &Addresses) -> Addresses {
    use futures::StreamExt;
    let each = hosts.iter().map(|host| async move {
        let found = addresses(host).await;
        if found.is_empty() {
            tracing::warn!(host, "the name of an endpoint does not resolve; its last addresses stay in use");
        }
        (host.clone(), if found.is_empty() { known.get(host).cloned().unwrap_or_default() } else { found })
    });
    futures::stream::iter(each).buffer_unordered(AT_ONCE).collect().await
}

async fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await;
    let Ok(Ok(found)) = found else { return Vec::new() };
    // Sorted, so that the order of an answer changes no file.
    found.map(|address| address.ip()).collect::<BTreeSet<_>>().into_iter().collect()
}
