//! Notices that a Secret which an endpoint uses was made, changed or deleted, without the right to list or watch Secrets.
//!
//! Each Secret in use is polled by its name: only its metadata, from the API server's own cache, and with a limit of
//! polls a second for any size of fleet. Missing Secrets come first, because an endpoint waits for them. ADR 0019 gives
//! the reasons.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use roadstead_runtime::cache::Key;

/// Number of Secrets in a batch: 50 a second, which an API server answers from its own cache with a small part
/// of one processor.
const BATCH: usize = 10;
/// Interval of polls of a Secret that an endpoint uses.
const ROUND: Duration = Duration::from_secs(10);
/// First interval of polls of a missing Secret; it doubles up to that of an existing one.
const MISSING_AGAIN: Duration = Duration::from_secs(1);
/// Identity and version of a Secret: UID and resource version; `None` if it does not exist.
pub type Version = Option<(String, String)>;

/// The version of a Secret, whichever part of it was read.
pub fn version_of(secret: &impl ResourceExt) -> Version {
    secret.uid().zip(secret.resource_version())
}

/// The Secrets that endpoints use.
pub struct NamedSecrets {
    state: Mutex<State>,
}

impl Default for NamedSecrets {
    fn default() -> Self {
        Self::every(ROUND)
    }
}

struct State {
    /// Interval of polls of an existing Secret in a fleet that is small enough.
    round: Duration,
    secrets: HashMap<Key, Used>,
    /// The Secrets that each endpoint uses.
    of: HashMap<Key, BTreeSet<Key>>,
    /// Due times of missing Secrets.
    missing: BTreeSet<(Instant, Key)>,
    /// Due times of existing Secrets.
    present: BTreeSet<(Instant, Key)>,
    /// Endpoints of which something changed since they read it.
    stale: HashSet<Key>,
}

/// A Secret in use.
struct Used {
    /// The version that each endpoint read.
    by: BTreeMap<Key, Version>,
    missing: bool,
    /// Number of consecutive polls without the Secret.
    misses: u32,
    next: Instant,
}

impl State {
    fn unschedule(&mut self, secret: &Key) {
        if let Some(used) = self.secrets.get(secret) {
            let entry = (used.next, secret.clone());
            self.missing.remove(&entry);
            self.present.remove(&entry);
        }
    }

    /// Computes the next poll of a Secret after an observation.
    fn schedule(&mut self, secret: &Key, missing: bool, now: Instant) {
        self.unschedule(secret);
        let Some(used) = self.secrets.get_mut(secret) else { return };
        used.misses = if missing && used.missing { used.misses.saturating_add(1) } else { 0 };
        used.missing = missing;
        let wait =
            if missing { MISSING_AGAIN.saturating_mul(1 << used.misses.min(4)).min(self.round) } else { self.round };
        used.next = now + wait;
        let entry = (used.next, secret.clone());
        if missing {
            self.missing.insert(entry)
        } else {
            self.present.insert(entry)
        };
    }

    fn drop_user(&mut self, secret: &Key, endpoint: &Key) {
        let Some(used) = self.secrets.get_mut(secret) else { return };
        used.by.remove(endpoint);
        if used.by.is_empty() {
            self.unschedule(secret);
            self.secrets.remove(secret);
        }
    }
}

impl NamedSecrets {
    /// Existing Secrets are polled at this interval, as far as the limit of polls a second allows.
    #[must_use]
    pub fn every(round: Duration) -> Self {
        let state = State {
            round,
            secrets: HashMap::new(),
            of: HashMap::new(),
            missing: BTreeSet::new(),
            present: BTreeSet::new(),
            stale: HashSet::new(),
        };
        Self { state: Mutex::new(state) }
    }

    /// Takes down which Secrets, beside it, an endpoint has just read, and in which version.
    pub fn read(&self, endpoint: &Key, versions: BTreeMap<String, Version>, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets: BTreeMap<Key, Version> =
            versions.into_iter().map(|(name, version)| (Key::new(&endpoint.namespace, name), version)).collect();
        let before = state.of.insert(endpoint.clone(), secrets.keys().cloned().collect()).unwrap_or_default();
        for secret in before.iter().filter(|secret| !secrets.contains_key(*secret)) {
            state.drop_user(secret, endpoint);
        }
        for (secret, version) in secrets {
            let missing = version.is_none();
            let used = state.secrets.entry(secret.clone()).or_insert_with(|| Used {
                by: BTreeMap::new(),
                missing: false,
                misses: 0,
                next: now,
            });
            used.by.insert(endpoint.clone(), version);
            state.schedule(&secret, missing, now);
        }
    }

