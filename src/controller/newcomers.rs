//! The crowd of deployments that wait for a first record of a place: those that have never been planned, and those whose
//! endpoint has failed for longer than its toleration.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use roadstead_runtime::cache::Key;

/// Number of newcomers that are a crowd. With fewer, starting what was placed costs the planning of the rest less than a tenth
/// of a second; and one manifest of a few deployments is started without a wait.
const CROWD: usize = 16;

/// Time without a crowd after which a burst is over: clients that create many objects pause for less.
pub const LULL: Duration = Duration::from_millis(500);

/// Deployments that came and were not planned since. A deployment that is planned again, because it waits for room or
/// because a target changed, is not among them and delays no start.
#[derive(Default)]
pub struct Newcomers {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashSet<Key>,
    /// The last moment with a crowd.
    crowded: Option<Instant>,
}

impl Newcomers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deployment has come, or its endpoint is to be replaced now.
    pub fn came(&self, key: Key, now: Instant) {
        let mut state = self.lock();
        state.waiting.insert(key);
        state.look(now);
    }

    /// A deployment was planned, whatever came of it, or it is gone.
    pub fn planned(&self, key: &Key, now: Instant) {
        let mut state = self.lock();
        state.look(now);
        state.waiting.remove(key);
    }

    /// True if there was a crowd within the last `time`.
    pub fn were_a_crowd(&self, time: Duration, now: Instant) -> bool {
        let mut state = self.lock();
        state.look(now);
        state.crowded.is_some_and(|last| now.saturating_duration_since(last) < time)
    }
}

impl State {
    fn look(&mut self, now: Instant) {
        if self.waiting.len() >= CROWD {
            self.crowded = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadstead_runtime::clock::Clock;

    fn key(number: usize) -> Key {
        Key::new("team", format!("d{number}"))
    }

    #[test]
    fn a_crowd_is_remembered_for_a_while_and_a_few_are_none() {
        let (newcomers, start) = (Newcomers::default(), Clock::system().now());
        (1..CROWD).for_each(|number| newcomers.came(key(number), start));
        assert!(!newcomers.were_a_crowd(LULL, start), "they are a few");
        newcomers.came(key(CROWD), start);
        assert!(newcomers.were_a_crowd(LULL, start + 2 * LULL), "none of them was planned");
        newcomers.planned(&key(1), start + 2 * LULL);
        assert!(newcomers.were_a_crowd(LULL, start + 2 * LULL));
        assert!(!newcomers.were_a_crowd(LULL, start + 3 * LULL), "those that are left are a few");
    }

    #[test]
    fn what_was_planned_is_no_newcomer_however_often_it_is_planned_again() {
        let (newcomers, start) = (Newcomers::default(), Clock::system().now());
        for number in 0..10 * CROWD {
            newcomers.came(key(number), start);
            newcomers.planned(&key(number), start);
            newcomers.planned(&key(number), start);
        }
        assert!(!newcomers.were_a_crowd(LULL, start));
    }
}
