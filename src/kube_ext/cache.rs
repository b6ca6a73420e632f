//! A local copy of one kind that shows our own writes at once.
//!
//! kube's reflector store lags behind every write until the watch delivers it, which is how operators create things
//! twice. Here the answer to a write is put in directly; whatever is older than what is known is ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::{Resource, ResourceExt};

/// Namespace (empty for cluster-scoped kinds) and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of a namespaced object.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a cluster-scoped object.
    #[must_use]
    pub fn cluster(name: impl Into<String>) -> Self {
        Self::new("", name)
    }

    /// The key of `object`.
    #[must_use]
    pub fn of<K: Resource>(object: &K) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name_any())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// What an event or a write did to the cache.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// The object is new or newer than what was known.
    Upserted {
        /// What was known before.
        old: Option<Arc<K>>,
        /// What is known now.
        new: Arc<K>,
    },
    /// The object is gone; this was its last known state.
    Deleted(Arc<K>),
}

struct Inner<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// A full listing under way: what it has shown so far.
    listing: Option<BTreeSet<Key>>,
    synced: bool,
}

/// The known objects of one kind.
pub struct Cache<K> {
    inner: RwLock<Inner<K>>,
    synced: tokio::sync::watch::Sender<bool>,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self {
            inner: RwLock::new(Inner { objects: BTreeMap::new(), listing: None, synced: false }),
            synced: tokio::sync::watch::Sender::new(false),
        }
    }
}

impl<K: Resource> Cache<K> {
    fn read(&self) -> RwLockReadGuard<'_, Inner<K>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<K>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object under `key`, if it is known.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().objects.get(key).cloned()
    }

    /// All known objects, ordered by namespace and name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// How many objects are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether nothing is known (also before the first full listing).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one full listing has been seen.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.read().synced
    }

    /// Waits until one full listing has been seen.
    pub async fn wait_synced(&self) {
        let mut receiver = self.synced.subscribe();
        // The sender lives as long as the cache, so waiting cannot fail.
        let _ = receiver.wait_for(|synced| *synced).await;
    }

    /// Takes in an object from the watch or from the answer to a write; `None` if something newer is known.
    pub fn apply(&self, object: K) -> Option<Change<K>> {
        let key = Key::of(&object);
        let mut inner = self.write();
        if let Some(listed) = &mut inner.listing {
            listed.insert(key.clone());
        }
        if let Some(known) = inner.objects.get(&key)
            && known.uid() == object.uid()
            && version(known.as_ref()) >= version(&object)
        {
            return None;
        }
        let new = Arc::new(object);
        let old = inner.objects.insert(key, Arc::clone(&new));
        Some(Change::Upserted { old, new })
    }

    /// Takes in a deletion; `None` if a newer object of that name is known.
    pub fn delete(&self, object: &K) -> Option<Change<K>> {
        let key = Key::of(object);
        let mut inner = self.write();
        let known = inner.objects.get(&key)?;
        if known.uid() != object.uid() && version(known.as_ref()) > version(object) {
            return None;
        }
        inner.objects.remove(&key).map(Change::Deleted)
    }

    /// A full listing begins: what it does not show in the end is gone.
    pub fn begin_listing(&self) {
        self.write().listing = Some(BTreeSet::new());
    }

    /// Keeps an object that the listing showed but that could not be read: its last good state stays.
    pub fn keep(&self, key: Key) {
        let mut inner = self.write();
        // Of what is not known nothing stays: a listing without end fills no memory by the names in it.
        let known = inner.objects.contains_key(&key);
        if let Some(listed) = inner.listing.as_mut().filter(|_| known) {
            listed.insert(key);
        }
    }

    /// The full listing is complete; returns what is gone.
    pub fn end_listing(&self) -> Vec<Change<K>> {
        let gone = {
            let mut inner = self.write();
            inner.synced = true;
            let listed = inner.listing.take().unwrap_or_default();
            let missing: Vec<Key> = inner.objects.keys().filter(|key| !listed.contains(*key)).cloned().collect();
            missing.iter().filter_map(|key| inner.objects.remove(key)).map(Change::Deleted).collect()
        };
        self.synced.send_replace(true);
        gone
    }
}

/// Resource versions of one kind are ordered integers (guaranteed since Kubernetes 1.35, true before).
fn version<K: Resource>(object: &K) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::ObjectMeta;

    fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some("ns".into()),
                uid: Some(uid.into()),
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn known(cache: &Cache<ConfigMap>, name: &str) -> Option<String> {
        cache.get(&Key::new("ns", name)).and_then(|object| object.resource_version())
    }

    #[test]
    fn an_older_event_does_not_undo_our_own_write() {
        let cache = Cache::default();
        assert!(cache.apply(object("a", "1", "10")).is_some());
        assert!(cache.apply(object("a", "1", "9")).is_none());
        assert_eq!(known(&cache, "a").as_deref(), Some("10"));
    }

    #[test]
    fn the_deletion_of_a_former_object_does_not_remove_its_successor() {
        let cache = Cache::default();
        cache.apply(object("a", "2", "20"));
        assert!(cache.delete(&object("a", "1", "15")).is_none());
        assert!(cache.delete(&object("a", "2", "21")).is_some());
        assert!(cache.is_empty());
    }

    #[test]
    fn a_listing_removes_what_it_does_not_show_but_not_what_was_written_meanwhile() {
        let cache = Cache::default();
        cache.apply(object("gone", "1", "1"));
        cache.apply(object("stays", "2", "2"));
        cache.begin_listing();
        cache.apply(object("stays", "2", "2"));
        cache.apply(object("written", "3", "30"));
        assert!(!cache.is_synced());
        let gone = cache.end_listing();
        assert_eq!(gone.len(), 1);
        assert_eq!(known(&cache, "gone"), None);
        assert_eq!(known(&cache, "stays").as_deref(), Some("2"));
        assert_eq!(known(&cache, "written").as_deref(), Some("30"));
        assert!(cache.is_synced());
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_last_good_state() {
        let cache = Cache::default();
        cache.apply(object("a", "1", "1"));
        cache.begin_listing();
        cache.keep(Key::new("ns", "a"));
        assert!(cache.end_listing().is_empty());
        assert_eq!(known(&cache, "a").as_deref(), Some("1"));
    }
}
