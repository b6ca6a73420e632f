//! A local copy of one kind that shows our own writes at once.
//!
//! kube's reflector store lags behind every write until the watch delivers it, which makes operators create objects
//! twice. Here the answer to a write is stored directly, and older versions are ignored.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};

/// Number of deleted UIDs to remember.
const REMEMBERED: usize = 1024;

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

/// Effect of an event or a write on the cache.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// The object is new or newer than what was known.
    Upserted {
        /// Former object.
        old: Option<Arc<K>>,
        /// Current object.
        new: Arc<K>,
    },
    /// The object is gone; this was its last known state.
    Deleted(Arc<K>),
}

/// The part of a kind that one watch lists. A cache may be filled by several watches of different parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All objects.
    Everything,
    /// The objects of one namespace.
    Namespace(String),
    /// The cluster-scoped object of this name.
    Named(String),
}

impl Part {
    /// True if a watch of this part speaks of the object under `key`.
    #[must_use]
    pub fn covers(&self, key: &Key) -> bool {
        match self {
            Self::Everything => true,
            Self::Namespace(namespace) => key.namespace == *namespace,
            Self::Named(name) => key.namespace.is_empty() && key.name == *name,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => write!(f, "everything"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
            Self::Named(name) => write!(f, "the one named {name}"),
        }
    }
}

struct Inner<K> {
    objects: BTreeMap<Key, Arc<K>>,
    /// The full listings under way, at most one for each part: what each has shown so far.
    listings: BTreeMap<Part, BTreeSet<Key>>,
    /// The parts of which no full listing has been seen yet.
    unlisted: BTreeSet<Part>,
    /// Those of them that the server does not let us list.
    refused: BTreeSet<Part>,
    /// Recent deletions, newest first: the answer to a write may arrive after the event of the deletion.
    buried: VecDeque<Buried>,
}

/// An object that is gone, as far as is known.
struct Buried {
    uid: String,
    /// Version of the deletion event; `None` if only a listing lacked the object, which may have been stale.
    version: Option<u64>,
}

impl<K: Resource> Inner<K> {
    fn remove(&mut self, key: &Key, version: Option<u64>) -> Option<Change<K>> {
        let removed = self.objects.remove(key)?;
        if let Some(uid) = removed.uid() {
            self.buried.truncate(REMEMBERED - 1);
            self.buried.push_front(Buried { uid, version });
        }
        Some(Change::Deleted(removed))
    }

    /// The deletion of the object, if it was reported.
    fn burial(&self, object: &K) -> Option<&Buried> {
        let uid = object.meta().uid.as_ref()?;
        self.buried.iter().find(|buried| buried.uid == *uid)
    }

    fn put(&mut self, mut object: K) -> Option<Change<K>> {
        object.meta_mut().managed_fields = None;
        let key = Key::of(&object);
        self.shown(&key);
        if let Some(known) = self.objects.get(&key)
            && known.uid() == object.uid()
            && version(known.meta()) >= version(object.meta())
        {
            return None;
        }
        let new = Arc::new(object);
        let old = self.objects.insert(key, Arc::clone(&new));
        Some(Change::Upserted { old, new })
    }

    /// Notes that every listing under way that speaks of `key` has shown it.
    fn shown(&mut self, key: &Key) {
        for (part, listed) in &mut self.listings {
            if part.covers(key) {
                listed.insert(key.clone());
            }
        }
    }

    /// True if everything is known that can be.
    fn is_synced(&self) -> bool {
        self.unlisted.is_subset(&self.refused)
    }
}

/// The known objects of one kind.
pub struct Cache<K> {
    inner: RwLock<Inner<K>>,
    synced: tokio::sync::watch::Sender<bool>,
}

impl<K: Resource> Default for Cache<K> {
    /// An empty cache, to be filled by one watch of everything.
    fn default() -> Self {
        Self::new([Part::Everything])
    }
}

impl<K: Resource> Cache<K> {
    /// An empty cache, to be filled by one watch for each of `parts`.
    #[must_use]
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let inner = Inner {
            objects: BTreeMap::new(),
            listings: BTreeMap::new(),
            unlisted: parts.into_iter().collect(),
            refused: BTreeSet::new(),
            buried: VecDeque::new(),
        };
        Self { inner: RwLock::new(inner), synced: tokio::sync::watch::Sender::new(false) }
    }

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

