//! Events for people, through `events.k8s.io`, on transitions only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource, ResourceExt};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::client::call;
use super::clock::Clock;
use super::kept::Kept;
use super::rate::{RateLimit, Spent};

/// Number of events that are sent at once. The work that they report continues meanwhile, and its writes come first.
const AT_ONCE: usize = 4;
/// So many wait to be sent at most; what comes while that many wait is lost.
const WAITING: usize = 8192;
/// The API server refuses longer names of whoever reports.
const MAX_INSTANCE_BYTES: usize = 128;
/// The API server refuses longer notes.
const MAX_NOTE_BYTES: usize = 1024;
/// The API server refuses longer reasons and actions.
const MAX_REASON_BYTES: usize = 128;
/// The API server refuses longer names of objects.
const MAX_NAME_BYTES: usize = 253;
/// Characters that tell events about one object apart.
const SUFFIX: usize = 16;
/// Events about one object: its status reports more frequent changes. client-go keeps to the same.
const RATE: RateLimit = RateLimit { burst: 25, interval: Duration::from_mins(5) };
/// Objects that are remembered at most, in some ten megabytes: about more of them in five minutes no event is sent.
const REMEMBERED: usize = 65_536;
/// Searches among them for those that need not be remembered any more: each looks at all.
const SEARCHES: RateLimit = RateLimit { burst: 1, interval: Duration::from_mins(1) };

/// Severity of an event: normal, or a warning that somebody should act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSeverity {
    /// The ordinary course of things.
    Normal,
    /// Something to look at.
    Warning,
}

impl EventSeverity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Publishes events without delaying or failing the work that they report.
///
/// kube's `Recorder` folds events by everything but their note and repeats the first note for ever; here each transition
/// is an event of its own.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
    slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    sent: Arc<Sent>,
    clock: Clock,
}

impl Events {
    /// Events are reported by `roadstead.dev/operator`, instance `instance` (the pod's name).
    #[must_use]
    pub fn new(client: Client, instance: &str, clock: Clock) -> Self {
        Self {
            client,
            instance: bounded(instance, MAX_INSTANCE_BYTES).to_owned(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            sent: Arc::default(),
            clock,
        }
    }

    /// Publishes one event about `object`, in the background. An event that is lost, or is one too many about the object,
    /// is logged and otherwise ignored.
    pub fn publish<K>(&self, object: &K, severity: EventSeverity, reason: &str, action: &str, note: &str)
    where
        K: Resource,
        K::DynamicType: Default,
    {
        let uid = object.uid().unwrap_or_default();
        let allowed = self.sent.take(&uid, self.clock.now());
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
            // An error means that the semaphore is closed, which is impossible while a task waits for a slot.
            let (_place, _slot) = (place, slots.acquire().await);
            if let Err(error) = call("create event", api.create(&PostParams::default(), &event)).await
                && !error.is_conflict()
            {
                tracing::debug!(%error, reason, "event lost");
            }
        });
    }

    fn event<K>(&self, object: &K, severity: EventSeverity, reason: &str, action: &str, note: &str) -> Event
    where
        K: Resource,
        K::DynamicType: Default,
    {
        let dynamic = K::DynamicType::default();
        let now = self.clock.wall();
        // Events about cluster-scoped objects live in the namespace `default`, as the API server demands.
        let namespace = object.namespace().unwrap_or_else(|| "default".to_owned());
        let digest = Sha256::digest(format!("{reason}\0{note}\0{}", now.as_nanosecond()));
        let suffix: String = HEXLOWER.encode(&digest).chars().take(SUFFIX).collect();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{suffix}", bounded(&object.name_any(), MAX_NAME_BYTES - SUFFIX - 1))),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            action: Some(bounded(action, MAX_REASON_BYTES).to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(cut(note)),
            reason: Some(bounded(reason, MAX_REASON_BYTES).to_owned()),
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

/// The events about each object, by its UID.
#[derive(Default)]
struct Sent {
    objects: Kept<String, Spent>,
    searches: Mutex<Spent>,
}

impl Sent {
    /// Counts one more event about the object if it may be sent at `now`, and returns whether it may.
    fn take(&self, uid: &String, now: Instant) -> bool {
        let has_room = || self.objects.count() < REMEMBERED;
        let is_known = self.objects.see(uid, |_| ()).is_some();
        if !is_known && !has_room() {
            if self.searches.lock().unwrap_or_else(PoisonError::into_inner).take(SEARCHES, now) {
                self.objects.retain(|_, spent| !spent.is_forgiven(now));
            }
            if !has_room() {
                return false;
            }
        }
        self.objects.change(uid, |spent| spent.take(RATE, now))
    }
}

/// The beginning of `text`, as many whole characters as fit.
fn bounded(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

fn cut(note: &str) -> String {
    if note.len() <= MAX_NOTE_BYTES {
        return note.to_owned();
    }
    format!("{}…", bounded(note, MAX_NOTE_BYTES - '…'.len_utf8()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;

    use super::*;

    #[test]
    fn an_object_that_changes_without_end_has_a_burst_of_events_and_then_one_every_five_minutes() {
        let (sent, start) = (Sent::default(), Clock::system().now());
        let count = |at| (0..100).filter(|_| sent.take(&"a".to_owned(), at)).count();
        assert_eq!(count(start), 25);
        assert_eq!(count(start + Duration::from_secs(299)), 0);
        assert_eq!(count(start + Duration::from_mins(11)), 2);
        assert!(sent.take(&"b".to_owned(), start), "another object is not held back");
        assert_eq!(count(start + Duration::from_hours(24)), 25);
    }

    #[test]
    fn one_object_stays_bounded_among_any_number_of_others() {
        let (sent, now) = (Sent::default(), Clock::system().now());
        assert_eq!((0..100).filter(|_| sent.take(&"storm".to_owned(), now)).count(), 25);
        let others = (0..2 * REMEMBERED).filter(|number| sent.take(&number.to_string(), now)).count();
        assert_eq!(others, REMEMBERED - 1, "memory is bounded");
        assert!(!sent.take(&"storm".to_owned(), now), "it was forgotten, and sends as if it never had");
        let later = now + RATE.interval;
        assert!(sent.take(&"new".to_owned(), later), "there is room again");
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let note = "é".repeat(1000);
        let short = cut(&note);
        assert!(short.len() <= MAX_NOTE_BYTES && short.ends_with('…'));
        assert_eq!(cut("short"), "short");
    }

    #[tokio::test]
    async fn an_event_about_an_object_of_the_longest_name_is_one_that_the_server_takes() {
        let nowhere = tower::service_fn(|_: http::Request<Body>| {
            std::future::ready(http::Response::builder().status(500).body(Body::empty()))
        });
        let events = Events::new(Client::new(nowhere, "default"), &"i".repeat(500), Clock::system());
        let mut object = ConfigMap::default();
        object.metadata.name = Some("n".repeat(MAX_NAME_BYTES));
        let long = "R".repeat(500);
        let event = events.event(&object, EventSeverity::Normal, &long, &long, "note");
        let other = events.event(&object, EventSeverity::Normal, "Other", &long, "note");
        let length = |text: &Option<String>| text.as_ref().map(String::len);
        assert_eq!(length(&event.metadata.name), Some(MAX_NAME_BYTES));
        assert_ne!(event.metadata.name, other.metadata.name);
        for text in [&event.reason, &event.action, &event.reporting_instance] {
            assert_eq!(length(text), Some(MAX_REASON_BYTES));
        }
        assert_eq!(event.regarding.and_then(|object| object.name), object.metadata.name, "it names the whole object");
    }
}
