//! The routes on the hub: one Secret for each deployment, in one namespace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use roadstead_api::v1alpha1::names;
use roadstead_gateway::Route;
use tokio::sync::watch;

use super::Routes;
use super::saved::Saved;
use crate::controller::traffic::stored;

/// Time that a start waits for the hub before it uses the saved routes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches the routes for ever, and sends each change of the whole set. Until the hub has shown its routes for the first
/// time, the saved ones are sent, if there are any.
pub async fn follow(client: Client, namespace: String, saved: Saved, routes: watch::Sender<Option<Routes>>) {
    let config = watcher::Config::default().labels(names::LABEL_ROUTE);
    let stream = watcher(Api::<Secret>::namespaced(client, &namespace), config).default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut set = Set { known: saved.read(), listed: None };
    let mut late = std::pin::pin!(tokio::time::sleep(PATIENCE));
    loop {
        tokio::select! {
            event = stream.next() => match event {
                Some(Ok(event)) => if set.take(event) { publish(&set.known, &saved, &routes) },
                Some(Err(error)) => {
                    // What the server said may quote a Secret.
                    tracing::warn!(error = kind(&error), "the watch of routes is interrupted; retrying");
                }
                None => return,
            },
            () = &mut late, if routes.borrow().is_none() && !set.known.is_empty() => {
                tracing::warn!("the hub does not answer; serving the saved routes");
                routes.send_replace(Some(Arc::new(set.known.clone())));
            }
        }
    }
}

fn kind(error: &watcher::Error) -> &'static str {
    match error {
        watcher::Error::InitialListFailed(_) => "listing failed",
        watcher::Error::WatchStartFailed(_) => "the watch could not start",
        watcher::Error::WatchError(_) => "the server ended the watch",
        watcher::Error::WatchFailed(_) => "the watch broke off",
        watcher::Error::NoResourceVersion => "the server sent no resource version",
    }
}

fn publish(known: &BTreeMap<String, Route>, saved: &Saved, routes: &watch::Sender<Option<Routes>>) {
    let served = routes.borrow().clone();
    if served.as_deref() == Some(known) {
        return;
    }
    // Before the first listing the folder has what a former process left, deployments that are gone included.
    let old = served.unwrap_or_else(|| Arc::new(saved.read()));
    if let Err(error) = saved.write(&old, known) {
        tracing::error!(%error, "routes cannot be saved; a restart while the hub is away would serve older ones");
    }
    routes.send_replace(Some(Arc::new(known.clone())));
}

/// The routes as the watch has shown them.
struct Set {
    known: BTreeMap<String, Route>,
    /// The routes of a listing that has not ended.
    listed: Option<BTreeMap<String, Route>>,
}

impl Set {
    /// Takes an event in; true if the set may have changed.
    fn take(&mut self, event: Event<Secret>) -> bool {
        match event {
            Event::Init => {
                self.listed = Some(BTreeMap::new());
                false
            }
            Event::InitApply(secret) => {
                // An unreadable route keeps its last good state: it must not vanish from the set.
                let route = read(&secret).or_else(|| self.former(&secret));
                if let (Some(route), Some(listed)) = (route, &mut self.listed) {
                    listed.insert(route.uid.clone(), route);
                }
                false
            }
            Event::InitDone => {
                let listed = self.listed.take();
                listed.is_some_and(|listed| {
                    self.known = listed;
                    true
                })
            }
            Event::Apply(secret) => read(&secret).is_some_and(|route| {
                self.known.insert(route.uid.clone(), route);
                true
            }),
            Event::Delete(secret) => uid(&secret).is_some_and(|uid| self.known.remove(&uid).is_some()),
        }
    }

    fn former(&self, secret: &Secret) -> Option<Route> {
        self.known.get(&uid(secret)?).cloned()
    }
}

/// UID of the deployment that a Secret holds the route of.
fn uid(secret: &Secret) -> Option<String> {
    secret.labels().get(names::LABEL_ROUTE).cloned()
}

fn read(secret: &Secret) -> Option<Route> {
    let route = stored::read(secret).filter(|route| Some(&route.uid) == uid(secret).as_ref());
    if route.is_none() {
        tracing::error!(secret = secret.name_any(), "a route cannot be read; its last state stays in use");
    }
    route
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn secret(uid: &str, revision: u64) -> Secret {
        let route = json!({
            "namespace": "team", "name": uid, "uid": uid, "revision": revision, "model": "m", "callers": [], "endpoints": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
        });
        of(uid, &route.to_string())
    }

    fn of(uid: &str, text: &str) -> Secret {
        let data: Value = serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap();
        let labels = json!({names::LABEL_ROUTE: uid});
        serde_json::from_value(json!({"metadata": {"name": uid, "labels": labels}, "data": {stored::ROUTE: data}}))
            .unwrap()
    }

    fn revisions(set: &Set) -> Vec<(&str, u64)> {
        set.known.values().map(|route| (route.name.as_str(), route.revision)).collect()
    }

    #[test]
    fn a_listing_replaces_the_set_only_once_it_has_ended() {
        let mut set = Set { known: BTreeMap::new(), listed: None };
        set.take(Event::Apply(secret("old", 1)));
        for event in [Event::Init, Event::InitApply(secret("new", 2))] {
            assert!(!set.take(event));
        }
        assert_eq!(revisions(&set), [("old", 1)]);
        assert!(set.take(Event::InitDone));
        assert_eq!(revisions(&set), [("new", 2)]);
    }

    #[test]
    fn the_first_listing_removes_saved_routes_that_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Saved::new(folder.path().to_owned());
        let known = |uid: &str| BTreeMap::from([(uid.to_owned(), stored::read(&secret(uid, 1)).unwrap())]);
        saved.write(&BTreeMap::new(), &known("gone")).unwrap();
        publish(&known("here"), &saved, &watch::Sender::new(None));
        assert_eq!(saved.read(), known("here"));
    }

    #[test]
    fn an_unreadable_route_keeps_its_last_good_state() {
        let mut set = Set { known: BTreeMap::new(), listed: None };
        set.take(Event::Apply(secret("a", 1)));
        assert!(!set.take(Event::Apply(of("a", "{"))));
        for event in [Event::Init, Event::InitApply(of("a", "nonsense")), Event::InitDone] {
            set.take(event);
        }
        assert_eq!(revisions(&set), [("a", 1)]);
        assert!(set.take(Event::Delete(secret("a", 1))));
        assert!(set.known.is_empty());
    }
}