    /// Number of known objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// True if nothing is known (also before the first full listing).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if a full listing has been seen of every part that speaks of the object under `key`.
    #[must_use]
    pub fn has_listed(&self, key: &Key) -> bool {
        !self.read().unlisted.iter().any(|part| part.covers(key))
    }

    /// The parts of which no full listing has been seen yet.
    #[must_use]
    pub fn unlisted(&self) -> Vec<Part> {
        self.read().unlisted.iter().cloned().collect()
    }

    /// True if a full listing has been seen of every part but those that the server refuses.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.read().is_synced()
    }

    /// Waits until a full listing has been seen of every part but those that the server refuses.
    pub async fn wait_synced(&self) {
        let mut receiver = self.synced.subscribe();
        // The sender lives as long as the cache, so waiting cannot fail.
        let _ = receiver.wait_for(|synced| *synced).await;
    }

    /// Takes in an object that a watch shows; `None` if something newer is known, its deletion included. What left the
    /// selection of the watch, or was missing in a listing of the past, may come again.
    ///
    /// Drops the managed fields: nothing here needs them, and they can be larger than the rest of the object.
    pub fn apply(&self, object: K) -> Option<Change<K>> {
        let mut inner = self.write();
        let shown = version(object.meta());
        if inner.burial(&object).and_then(|buried| buried.version).is_some_and(|gone| gone >= shown) {
            return None;
        }
        inner.put(object)
    }

    /// Stores the answer to our own write; `None` if a newer version is known, or if the object may be deleted, which
    /// the watch reports.
    pub fn apply_answer(&self, object: K) -> Option<Change<K>> {
        let mut inner = self.write();
        let written = version(object.meta());
        if inner.burial(&object).is_some_and(|buried| buried.version.is_none_or(|gone| gone >= written)) {
            return None;
        }
        inner.put(object)
    }

    /// Takes in the deletion of the object with this metadata, which is all that need be readable of it; `None` if a
    /// newer object of that name is known.
    pub fn delete(&self, gone: &ObjectMeta) -> Option<Change<K>> {
        let key = Key::new(gone.namespace.clone().unwrap_or_default(), gone.name.clone().unwrap_or_default());
        let mut inner = self.write();
        let known = inner.objects.get(&key)?;
        if known.uid() != gone.uid && version(known.meta()) > version(gone) {
            return None;
        }
        inner.remove(&key, Some(version(gone)))
    }

    /// A full listing of `part` begins: what of it is not shown in the end is gone.
    pub fn begin_listing(&self, part: &Part) {
        self.write().listings.insert(part.clone(), BTreeSet::new());
    }

    /// Keeps an object that a listing showed but that could not be read: its last good state stays.
    pub fn keep(&self, key: &Key) {
        let mut inner = self.write();
        // Names of dropped objects are not kept, so that an endless listing fills no memory.
        if inner.objects.contains_key(key) {
            inner.shown(key);
        }
    }

    /// The server refuses to list `part`: nothing waits for it any more. Its known objects stay.
    pub fn refuse(&self, part: &Part) {
        let mut inner = self.write();
        inner.refused.insert(part.clone());
        self.synced.send_replace(inner.is_synced());
    }

    /// Completes the full listing of `part`; returns the deleted objects.
    pub fn end_listing(&self, part: &Part) -> Vec<Change<K>> {
        let mut inner = self.write();
        inner.unlisted.remove(part);
        let listed = inner.listings.remove(part).unwrap_or_default();
        let covered = inner.objects.keys().filter(|key| part.covers(key));
        let missing: Vec<Key> = covered.filter(|key| !listed.contains(*key)).cloned().collect();
        let gone = missing.iter().filter_map(|key| inner.remove(key, None)).collect();
        self.synced.send_replace(inner.is_synced());
        gone
    }
}

