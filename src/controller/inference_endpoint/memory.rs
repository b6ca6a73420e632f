//! Memory between two reconciles of an endpoint. Its loss costs a read, never an action.
//!
//! Only the endpoint controller writes it. The schedule of observations is in `controller::looks`, because watches and
//! drivers change it while an observation is in progress.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::first_creation::FirstCreation;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_model::Timestamp;
use roadstead_provider::{Redacted, Secret};
use roadstead_runtime::cache::Key;
use roadstead_runtime::kept::Kept;

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

/// Inputs of an endpoint, as last read.
#[derive(Clone)]
pub struct Inputs {
    /// Edition of the endpoint for which they were read.
    pub edition: Edition,
    /// Time of the next read.
    pub good_until: Instant,
    /// The endpoint's own API key.
    pub api_key: Redacted,
    /// The tenant's Secrets that the endpoint names.
    pub secrets: Arc<BTreeMap<String, Secret>>,
}

/// By endpoint.
#[derive(Default)]
pub struct Memory {
    slots: Kept<Key, EndpointEntry>,
}

#[derive(Default)]
struct EndpointEntry {
    inputs: Option<Inputs>,
    /// The API key as last read beside the inputs, and the time of its next read.
    recorded_key: Option<(Redacted, Instant)>,
    /// Start time of the look at it that is in progress.
    look_began: Option<Timestamp>,
    /// Progress of its first creation.
    first: FirstCreation,
    /// For what it was last said to wait unusually long.
    overdue: Option<String>,
    /// Until when a provider asked not to be asked about it.
    throttled: Option<Instant>,
}

impl Memory {
    /// The inputs of the endpoint, if they were read for this edition, and not too long ago.
    pub fn inputs(&self, key: &Key, edition: &Edition, now: Instant) -> Option<Inputs> {
        let are_good = |inputs: &&Inputs| inputs.edition == *edition && now < inputs.good_until;
        self.slots.see(key, |slot| slot.inputs.as_ref().filter(are_good).cloned())?
    }

    /// Keeps the inputs of an endpoint.
    pub fn keep(&self, key: &Key, inputs: Inputs) {
        self.slots.change(key, |slot| slot.inputs = Some(inputs));
    }

    /// A look at an endpoint begins.
    pub fn begin_look(&self, key: &Key, now: Timestamp) {
        self.slots.change(key, |slot| slot.look_began = Some(now));
    }

    /// Start time of the look at an endpoint that is in progress.
    pub fn look_began(&self, key: &Key) -> Option<Timestamp> {
        self.slots.see(key, |slot| slot.look_began)?
    }

    /// The API key of the endpoint, if it was read recently.
    pub fn recorded_key(&self, key: &Key, now: Instant) -> Option<Redacted> {
        let is_good = |(_, good_until): &&(Redacted, Instant)| now < *good_until;
        self.slots.see(key, |slot| {
            let read =
                slot.inputs.as_ref().filter(|inputs| now < inputs.good_until).map(|inputs| inputs.api_key.clone());
            read.or_else(|| slot.recorded_key.as_ref().filter(is_good).map(|(known, _)| known.clone()))
        })?
    }

    /// Keeps the API key of an endpoint whose other inputs are not read.
    pub fn keep_recorded_key(&self, key: &Key, known: Redacted, good_until: Instant) {
        self.slots.change(key, |slot| slot.recorded_key = Some((known, good_until)));
    }

    /// A provider asked not to be asked about an endpoint until then.
    pub fn throttle(&self, key: &Key, until: Instant) {
        self.slots.change(key, |slot| slot.throttled = Some(until));
    }

    /// For how long its provider is not to be asked about an endpoint, whatever is new.
    pub fn throttled(&self, key: &Key, now: Instant) -> Option<Duration> {
        let until = self.slots.see(key, |slot| slot.throttled)??;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Forgets what was read for an endpoint: it is not so any more.
    pub fn outdated(&self, key: &Key) {
        self.slots.change_known(key, |slot| (slot.inputs, slot.recorded_key) = (None, None));
    }

    /// True if it is new that the endpoint waits unusually long for `reason`; `None` is for nothing.
    pub fn is_newly_overdue(&self, key: &Key, reason: Option<&str>) -> bool {
        let told = self.slots.change(key, |slot| std::mem::replace(&mut slot.overdue, reason.map(ToOwned::to_owned)));
        reason.is_some() && told.as_deref() != reason
    }

    /// The result of `change` on how far the first creation of an endpoint is.
    pub fn first_creation<T>(
        &self,
        endpoint: &InferenceEndpoint,
        change: impl FnOnce(&mut FirstCreation, &InferenceEndpoint) -> T,
    ) -> T {
        self.slots.change(&Key::of(endpoint), |slot| change(&mut slot.first, endpoint))
    }

    /// Forgets an endpoint.
    pub fn forget(&self, key: &Key) {
        self.slots.forget(key);
    }
}

/// Validity of an endpoint's inputs: [`RESYNC`] and up to a fifth more, spread by the endpoint's name.
pub fn resync_of(key: &Key) -> Duration {
    let spread = key.name.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 60);
    RESYNC + Duration::from_secs(spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadstead_runtime::clock::Clock;

    #[test]
    fn what_was_read_is_good_for_the_same_endpoint_and_spec_and_request_alone() {
        let edition = |uid: &str, generation, requested_at: Option<&str>| Edition {
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            requested_at: requested_at.map(ToOwned::to_owned),
        };
        let (memory, key) = (Memory::default(), Key::new("team", "llama-a"));
        let now = Clock::system().now();
        let read = edition("a", 1, None);
        let kept = |good_until| Inputs {
            edition: read.clone(),
            good_until,
            api_key: Redacted::new("rs-key".to_owned()),
            secrets: Arc::default(),
        };
        memory.keep(&key, kept(now));
        assert!(memory.inputs(&key, &read, now).is_none(), "its time is over");
        memory.keep(&key, kept(now + RESYNC));
        assert!(memory.inputs(&key, &read, now).is_some());
        for other in [edition("b", 1, None), edition("a", 2, None), edition("a", 1, Some("now"))] {
            assert!(memory.inputs(&key, &other, now).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_provider_is_left_alone_for_as_long_as_it_asked_and_for_that_endpoint_alone() {
        let (memory, key) = (Memory::default(), Key::new("team", "llama-a"));
        let now = Clock::system().now();
        assert_eq!(memory.throttled(&key, now), None);
        memory.throttle(&key, now + Duration::from_mins(1));
        assert_eq!(memory.throttled(&key, now), Some(Duration::from_mins(1)));
        assert_eq!(memory.throttled(&Key::new("team", "llama-b"), now), None);
        assert_eq!(memory.throttled(&key, now + Duration::from_mins(1)), None, "its time is over");
    }
}