    /// Forgets an endpoint.
    pub fn forget(&self, endpoint: &Key) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stale.remove(endpoint);
        for secret in state.of.remove(endpoint).unwrap_or_default() {
            state.drop_user(&secret, endpoint);
        }
    }

    /// True if something changed since the endpoint read it; resets the mark.
    pub fn take_stale(&self, endpoint: &Key) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stale.remove(endpoint)
    }

    /// The Secrets to poll now; existing ones only if it is `calm`.
    pub fn due(&self, now: Instant, calm: bool) -> Vec<Key> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let due = |(next, secret): &(Instant, Key)| (*next <= now).then(|| secret.clone());
        let present = state.present.iter().map_while(due).take(if calm { BATCH } else { 0 });
        // Neither keeps the other waiting.
        let missing: Vec<Key> = state.missing.iter().map_while(due).take(BATCH / 2).collect();
        let room = BATCH - missing.len();
        missing.into_iter().chain(present.take(room)).collect()
    }

    /// Takes down what was seen of a Secret; returns the endpoints that read another version.
    pub fn saw(&self, secret: &Key, version: &Version, now: Instant) -> Vec<Key> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(used) = state.secrets.get_mut(secret) else { return Vec::new() };
        let differ = used.by.iter_mut().filter(|(_, read)| *read != version);
        let outdated: Vec<Key> = differ
            .map(|(endpoint, read)| {
                read.clone_from(version);
                endpoint.clone()
            })
            .collect();
        state.stale.extend(outdated.iter().cloned());
        state.schedule(secret, version.is_none(), now);
        drop(state);
        outdated
    }

    /// Looks at a Secret another time, for it could not be asked for.
    pub fn postpone(&self, secret: &Key, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = state.secrets.get(secret).is_some_and(|used| used.missing);
        state.schedule(secret, missing, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadstead_runtime::clock::Clock;

    fn endpoint(name: &str) -> Key {
        Key::new("team", name)
    }

    fn secret(name: &str) -> Key {
        Key::new("team", name)
    }

    /// The version of a Secret that is there; of none if it is empty.
    fn version(version: &str) -> Version {
        (!version.is_empty()).then(|| ("uid".to_owned(), version.to_owned()))
    }

    fn read(named: &NamedSecrets, by: &str, versions: &[(&str, Version)], now: Instant) {
        let versions = versions.iter().map(|(name, version)| ((*name).to_owned(), version.clone())).collect();
        named.read(&endpoint(by), versions, now);
    }

    #[test]
    fn whoever_read_another_version_is_told_once() {
        let (named, now) = (NamedSecrets::default(), Clock::system().now());
        read(&named, "a", &[("token", version("1"))], now);
        read(&named, "b", &[("token", version("2"))], now);
        assert_eq!(named.saw(&secret("token"), &version("2"), now), [endpoint("a")]);
        assert!(
            named.take_stale(&endpoint("a")) && !named.take_stale(&endpoint("a")) && !named.take_stale(&endpoint("b"))
        );
        assert!(named.saw(&secret("token"), &version("2"), now).is_empty(), "it was told");
        assert_eq!(named.saw(&secret("token"), &None, now), [endpoint("a"), endpoint("b")], "it was deleted");
        assert_eq!(named.saw(&secret("token"), &version("3"), now), [endpoint("a"), endpoint("b")], "it was made anew");
    }

    #[test]
    fn what_is_there_is_looked_at_every_round_and_what_is_missing_sooner_at_first() {
        let (named, start) = (NamedSecrets::default(), Clock::system().now());
        read(&named, "a", &[("there", version("1")), ("gone", None)], start);
        let mut looks: BTreeMap<Key, Vec<u64>> = BTreeMap::new();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            for key in named.due(now, true) {
                let seen = if key.name == "there" { version("1") } else { None };
                assert!(named.saw(&key, &seen, now).is_empty());
                looks.entry(key).or_default().push(second);
            }
        }
        assert_eq!(looks[&secret("there")], [10, 20, 30, 40, 50]);
        assert_eq!(looks[&secret("gone")], [1, 3, 7, 15, 25, 35, 45, 55]);
    }

    #[test]
    fn a_large_fleet_is_looked_at_at_the_same_pace_one_after_another() {
        let (named, start) = (NamedSecrets::default(), Clock::system().now());
        let many = 25 * BATCH;
        for number in 0..many {
            read(&named, &format!("e{number}"), &[(&format!("key-{number}"), version("1"))], start);
        }
        let later = start + ROUND;
        let mut seen = BTreeSet::new();
        for _ in 0..25 {
            let due = named.due(later, true);
            assert_eq!(due.len(), BATCH);
            for key in due {
                named.saw(&key, &version("1"), later);
                seen.insert(key);
            }
        }
        assert_eq!(seen.len(), many, "each came once before any came again");
        assert!(named.due(later, true).is_empty());
    }

    #[test]
    fn while_there_is_much_to_do_only_what_somebody_waits_for_is_looked_at() {
        let (named, start) = (NamedSecrets::default(), Clock::system().now());
        read(&named, "a", &[("there", version("1")), ("gone", None)], start);
        assert_eq!(named.due(start + ROUND, false), [secret("gone")]);
    }

    #[test]
    fn what_nobody_uses_any_more_is_not_looked_at() {
        let (named, start) = (NamedSecrets::default(), Clock::system().now());
        read(&named, "a", &[("token", version("1")), ("old", version("1"))], start);
        read(&named, "b", &[("token", version("1"))], start);
        read(&named, "a", &[("token", version("1"))], start);
        let due = || named.due(start + ROUND, true);
        assert_eq!(due(), [secret("token")]);
        named.forget(&endpoint("a"));
        assert_eq!(due(), [secret("token")]);
        named.forget(&endpoint("b"));
        assert!(due().is_empty() && named.saw(&secret("token"), &version("2"), start).is_empty());
    }

    #[test]
    fn a_secret_that_cannot_be_asked_for_is_asked_for_again_and_nobody_is_told() {
        let (named, start) = (NamedSecrets::default(), Clock::system().now());
        read(&named, "a", &[("token", version("1"))], start);
        let later = start + ROUND;
        named.postpone(&secret("token"), later);
        assert!(named.due(later, true).is_empty() && !named.take_stale(&endpoint("a")));
        assert_eq!(named.due(later + ROUND, true), [secret("token")]);
    }
}