/// Resource versions of one kind are ordered integers (guaranteed since Kubernetes 1.35, true before).
fn version(object: &ObjectMeta) -> u64 {
    object.resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

    fn object(name: &str, uid: &str, version: &str) -> ConfigMap {
        object_in("ns", name, uid, version)
    }

    fn object_in(namespace: &str, name: &str, uid: &str, version: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some(namespace.into()),
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
        assert!(cache.delete(&object("a", "1", "15").metadata).is_none());
        assert!(cache.delete(&object("a", "2", "21").metadata).is_some());
        assert!(cache.is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_the_deletion_does_not_bring_the_object_back() {
        let cache = Cache::default();
        cache.apply(object("a", "1", "10"));
        assert!(cache.delete(&object("a", "1", "12").metadata).is_some());
        assert!(cache.apply_answer(object("a", "1", "11")).is_none());
        assert!(cache.apply(object("a", "1", "11")).is_none(), "nor does a watch of the past");
        assert!(cache.is_empty());
        assert!(cache.apply(object("a", "2", "13")).is_some(), "its successor is another object");
    }

    #[test]
    fn what_leaves_the_selection_of_a_watch_and_comes_again_is_known_again() {
        let cache = Cache::default();
        cache.apply(object("a", "1", "10"));
        cache.delete(&object("a", "1", "11").metadata);
        assert!(cache.apply(object("a", "1", "12")).is_some());
        assert_eq!(known(&cache, "a").as_deref(), Some("12"));
        cache.delete(&object("a", "1", "13").metadata);
        assert!(cache.apply(object("a", "1", "12")).is_none(), "it went once more");
    }

    #[test]
    fn a_listing_of_the_past_hides_what_is_newer_only_until_the_watch_shows_it() {
        let cache = Cache::default();
        cache.apply_answer(object("a", "1", "10"));
        cache.begin_listing(&Part::Everything);
        assert_eq!(cache.end_listing(&Part::Everything).len(), 1);
        assert!(cache.apply_answer(object("a", "1", "11")).is_none(), "it may be gone");
        assert!(cache.apply(object("a", "1", "10")).is_some());
    }

    #[test]
    fn a_listing_removes_what_it_does_not_show_but_not_what_was_written_meanwhile() {
        let cache = Cache::default();
        cache.apply(object("gone", "1", "1"));
        cache.apply(object("stays", "2", "2"));
        cache.begin_listing(&Part::Everything);
        cache.apply(object("stays", "2", "2"));
        cache.apply(object("written", "3", "30"));
        assert!(!cache.is_synced());
        let gone = cache.end_listing(&Part::Everything);
        assert_eq!(gone.len(), 1);
        assert_eq!(known(&cache, "gone"), None);
        assert_eq!(known(&cache, "stays").as_deref(), Some("2"));
        assert_eq!(known(&cache, "written").as_deref(), Some("30"));
        assert!(cache.is_synced());
    }

    #[test]
    fn who_wrote_which_field_is_not_kept() {
        let cache = Cache::default();
        let mut written = object("a", "1", "1");
        written.metadata.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
        cache.apply(written);
        assert_eq!(cache.get(&Key::new("ns", "a")).unwrap().metadata.managed_fields, None);
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_last_good_state() {
        let cache = Cache::default();
        cache.apply(object("a", "1", "1"));
        cache.begin_listing(&Part::Everything);
        cache.keep(&Key::new("ns", "a"));
        assert!(cache.end_listing(&Part::Everything).is_empty());
        assert_eq!(known(&cache, "a").as_deref(), Some("1"));
    }
    fn part(namespace: &str) -> Part {
        Part::Namespace(namespace.into())
    }

    fn names(cache: &Cache<ConfigMap>) -> Vec<String> {
        cache.list().iter().map(|object| Key::of(object.as_ref()).to_string()).collect()
    }

    #[test]
    fn the_listing_of_one_namespace_removes_nothing_of_another() {
        let cache = Cache::new([part("a"), part("b")]);
        cache.apply(object_in("a", "gone", "1", "1"));
        cache.apply(object_in("b", "stays", "2", "2"));
        cache.begin_listing(&part("a"));
        let gone = cache.end_listing(&part("a"));
        assert!(matches!(&gone[..], [Change::Deleted(object)] if object.name_any() == "gone"));
        assert_eq!(names(&cache), ["b/stays"]);
    }

    #[test]
    fn listings_of_several_namespaces_side_by_side_keep_what_each_has_shown() {
        let cache = Cache::new([part("a"), part("b")]);
        cache.begin_listing(&part("a"));
        cache.apply(object_in("a", "x", "1", "1"));
        cache.begin_listing(&part("b"));
        cache.apply(object_in("b", "y", "2", "2"));
        assert!(cache.end_listing(&part("a")).is_empty());
        // Shown by no listing, but written by us while one was under way.
        cache.apply(object_in("b", "written", "3", "30"));
        assert!(cache.end_listing(&part("b")).is_empty());
        assert_eq!(names(&cache), ["a/x", "b/written", "b/y"]);
    }

    #[test]
    fn a_listing_that_begins_anew_forgets_what_its_interrupted_forerunner_showed() {
        let cache = Cache::new([part("a"), part("b")]);
        cache.apply(object_in("b", "y", "2", "2"));
        cache.begin_listing(&part("a"));
        cache.apply(object_in("a", "x", "1", "1"));
        cache.begin_listing(&part("a"));
        assert_eq!(cache.end_listing(&part("a")).len(), 1);
        assert_eq!(names(&cache), ["b/y"]);
    }

    #[test]
    fn a_cache_is_synced_when_every_part_was_listed_once() {
        let cache = Cache::<ConfigMap>::new([part("a"), part("b")]);
        for _ in 0..2 {
            cache.begin_listing(&part("a"));
            cache.end_listing(&part("a"));
            assert!(!cache.is_synced());
        }
        cache.begin_listing(&part("b"));
        assert!(!cache.is_synced());
        cache.end_listing(&part("b"));
        assert!(cache.is_synced());
        cache.begin_listing(&part("a"));
        assert!(cache.is_synced(), "a later listing does not make it unknown again");
    }

    #[test]
    fn a_refused_part_keeps_nobody_waiting_and_is_not_taken_for_empty() {
        let cache = Cache::new([part("a"), part("b")]);
        cache.apply(object_in("b", "y", "2", "2"));
        cache.begin_listing(&part("a"));
        cache.end_listing(&part("a"));
        cache.refuse(&part("b"));
        assert!(cache.is_synced());
        assert_eq!((cache.unlisted(), names(&cache)), (vec![part("b")], vec!["b/y".to_owned()]));
        assert!(cache.has_listed(&Key::new("a", "x")) && !cache.has_listed(&Key::new("b", "y")));
        cache.begin_listing(&part("b"));
        cache.end_listing(&part("b"));
        assert!(cache.unlisted().is_empty() && cache.is_empty());
    }

    #[test]
    fn a_part_covers_its_own_objects_alone() {
        let (tenant, namespace) = (Key::new("a", "x"), Key::cluster("a"));
        assert!(Part::Everything.covers(&tenant) && Part::Everything.covers(&namespace));
        assert!(part("a").covers(&tenant) && !part("b").covers(&tenant) && !part("a").covers(&namespace));
        let named = Part::Named("a".into());
        assert!(named.covers(&namespace) && !named.covers(&Key::new("a", "a")) && !named.covers(&Key::cluster("b")));
    }
}
