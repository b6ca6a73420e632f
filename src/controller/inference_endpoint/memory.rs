//! What is kept of an endpoint between two looks at it. Losing it costs a re-read, never an action.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;

use crate::api::v1alpha1::InferenceEndpoint;
use crate::controller::allowance::Allowance;
use crate::controller::pace::Pace;
use crate::kube_ext::cache::Key;
use crate::provider::{Redacted, Secret};

/// Tenants' Secrets are read again after this long, plus up to a fifth of it so that not all are read at once: a net below
/// the looks that notice their changes.
const RESYNC: Duration = Duration::from_mins(5);

/// Which endpoint of a name, which spec of it, and the last request of its deployment's users to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    uid: Option<String>,
    generation: Option<i64>,
    requested_at: Option<String>,
}

impl Edition {
    /// The edition of `endpoint`, after the request `requested_at`.
    pub fn new(endpoint: &InferenceEndpoint, requested_at: Option<String>) -> Self {
        Self { uid: endpoint.uid(), generation: endpoint.metadata.generation, requested_at }
    }
}

/// What an endpoint is made from, as last read.
#[derive(Clone)]
pub struct Inputs {
    /// What they were read for.
    pub edition: Edition,
    /// When they are to be read again.
    pub good_until: Instant,
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
    /// How often each was written lately.
    pub allowance: Allowance,
    /// For what each was last said to wait unusually long.
    overdue: Mutex<HashMap<Key, String>>,
    /// Until when a provider asked not to be asked about each.
    throttled: Mutex<HashMap<Key, Instant>>,
}

impl Memory {
    /// The inputs of the endpoint, if they were read for this edition, and not too long ago.
    pub fn inputs(&self, key: &Key, edition: &Edition) -> Option<Inputs> {
        let inputs = self.inputs.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()?;
        (inputs.edition == *edition && Instant::now() < inputs.good_until).then_some(inputs)
    }

    /// Keeps the inputs of an endpoint.
    pub fn keep(&self, key: &Key, inputs: Inputs) {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), inputs);
    }

    /// A provider asked not to be asked about an endpoint for so long.
    pub fn throttle(&self, key: &Key, time: Duration) {
        self.throttled.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Instant::now() + time);
    }

    /// For how long its provider is not to be asked about an endpoint, whatever is new.
    pub fn throttled(&self, key: &Key) -> Option<Duration> {
        let mut throttled = self.throttled.lock().unwrap_or_else(PoisonError::into_inner);
        let left = throttled.get(key)?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            throttled.remove(key);
            return None;
        }
        Some(left)
    }

    /// Forgets what was read for an endpoint: it is not so any more.
    pub fn outdated(&self, key: &Key) {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Whether it is new that the endpoint waits unusually long for `reason`; `None` is for nothing.
    pub fn is_newly_overdue(&self, key: &Key, reason: Option<&str>) -> bool {
        let mut overdue = self.overdue.lock().unwrap_or_else(PoisonError::into_inner);
        let told = overdue.remove(key);
        overdue.extend(reason.map(|reason| (key.clone(), reason.to_owned())));
        reason.is_some() && told.as_deref() != reason
    }

    /// Forgets an endpoint.
    pub fn forget(&self, key: &Key) {
        self.pace.forget(key);
        self.allowance.forget(key);
        self.is_newly_overdue(key, None);
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.throttled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// How long what was read for an endpoint is good for: [`RESYNC`] and up to a fifth more, spread by the endpoint's name.
pub fn resync_of(key: &Key) -> Duration {
    let spread = key.name.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 60);
    RESYNC + Duration::from_secs(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_good_for_the_same_endpoint_and_spec_and_request_alone() {
        let edition = |uid: &str, generation, requested_at: Option<&str>| Edition {
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            requested_at: requested_at.map(ToOwned::to_owned),
        };
        let (memory, key) = (Memory::default(), Key::new("team", "llama-a"));
        let read = edition("a", 1, None);
        let kept = |good_until| Inputs {
            edition: read.clone(),
            good_until,
            api_key: Redacted::new("rs-key".to_owned()),
            secrets: Arc::default(),
        };
        memory.keep(&key, kept(Instant::now()));
        assert!(memory.inputs(&key, &read).is_none(), "its time is over");
        memory.keep(&key, kept(Instant::now() + RESYNC));
        assert!(memory.inputs(&key, &read).is_some());
        for other in [edition("b", 1, None), edition("a", 2, None), edition("a", 1, Some("now"))] {
            assert!(memory.inputs(&key, &other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_provider_is_left_alone_for_as_long_as_it_asked_and_for_that_endpoint_alone() {
        let (memory, key) = (Memory::default(), Key::new("team", "llama-a"));
        assert_eq!(memory.throttled(&key), None);
        memory.throttle(&key, Duration::from_mins(1));
        assert!(memory.throttled(&key).is_some_and(|left| left > Duration::from_secs(59)));
        assert_eq!(memory.throttled(&Key::new("team", "llama-b")), None);
        memory.throttle(&key, Duration::ZERO);
        assert_eq!(memory.throttled(&key), None, "its time is over");
    }
}
