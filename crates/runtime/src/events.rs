//! Events for people, through `events.k8s.io`, on transitions only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource, ResourceExt};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::client::call;

/// So many are sent at once. What they tell about goes on meanwhile, and its writes go first.
const AT_ONCE: usize = 4;
/// So many wait to be sent at most; what comes while that many wait is lost.
const WAITING: usize = 8192;
/// The API server refuses longer names of whoever reports.
const MAX_INSTANCE_BYTES: usize = 128;
/// The API server refuses longer notes.
const MAX_NOTE_BYTES: usize = 1024;
/// Events about one object in quick succession: what changes more often than that is told by its status.
const BURST: u32 = 25;
/// How long it takes until one more event about the object may be sent.
const REFILL: Duration = Duration::from_mins(5);
/// Objects that are remembered at most: with more, all are forgotten.
const REMEMBERED: usize = 16_384;

/// Whether an event reports the ordinary course of things or something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The ordinary course of things.
    Normal,
    /// Something to look at.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Publishes events without holding up or failing what they tell about.
///
/// kube's `Recorder` folds events by everything but their note and repeats the first note for ever; here each transition
/// is an event of its own.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
    slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    allowances: Arc<Mutex<Allowances>>,
}

impl Events {
    /// Events are reported by `roadstead.dev/operator`, instance `instance` (the pod's name).
    #[must_use]
    pub fn new(client: Client, mut instance: String) -> Self {
        instance.truncate(instance.floor_char_boundary(MAX_INSTANCE_BYTES));
        Self {
            client,
            instance,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            allowances: Arc::default(),
        }
    }

    /// Publishes one event about `object`, in the background. An event that is lost, or is one too many about the object,
    /// is logged and otherwise ignored.
    pub fn publish<K>(&self, object: &K, severity: Severity, reason: &str, action: &str, note: &str)
    where
        K: Resource,
        K::DynamicType: Default,
    {
        let uid = object.uid().unwrap_or_default();
        let allowed = self.allowances.lock().unwrap_or_else(PoisonError::into_inner).take(&uid, Instant::now());
        let Some(place) = Arc::clone(&self.waiting).try_acquire_owned().ok().filter(|_| allowed) else {
            tracing::debug!(reason, "event not sent: too many");
            return;
        };
        let event = self.event(object, severity, reason, action, note);
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let reason = reason.to_owned();
        let slots = Arc::clone(&self.slots);
        tokio::spawn(async move {
            // An error means that nobody gives slots out any more, which cannot be while one is waited for.
            let (_place, _slot) = (place, slots.acquire().await);
            if let Err(error) = call("create event", api.create(&PostParams::default(), &event)).await
                && !error.is_conflict()
            {
                tracing::debug!(%error, reason, "event lost");
            }
        });
    }

    fn event<K>(&self, object: &K, severity: Severity, reason: &str, action: &str, note: &str) -> Event
    where
        K: Resource,
        K::DynamicType: Default,
    {
        let dynamic = K::DynamicType::default();
        let now = jiff::Timestamp::now();
        // Events about cluster-scoped objects live in the namespace `default`, as the API server demands.
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        let digest = Sha256::digest(format!("{reason}\0{note}\0{}", now.as_nanosecond()));
        let suffix: String = HEXLOWER.encode(&digest).chars().take(16).collect();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{suffix}", object.name_any())),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            action: Some(action.to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(bounded(note)),
            reason: Some(reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(K::api_version(&dynamic).into_owned()),
                kind: Some(K::kind(&dynamic).into_owned()),
                name: Some(object.name_any()),
                namespace: object.namespace(),
                resource_version: object.resource_version(),
                uid: object.uid(),
                ..ObjectReference::default()
            }),
            reporting_controller: Some("roadstead.dev/operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(severity.as_str().to_owned()),
            ..Event::default()
        }
    }
}

/// How many more events may be sent about each object.
#[derive(Default)]
struct Allowances {
    /// What was used of the burst, and when that was last counted, by the object's UID.
    used: HashMap<String, (u32, Instant)>,
}

impl Allowances {
    /// Whether one more event about the object may be sent at `now`.
    fn take(&mut self, uid: &str, now: Instant) -> bool {
        if self.used.len() >= REMEMBERED && !self.used.contains_key(uid) {
            self.used.clear();
        }
        let (used, counted) = self.used.entry(uid.to_owned()).or_insert((0, now));
        let refills = u32::try_from(now.duration_since(*counted).as_secs() / REFILL.as_secs()).unwrap_or(u32::MAX);
        *used = used.saturating_sub(refills);
        *counted += REFILL * refills;
        let allowed = *used < BURST;
        *used += u32::from(allowed);
        allowed
    }
}

fn bounded(note: &str) -> String {
    if note.len() <= MAX_NOTE_BYTES {
        return note.to_owned();
    }
    let end = note.floor_char_boundary(MAX_NOTE_BYTES - '…'.len_utf8());
    format!("{}…", note.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_changes_without_end_has_a_burst_of_events_and_then_one_every_five_minutes() {
        let (mut allowances, start) = (Allowances::default(), Instant::now());
        let sent = |allowances: &mut Allowances, at| (0..100).filter(|_| allowances.take("a", at)).count();
        assert_eq!(sent(&mut allowances, start), 25);
        assert_eq!(sent(&mut allowances, start + Duration::from_secs(299)), 0);
        assert_eq!(sent(&mut allowances, start + Duration::from_mins(11)), 2);
        assert!(allowances.take("b", start), "another object is not held back");
        assert_eq!(sent(&mut allowances, start + Duration::from_hours(24)), 25);
    }

    #[test]
    fn objects_without_number_are_not_remembered_without_end() {
        let (mut allowances, now) = (Allowances::default(), Instant::now());
        for number in 0..2 * REMEMBERED {
            assert!(allowances.take(&number.to_string(), now));
        }
        assert!(allowances.used.len() <= REMEMBERED);
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = "é".repeat(1000);
        let cut = bounded(&note);
        assert!(cut.len() <= MAX_NOTE_BYTES && cut.ends_with('…'));
        assert_eq!(bounded("short"), "short");
    }
}
