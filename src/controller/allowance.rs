//! How often an object may be written, whatever happens at a place. Losing it costs some writes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::kube_ext::cache::Key;

/// So many writes at once, and one more each time that the interval has passed. The first holds a storm, the second one
/// that goes on.
const LIMITS: [(u32, Duration); 2] = [(10, Duration::from_secs(10)), (30, Duration::from_mins(1))];

/// What was written of each object lately.
#[derive(Default)]
pub struct Allowance {
    /// For each of [`LIMITS`], when all that was written is forgiven.
    spent: Mutex<HashMap<Key, [Instant; LIMITS.len()]>>,
}

impl Allowance {
    /// How long the object is not to be written, having been written so often; `None` if it may be.
    pub fn wait(&self, key: &Key) -> Option<Duration> {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let waits = spent.get(key)?.iter().zip(LIMITS).map(|(forgiven, (burst, interval))| {
            forgiven.saturating_duration_since(now).saturating_sub(interval * (burst - 1))
        });
        waits.max().filter(|wait| !wait.is_zero())
    }

    /// The object was written.
    pub fn spend(&self, key: &Key) {
        let now = Instant::now();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let forgiven = spent.entry(key.clone()).or_insert([now; LIMITS.len()]);
        for (forgiven, (_, interval)) in forgiven.iter_mut().zip(LIMITS) {
            *forgiven = (*forgiven).max(now) + interval;
        }
    }

    /// What was written of an object is forgiven: a user wants something else of it, or it is gone.
    pub fn forget(&self, key: &Key) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_an_object_is_written_so_often_and_no_more() {
        let (allowance, key) = (Allowance::default(), Key::new("team", "llama"));
        for write in 0..10 {
            assert_eq!(allowance.wait(&key), None, "write {write}");
            allowance.spend(&key);
        }
        let wait = allowance.wait(&key).unwrap();
        assert!(wait > Duration::from_secs(8) && wait <= Duration::from_secs(10), "{wait:?}");
        assert_eq!(allowance.wait(&Key::new("team", "other")), None);
        for _ in 0..20 {
            allowance.spend(&key);
        }
        assert!(allowance.wait(&key).unwrap() > Duration::from_secs(100), "a storm that goes on");
        allowance.forget(&key);
        assert_eq!(allowance.wait(&key), None, "a user wants something else");
    }
}
