//! Keeps a [`Cache`] in step with the API server, whatever the objects look like.

use std::fmt::Debug;
use std::sync::Arc;

use futures::{StreamExt, pin_mut};
use kube::Resource;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::budget::{Admission, Budget};
use super::cache::{Cache, Change, Key, Part};
use super::client::describe;
use super::panics::caught;
use crate::text::bounded;

/// Watches `api`, which lists `part` of a kind, for ever; keeps `cache` up to date and calls `on_change` for every
/// change.
///
/// Errors of the watch are logged and tried again with backoff. One namespace that the server refuses to show is marked
/// so in the cache, for it must not keep the others waiting. An object that cannot be read is logged, and its last
/// good state kept: one bad object stops neither the watch nor another object. `prune` drops what need not be kept,
/// and objects beyond `budget` after that are dropped.
pub async fn watch<K>(
    mut budget: Budget,
    api: Api<DeserializeGuard<K>>,
    config: watcher::Config,
    part: Part,
    cache: Arc<Cache<K>>,
    prune: fn(&mut K),
    on_change: impl Fn(Change<K>) + Send + 'static,
) where
    K: Resource + Clone + DeserializeOwned + Serialize + Debug + Send + Sync + 'static,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let stream = watch_stream(api, config).default_backoff();
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            // A panic costs this event and does not end the watch, which would blind the operator without a word.
            Ok(event) => {
                caught(&kind, || take_in(&kind, event, &mut budget, &part, &cache, prune, &on_change));
            }
            Err(error) => {
                if part != Part::Everything && is_forbidden(&error) {
                    cache.refuse(&part);
                }
                tracing::warn!(kind, %part, error = told(&error), "watch interrupted; retrying");
            }
        }
    }
}

/// Error of a watch, without the content of an answer that is not an object.
fn told(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchFailed(error) | WatchStartFailed(error) => describe(error),
        other => bounded(&other.to_string()),
    }
}

/// True if the server refused for lack of rights.
fn is_forbidden(error: &watcher::Error) -> bool {
    use kube::Error::Api;
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(Api(status))
        | WatchStartFailed(Api(status))
        | WatchFailed(Api(status))
        | WatchError(status) => status.code == 403,
        _ => false,
    }
}

/// Takes an event into the cache, and tells of every change that is news.
fn take_in<K>(
    kind: &str,
    event: Event<DeserializeGuard<K>>,
    budget: &mut Budget,
    part: &Part,
    cache: &Cache<K>,
    prune: fn(&mut K),
    on_change: &impl Fn(Change<K>),
) where
    K: Resource + Clone + Serialize,
{
    match event {
        Event::Init => {
            budget.begin_listing();
            cache.begin_listing(part);
        }
        Event::InitDone => {
            budget.end_listing();
            cache.end_listing(part).into_iter().for_each(|change| tell_gone(change, budget, on_change));
        }
        Event::Apply(guarded) | Event::InitApply(guarded) => match guarded.0 {
            Ok(mut object) => {
                // The cache keeps none of it, so it does not count for the budget.
                object.meta_mut().managed_fields = None;
                prune(&mut object);
                if fits(kind, &object, budget, cache)
                    && let Some(change) = cache.apply(object)
                {
                    on_change(change);
                }
            }
            Err(invalid) => {
                let key =
                    Key::new(invalid.metadata.namespace.unwrap_or_default(), invalid.metadata.name.unwrap_or_default());
                let error = bounded(&invalid.error);
                tracing::warn!(kind, object = %key, error, "object unreadable; keeping its last good state");
                cache.keep(&key);
            }
        },
        Event::Delete(guarded) => {
            let gone = guarded.0.as_ref().map_or_else(|invalid| &invalid.metadata, |object| object.meta());
            if let Some(change) = cache.delete(gone) {
                tell_gone(change, budget, on_change);
            }
        }
    }
}

/// Tells of an object that is gone, which makes room for others.
fn tell_gone<K: Resource>(change: Change<K>, budget: &mut Budget, on_change: &impl Fn(Change<K>)) {
    if let Change::Deleted(gone) = &change {
        budget.forget(&Key::of(gone.as_ref()));
    }
    on_change(change);
}

/// True if the budget has room for the object; otherwise the last good state stays, and the first dropped object is
/// logged.
fn fits<K: Resource + Serialize>(kind: &str, object: &K, budget: &mut Budget, cache: &Cache<K>) -> bool {
    let key = Key::of(object);
    let admission = budget.admit(&key, object);
    if admission == Admission::FirstRefused {
        let object = bounded(&key.to_string());
        tracing::warn!(kind, object, "listing exceeds the limit; dropping this object and others");
    }
    if admission != Admission::Kept {
        cache.keep(&key);
    }
    admission == Admission::Kept
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;
    use kube::core::error_boundary::InvalidObject;

    use super::*;

    fn metadata(version: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some("a".to_owned()),
            uid: Some("1".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn unreadable(version: &str) -> DeserializeGuard<ConfigMap> {
        DeserializeGuard(Err(InvalidObject { error: "unknown variant".to_owned(), metadata: metadata(version) }))
    }

    #[test]
    fn a_panic_over_one_object_does_not_end_the_watch() {
        let cache = Cache::default();
        let heard = std::cell::Cell::new(0);
        let on_change = |_: Change<ConfigMap>| {
            heard.set(heard.get() + 1);
            assert!(heard.get() != 1, "as it was told to");
        };
        for version in ["10", "11"] {
            let object = ConfigMap { metadata: metadata(version), ..ConfigMap::default() };
            let event = Event::Apply(DeserializeGuard(Ok(object)));
            let mut budget = Budget::endless();
            caught("ConfigMap", || {
                take_in("ConfigMap", event, &mut budget, &Part::Everything, &cache, |_| {}, &on_change);
            });
        }
        assert_eq!((heard.get(), cache.len()), (2, 1));
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_last_good_state_until_it_is_deleted() {
        let cache = Cache::default();
        let readable = ConfigMap { metadata: metadata("10"), ..ConfigMap::default() };
        let heard = std::cell::RefCell::new(Vec::new());
        let on_change = |change: Change<ConfigMap>| heard.borrow_mut().push(matches!(change, Change::Deleted(_)));
        take_in(
            "ConfigMap",
            Event::Apply(DeserializeGuard(Ok(readable))),
            &mut Budget::endless(),
            &Part::Everything,
            &cache,
            |_| {},
            &on_change,
        );
        take_in(
            "ConfigMap",
            Event::Apply(unreadable("11")),
            &mut Budget::endless(),
            &Part::Everything,
            &cache,
            |_| {},
            &on_change,
        );
        assert_eq!(cache.len(), 1);
        take_in(
            "ConfigMap",
            Event::Delete(unreadable("12")),
            &mut Budget::endless(),
            &Part::Everything,
            &cache,
            |_| {},
            &on_change,
        );
        assert!(cache.is_empty());
        assert_eq!(*heard.borrow(), [false, true]);
    }
}
