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
use roadstead_gateway::{Route, State};
use tokio::sync::watch;

use super::Routes;
use super::saved::Saved;
use crate::controller::traffic::stored;

/// Time that a start waits for the hub before it uses the saved routes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches the routes for ever, and sends each change of the whole set. Until the hub has shown its routes for the first
/// time, the saved ones are sent, if there are any. Another client of the hub takes over where the former one ended.
pub async fn follow(
    mut hub: watch::Receiver<Client>,
    namespace: String,
    saved: Saved,
    routes: watch::Sender<Option<Routes>>,
) {
    let mut set = Set::new(saved.read());
    loop {
        let client = hub.borrow_and_update().clone();
        tokio::select! {
            () = follow_by(client, &namespace, &mut set, &saved, &routes) => return,
            changed = hub.changed() => if changed.is_err() { return },
        }
    }
}

async fn follow_by(
    client: Client,
    namespace: &str,
    set: &mut Set,
    saved: &Saved,
    routes: &watch::Sender<Option<Routes>>,
) {
    let config = watcher::Config::default().labels(names::LABEL_ROUTE);
    let stream = watcher(Api::<Secret>::namespaced(client, namespace), config).default_backoff();
    let mut stream = std::pin::pin!(stream);
    let mut late = std::pin::pin!(tokio::time::sleep(PATIENCE));
    loop {
        tokio::select! {
            event = stream.next() => match event {
                Some(Ok(event)) => if set.take(event) { publish(&set.routes(), saved, routes) },
                Some(Err(error)) => {
                    // What the server said may quote a Secret.
                    tracing::warn!(error = kind(&error), "the watch of routes is interrupted; retrying");
                }
                None => return,
            },
            () = &mut late, if routes.borrow().is_none() && !set.kept.is_empty() => {
                tracing::warn!("the hub does not answer; serving the saved routes");
                routes.send_replace(Some(Arc::new(set.kept.clone())));
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
#[derive(Default)]
struct Set {
    /// Routes of the hub.
    known: BTreeMap<String, Route>,
    /// Routes that were served before and that the hub does not show. A hub that was rebuilt has none at first, so they stay until
    /// its operator says that it has published all.
    kept: BTreeMap<String, Route>,
    /// A listing that has not ended.
    listed: Option<NewListing>,
}

/// A listing that has not ended.
#[derive(Default)]
struct NewListing {
    routes: BTreeMap<String, Route>,
    is_complete: bool,
}

impl Set {
    /// Before anything is shown, with the routes that were served before.
    fn new(kept: BTreeMap<String, Route>) -> Self {
        Self { kept, ..Self::default() }
    }

    /// The routes to serve. One that was kept gives way to the hub's route of the same deployment when that serves.
    fn routes(&self) -> BTreeMap<String, Route> {
        let serves = |route: &Route| route.endpoints.iter().any(|endpoint| endpoint.state == State::Active);
        let of = |kept: &Route| self.known.values().find(|route| route.cluster() == kept.cluster());
        let mut all = self.known.clone();
        for (uid, kept) in &self.kept {
            match of(kept) {
                Some(route) if serves(route) || route.uid == *uid => {}
                hidden => {
                    if let Some(hidden) = hidden {
                        all.remove(&hidden.uid);
                    }
                    all.insert(uid.clone(), kept.clone());
                }
            }
        }
        all
    }

    /// Takes an event in; true if the set may have changed.
    fn take(&mut self, event: Event<Secret>) -> bool {
        match event {
            Event::Init => {
                self.listed = Some(NewListing::default());
                false
            }
            Event::InitApply(secret) if is_mark(&secret) => {
                if let Some(listed) = &mut self.listed {
                    listed.is_complete = true;
                }
                false
            }
            Event::InitApply(secret) => {
                // An unreadable route keeps its last good state: it must not vanish from the set.
                let route = read(&secret).or_else(|| self.former(&secret));
                if let (Some(route), Some(listed)) = (route, &mut self.listed) {
                    listed.routes.insert(route.uid.clone(), route);
                }
                false
            }
            Event::InitDone => match self.listed.take() {
                None => false,
                Some(listed) => {
                    self.replace(listed);
                    true
                }
            },
            Event::Apply(secret) if is_mark(&secret) => {
                let changed = !self.kept.is_empty();
                self.kept.clear();
                changed
            }
            Event::Apply(secret) => read(&secret).is_some_and(|route| {
                self.known.insert(route.uid.clone(), route);
                true
            }),
            Event::Delete(secret) => uid(&secret).is_some_and(|uid| self.known.remove(&uid).is_some()),
        }
    }

    /// A listing has ended. One that is not complete removes nothing.
    fn replace(&mut self, listed: NewListing) {
        let former = std::mem::replace(&mut self.known, listed.routes);
        if listed.is_complete {
            self.kept.clear();
            return;
        }
        self.kept.extend(former);
        self.kept.retain(|uid, _| !self.known.contains_key(uid));
        if !self.kept.is_empty() {
            tracing::warn!(
                routes = self.kept.len(),
                "the operator of this hub has not published all routes yet; former routes stay in use"
            );
        }
    }

    fn former(&self, secret: &Secret) -> Option<Route> {
        let uid = uid(secret)?;
        self.known.get(&uid).or_else(|| self.kept.get(&uid)).cloned()
    }
}

/// True for the Secret that says that all routes have been published.
fn is_mark(secret: &Secret) -> bool {
    uid(secret).as_deref() == Some(names::ROUTES_PUBLISHED)
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

    fn mark() -> Secret {
        let labels = json!({names::LABEL_ROUTE: names::ROUTES_PUBLISHED});
        serde_json::from_value(json!({"metadata": {"name": names::ROUTES_PUBLISHED, "labels": labels}})).unwrap()
    }

    /// The route of the deployment `llama` by this UID.
    fn of_llama(uid: &str, state: Option<&str>) -> Secret {
        let endpoint = |state: &str| json!({"name": "a", "scheme": "http", "host": "192.0.2.1", "port": 1, "weight": 1, "state": state});
        let endpoints: Vec<Value> = state.into_iter().map(endpoint).collect();
        let route = json!({
            "namespace": "team", "name": "llama", "uid": uid, "revision": 1, "model": "m", "callers": [],
            "endpoints": endpoints, "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
        });
        of(uid, &route.to_string())
    }

    fn list(set: &mut Set, secrets: Vec<Secret>) -> Vec<String> {
        set.take(Event::Init);
        for secret in secrets {
            set.take(Event::InitApply(secret));
        }
        assert!(set.take(Event::InitDone));
        set.routes().into_keys().collect()
    }

    #[test]
    fn a_hub_without_routes_removes_none_before_its_operator_has_published_all() {
        let saved = stored::read(&of_llama("old", Some("Active"))).unwrap();
        let mut set = Set::new([("old".to_owned(), saved)].into());
        assert_eq!(list(&mut set, vec![]), ["old"], "the hub was rebuilt");
        assert_eq!(list(&mut set, vec![of_llama("new", None)]), ["old"], "its endpoints are not adopted yet");
        assert_eq!(list(&mut set, vec![of_llama("new", Some("Verifying"))]), ["old"]);
        assert_eq!(list(&mut set, vec![of_llama("new", Some("Active"))]), ["new"], "the hub's own route serves");
        assert!(set.take(Event::Apply(mark())));
        assert_eq!(list(&mut set, vec![mark()]), Vec::<String>::new(), "the deployment is deleted");
    }

    #[test]
    fn routes_outlive_the_replacement_of_the_hub_behind_the_same_address() {
        let mut set = Set::default();
        assert_eq!(list(&mut set, vec![of_llama("old", Some("Active")), mark()]), ["old"]);
        assert_eq!(list(&mut set, vec![]), ["old"], "the mark is gone as well");
        assert!(set.take(Event::Apply(mark())));
        assert!(set.routes().is_empty(), "the operator has nothing to publish");
        assert!(!set.take(Event::Apply(mark())), "nothing new");
    }

    #[test]
    fn a_route_that_is_deleted_goes_at_once() {
        let mut set = Set::default();
        assert_eq!(list(&mut set, vec![of_llama("old", Some("Active"))]), ["old"]);
        assert!(set.take(Event::Delete(of_llama("old", None))));
        assert!(set.routes().is_empty());
    }

    fn revisions(set: &Set) -> Vec<(&str, u64)> {
        set.known.values().map(|route| (route.name.as_str(), route.revision)).collect()
    }

    #[test]
    fn a_listing_replaces_the_set_only_once_it_has_ended() {
        let mut set = Set::default();
        set.take(Event::Apply(secret("old", 1)));
        for event in [Event::Init, Event::InitApply(secret("new", 2)), Event::InitApply(mark())] {
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
        let mut set = Set::default();
        set.take(Event::Apply(secret("a", 1)));
        assert!(!set.take(Event::Apply(of("a", "{"))));
        for event in [Event::Init, Event::InitApply(of("a", "nonsense")), Event::InitApply(mark()), Event::InitDone] {
            set.take(event);
        }
        assert_eq!(revisions(&set), [("a", 1)]);
        assert!(set.take(Event::Delete(secret("a", 1))));
        assert!(set.known.is_empty());
    }
}
