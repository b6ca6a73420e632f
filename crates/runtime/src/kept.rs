//! Values kept for each object while the process lives. Losing one costs a read or a write, never an action.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value for each key, empty at first.
pub struct Kept<K, V> {
    all: Mutex<HashMap<K, V>>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { all: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, V> Kept<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of `ask` about the value of `key`; `None` where none is kept.
    pub fn see<T>(&self, key: &K, ask: impl FnOnce(&V) -> T) -> Option<T> {
        self.lock().get(key).map(ask)
    }

    /// The result of `change` on the value of `key`.
    pub fn change<T>(&self, key: &K, change: impl FnOnce(&mut V) -> T) -> T
    where
        V: Default,
    {
        change(self.lock().entry(key.clone()).or_default())
    }

    /// The result of `change` on the value of `key`; `None` where none is kept.
    pub fn change_known<T>(&self, key: &K, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        self.lock().get_mut(key).map(change)
    }

    /// Drops the value of `key`.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Drops the values that `keep` does not want.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.lock().retain(|key, value| keep(key, value));
    }

    /// Number of keys with a value.
    pub fn count(&self) -> usize {
        self.lock().len()
    }
}
