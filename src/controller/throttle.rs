//! The one throttle of statuses: news that can wait is held back, news that thousands have at once is written one after
//! another, and no status is written without end, whatever happens at its place. Losing it costs some writes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use roadstead_runtime::cache::Key;
use roadstead_runtime::kept::Kept;
use roadstead_runtime::rate::{RateLimit, Spent};

/// Words about pods that fail are written at most this often: a member can have other ones every second.
pub const WORDS_OF_REPLICAS: Duration = Duration::from_secs(15);

/// Counts of ready replicas, neither none nor all of them, are written at most this often: a start of 128 replicas would
/// else be as many writes, and no decision depends on them.
pub const COUNTS: Duration = Duration::from_secs(5);

/// Writes of one status. The first rate stops a burst: a start or a removal needs fewer writes. The second one stops a storm
/// that goes on for minutes, such as replicas that come and go every second.
const RATES: [RateLimit; 2] = [
    RateLimit { burst: 10, interval: Duration::from_secs(10) },
    RateLimit { burst: 30, interval: Duration::from_mins(1) },
];

/// Time between the turns of two objects: 25 writes a second are a small part of what an API server takes, and 5,000
/// deployments are through in some three minutes.
const BETWEEN_TURNS: Duration = Duration::from_millis(40);

/// Time within which news must be in a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// At once.
    Now,
    /// This long after it was first seen: what comes meanwhile is written with it.
    Within(Duration),
    /// At the object's turn: one edit of a target can be news to thousands of deployments, none of them in a hurry.
    InTurn,
}

/// The status of one object: its kind and key.
pub type Subject = (&'static str, Key);

/// Recent writes of each status, and news that waits.
#[derive(Default)]
pub struct Throttle {
    statuses: Kept<Subject, StatusEntry>,
    last_turn: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct StatusEntry {
    /// First sight of news that is not written.
    waiting: Option<Instant>,
    turn: Option<Instant>,
    spent: [Spent; RATES.len()],
}

impl Throttle {
    /// Time for which news of this urgency is held back; `None` if it is to be written now.
    pub fn wait(&self, subject: &Subject, urgency: Urgency, now: Instant) -> Option<Duration> {
        self.statuses.change(subject, |slot| {
            let due = match urgency {
                Urgency::Now => now,
                Urgency::Within(time) => *slot.waiting.get_or_insert(now) + time,
                Urgency::InTurn => *slot.turn.get_or_insert_with(|| self.next_turn(now)),
            };
            let held_back = Some(due.saturating_duration_since(now)).filter(|left| !left.is_zero());
            held_back.or_else(|| slot.spent.iter().zip(RATES).filter_map(|(spent, rate)| spent.wait(rate, now)).max())
        })
    }

    fn next_turn(&self, now: Instant) -> Instant {
        let mut last = self.last_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let next = last.map_or(now, |last| now.max(last + BETWEEN_TURNS));
        *last = Some(next);
        next
    }

    /// The status was written.
    pub fn wrote(&self, subject: &Subject, now: Instant) {
        self.statuses.change(subject, |slot| {
            slot.spent.iter_mut().zip(RATES).for_each(|(spent, rate)| spent.spend(rate, now));
        });
    }

    /// No news waits any more: it was written, or is none.
    pub fn settled(&self, subject: &Subject) {
        self.statuses.change_known(subject, |slot| (slot.waiting, slot.turn) = (None, None));
    }

    /// A user wants something else of the object: what was written before does not count.
    pub fn edited(&self, subject: &Subject) {
        self.statuses.change_known(subject, |slot| slot.spent = [Spent::default(); RATES.len()]);
    }

    /// The object is gone.
    pub fn forget(&self, subject: &Subject) {
        self.statuses.forget(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadstead_runtime::clock::Clock;

    fn subject(name: &str) -> Subject {
        ("ModelDeployment", Key::new("team", name))
    }

    #[test]
    fn news_waits_from_when_it_was_first_seen() {
        let (throttle, llama, start) = (Throttle::default(), subject("llama"), Clock::system().now());
        let wait = |urgency, millis| throttle.wait(&llama, urgency, start + Duration::from_millis(millis));
        assert_eq!(wait(Urgency::Within(COUNTS), 0), Some(COUNTS));
        assert_eq!(wait(Urgency::Within(Duration::from_millis(1)), 2), None, "due");
        assert_eq!(
            wait(Urgency::Within(COUNTS), 2000),
            COUNTS.checked_sub(Duration::from_secs(2)),
            "it was seen before"
        );
        throttle.settled(&llama);
        assert_eq!(wait(Urgency::Within(COUNTS), 2000), Some(COUNTS), "it is new again");
        assert_eq!(wait(Urgency::Now, 2000), None);
    }

    #[test]
    fn what_is_news_to_thousands_is_written_one_after_another() {
        let (throttle, now) = (Throttle::default(), Clock::system().now());
        let wait = |number: u32| throttle.wait(&subject(&format!("d{number}")), Urgency::InTurn, now);
        assert_eq!(wait(0), None, "the first need not wait");
        for number in 1..=5_000 {
            assert_eq!(wait(number), Some(BETWEEN_TURNS * number));
        }
        assert_eq!(wait(1), Some(BETWEEN_TURNS), "it keeps its turn");
        throttle.settled(&subject("d5000"));
        assert_eq!(wait(5_000), Some(BETWEEN_TURNS * 5_001), "it queues anew");
    }

    #[test]
    fn whatever_happens_a_status_is_written_so_often_and_no_more() {
        let (throttle, llama, now) = (Throttle::default(), subject("llama"), Clock::system().now());
        let wait = |of: &Subject| throttle.wait(of, Urgency::Now, now);
        for write in 0..10 {
            assert_eq!(wait(&llama), None, "write {write}");
            throttle.wrote(&llama, now);
        }
        assert_eq!(wait(&llama), Some(Duration::from_secs(10)));
        assert_eq!(wait(&subject("other")), None);
        assert_eq!(wait(&("InferenceEndpoint", llama.1.clone())), None, "another kind of the same name");
        (0..20).for_each(|_| throttle.wrote(&llama, now));
        assert_eq!(wait(&llama), Some(Duration::from_secs(210)), "a storm that goes on");
        throttle.edited(&llama);
        assert_eq!(wait(&llama), None, "a user wants something else");
    }
}
