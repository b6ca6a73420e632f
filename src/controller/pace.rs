//! Holds back writes of news that can wait a little. Losing it costs a write that comes later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::kube_ext::cache::Key;

/// Counts of ready replicas, neither none nor all of them, are written at most this often.
pub const COUNTS: Duration = Duration::from_secs(5);

/// Since when there is news of each object that has not been written.
#[derive(Default)]
pub struct Pace {
    waiting: Mutex<HashMap<Key, Instant>>,
}

impl Pace {
    /// How long news that can wait for `interval` is held back still; `None` if it is due. It waits from when this was
    /// first asked: what comes meanwhile is written with it.
    pub fn holds_back(&self, key: &Key, interval: Duration) -> Option<Duration> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let since = waiting.entry(key.clone()).or_insert_with(Instant::now);
        interval.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    /// No news of an object waits any more: it was written, or is none.
    pub fn forget(&self, key: &Key) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_waits_from_when_it_was_first_seen() {
        let (pace, key) = (Pace::default(), Key::new("team", "llama"));
        assert!(pace.holds_back(&key, COUNTS).is_some_and(|left| left <= COUNTS));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(pace.holds_back(&key, Duration::from_millis(1)), None, "due");
        assert!(pace.holds_back(&key, COUNTS).is_some_and(|left| left < COUNTS), "it was seen before");
        pace.forget(&key);
        assert!(pace.holds_back(&key, Duration::from_millis(1)).is_some(), "it is new again");
    }
}
