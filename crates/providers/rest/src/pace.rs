//! Pacing: calls wait here for the rate that their service allows, instead of being refused there.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use roadstead_runtime::rate::{RateLimit, Spent};
use tokio::time::Instant;

/// A rate that a service allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The operations that share the rate; empty: all.
    pub operations: &'static [&'static str],
    /// The rate.
    pub rate: RateLimit,
}

impl Pace {
    /// The most calls in any span of this length.
    #[must_use]
    #[allow(clippy::cast_lossless, reason = "From is not const")]
    pub const fn most_in(&self, time: Duration) -> u128 {
        self.rate.burst as u128 + time.as_millis() / self.rate.interval.as_millis()
    }

    fn applies(&self, operation: &str) -> bool {
        self.operations.is_empty() || self.operations.contains(&operation)
    }
}

/// Turn of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paced {
    /// It may go after this time, which is reserved for it.
    After(Duration),
    /// Its turn comes too late, after this time; nothing is reserved.
    TooLate(Duration),
}

/// The use made of the paces of one service by one client.
#[derive(Debug)]
pub struct Turns {
    paces: &'static [Pace],
    spent: Mutex<Vec<Spent>>,
}

impl Turns {
    /// Nothing has been called.
    #[must_use]
    pub fn new(paces: &'static [Pace]) -> Self {
        Self { paces, spent: Mutex::new(vec![Spent::default(); paces.len()]) }
    }

    /// Reserves the next turn of `operation`, if it comes within `longest`.
    pub fn reserve(&self, operation: &str, longest: Duration, now: Instant) -> Paced {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shared: Vec<(&Pace, &mut Spent)> =
            self.paces.iter().zip(spent.iter_mut()).filter(|(pace, _)| pace.applies(operation)).collect();
        let waits = shared.iter().filter_map(|(pace, spent)| spent.wait(pace.rate, now));
        let wait = waits.max().unwrap_or_default();
        if wait > longest {
            return Paced::TooLate(wait);
        }
        for (pace, spent) in &mut shared {
            spent.spend(pace.rate, now);
        }
        Paced::After(wait)
    }
}

#[cfg(test)]
mod tests {
    use roadstead_runtime::clock::Clock;

    use super::*;

    const fn rate(burst: u32, seconds: u64) -> RateLimit {
        RateLimit { burst, interval: Duration::from_secs(seconds) }
    }

    const PACES: &[Pace] =
        &[Pace { operations: &[], rate: rate(3, 1) }, Pace { operations: &["Wake"], rate: rate(1, 10) }];

    fn after(seconds: u64) -> Paced {
        Paced::After(Duration::from_secs(seconds))
    }

    #[test]
    fn each_call_gets_a_turn_of_its_own_under_every_rate_that_applies_to_it() {
        let (turns, now, long) = (Turns::new(PACES), Clock::system().now(), Duration::from_mins(1));
        assert_eq!(turns.reserve("Wake", long, now), after(0));
        assert_eq!(turns.reserve("Wake", long, now), after(10), "its own rate");
        assert_eq!(turns.reserve("List", long, now), after(0));
        assert_eq!(turns.reserve("List", long, now), after(1), "the rate of all");
        assert_eq!(turns.reserve("List", long, now), after(2), "turns follow each other");
    }

    #[test]
    fn the_most_calls_in_a_minute_are_all_at_once_and_one_for_each_interval() {
        assert_eq!(PACES[0].most_in(Duration::from_mins(1)), 63);
    }

    #[test]
    fn a_turn_that_comes_too_late_is_not_taken() {
        let (turns, now) = (Turns::new(PACES), Clock::system().now());
        assert_eq!(turns.reserve("Wake", Duration::ZERO, now), after(0));
        let late = Paced::TooLate(Duration::from_secs(10));
        assert_eq!(turns.reserve("Wake", Duration::from_secs(9), now), late);
        assert_eq!(turns.reserve("Wake", Duration::from_secs(9), now), late, "it was not reserved");
    }
}
