//! Holds back writes of news that can wait a little. Losing it costs a write that comes later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::kube_ext::cache::Key;

/// Words about pods that fail are written at most this often: a member can have other ones every second.
pub const WORDS_OF_PODS: Duration = Duration::from_secs(15);

/// Counts of ready replicas, neither none nor all of them, are written at most this often.
pub const COUNTS: Duration = Duration::from_secs(5);

/// News that many objects may have at once is written with this time between one object and the next.
const BETWEEN_TURNS: Duration = Duration::from_millis(40);

/// Since when there is news of each object that has not been written, and whose turn comes when.
#[derive(Default)]
pub struct Pace {
    waiting: Mutex<HashMap<Key, Instant>>,
    turns: Mutex<Turns>,
}

#[derive(Default)]
struct Turns {
    given: HashMap<Key, Instant>,
    last: Option<Instant>,
}

impl Pace {
    /// How long news that can wait for `interval` is held back still; `None` if it is due. It waits from when this was
    /// first asked: what comes meanwhile is written with it.
    pub fn holds_back(&self, key: &Key, interval: Duration) -> Option<Duration> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let since = waiting.entry(key.clone()).or_insert_with(Instant::now);
        interval.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    /// How long an object waits for its turn still; `None` if it has come. One edit of a target can be news to thousands
    /// of deployments, none of which is in a hurry.
    pub fn until_turn(&self, key: &Key) -> Option<Duration> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let turn = turns.given.get(key).copied().unwrap_or_else(|| {
            let next = turns.last.map_or(now, |last| now.max(last + BETWEEN_TURNS));
            turns.last = Some(next);
            turns.given.insert(key.clone(), next);
            next
        });
        turn.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// No news of an object waits any more: it was written, or is none.
    pub fn forget(&self, key: &Key) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).given.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn news_waits_from_when_it_was_first_seen() {
        let (pace, key) = (Pace::default(), Key::new("team", "llama"));
        assert!(pace.holds_back(&key, COUNTS).is_some_and(|left| left <= COUNTS));
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(pace.holds_back(&key, Duration::from_millis(1)), None, "due");
        assert!(pace.holds_back(&key, COUNTS).is_some_and(|left| left < COUNTS), "it was seen before");
        pace.forget(&key);
        assert!(pace.holds_back(&key, Duration::from_millis(1)).is_some(), "it is new again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_news_to_thousands_is_written_one_after_another() {
        let pace = Pace::default();
        let key = |number: usize| Key::new("team", format!("d{number}"));
        assert_eq!(pace.until_turn(&key(0)), None, "the first need not wait");
        let waits: Vec<_> = (1..=5_000).map(|number| pace.until_turn(&key(number)).unwrap()).collect();
        assert!(waits.is_sorted() && waits[4_999] > BETWEEN_TURNS * 4_900, "{:?}", waits[4_999]);
        assert!(pace.until_turn(&key(1)).is_none_or(|left| left <= waits[0]), "it keeps its turn");
        pace.forget(&key(5_000));
        assert!(pace.until_turn(&key(5_000)).unwrap() > waits[4_998], "it queues anew");
    }
}
