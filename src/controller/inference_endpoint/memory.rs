//! What is kept of an endpoint between two looks at it. Losing it costs a re-read, never an action.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::controller::pace::Pace;
use crate::kube_ext::cache::Key;
use crate::provider::{Redacted, Secret};

/// Tenants' Secrets are read again after this long, plus up to a fifth of it so that not all are read at once.
pub const RESYNC: Duration = Duration::from_mins(5);

/// What an endpoint is made from, as last read.
#[derive(Clone)]
pub struct Inputs {
    /// The generation of the endpoint that they were read for.
    pub generation: i64,
    /// The last request of the deployment's users to look again that they were read after.
    pub requested_at: Option<String>,
    /// When they were read.
    pub read_at: Instant,
    /// The endpoint's own API key.
    pub api_key: Redacted,
    /// The tenant's Secrets that the endpoint names.
    pub secrets: Arc<BTreeMap<String, Secret>>,
}

/// By endpoint.
#[derive(Default)]
pub struct Memory {
    inputs: Mutex<HashMap<Key, Inputs>>,
    /// Since when news of each waits to be written.
    pub pace: Pace,
}

impl Memory {
    /// The inputs of the endpoint, if they were read for this generation, after this request to look again, and not too
    /// long ago.
    pub fn inputs(&self, key: &Key, generation: i64, requested_at: Option<&String>) -> Option<Inputs> {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()?;
        let same = inputs.generation == generation && inputs.requested_at.as_ref() == requested_at;
        (same && inputs.read_at.elapsed() < RESYNC).then_some(inputs)
    }

    /// Keeps the inputs of an endpoint.
    pub fn keep(&self, key: &Key, inputs: Inputs) {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), inputs);
    }

    /// Forgets an endpoint.
    pub fn forget(&self, key: &Key) {
        self.pace.forget(key);
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// When to look again by itself: [`RESYNC`] and up to a fifth more, spread by the endpoint's name.
pub fn resync_of(key: &Key) -> Duration {
    let spread = key.name.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 60);
    RESYNC + Duration::from_secs(spread)
}
