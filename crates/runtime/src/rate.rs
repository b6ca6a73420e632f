//! A limit on the frequency of something.

use std::time::Duration;

use tokio::time::Instant;

/// A number of times at once, and once more after each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Times at once.
    pub burst: u32,
    /// Time until it may happen once more.
    pub interval: Duration,
}

/// The use made of a [`RateLimit`]: the moment at which all of it is forgiven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent(Option<Instant>);

impl Spent {
    /// The wait until it may happen once more; `None` if it may happen now.
    #[must_use]
    pub fn wait(&self, rate: RateLimit, now: Instant) -> Option<Duration> {
        let owed = self.0?.saturating_duration_since(now);
        let wait = owed.saturating_sub(rate.interval.saturating_mul(rate.burst.saturating_sub(1)));
        Some(wait).filter(|wait| !wait.is_zero())
    }

    /// It happened.
    pub fn spend(&mut self, rate: RateLimit, now: Instant) {
        self.0 = Some(self.0.map_or(now, |forgiven| forgiven.max(now)) + rate.interval);
    }

    /// Spends one time if it may happen now, and returns whether it may.
    pub fn take(&mut self, rate: RateLimit, now: Instant) -> bool {
        let allowed = self.wait(rate, now).is_none();
        if allowed {
            self.spend(rate, now);
        }
        allowed
    }

    /// It may happen as often as if it never had.
    #[must_use]
    pub fn is_forgiven(&self, now: Instant) -> bool {
        self.0.is_none_or(|forgiven| forgiven <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const RATE: RateLimit = RateLimit { burst: 3, interval: Duration::from_secs(10) };

    #[test]
    fn a_burst_is_allowed_and_then_one_in_each_interval() {
        let (mut spent, start) = (Spent::default(), Clock::system().now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..3 {
            assert_eq!(spent.wait(RATE, start), None);
            spent.spend(RATE, start);
        }
        assert_eq!(spent.wait(RATE, at(4)), Some(Duration::from_secs(6)));
        assert_eq!(spent.wait(RATE, at(10)), None);
        spent.spend(RATE, at(10));
        assert_eq!(spent.wait(RATE, at(10)), Some(Duration::from_secs(10)));
        assert!(!spent.is_forgiven(at(39)) && spent.is_forgiven(at(40)));
    }

    #[test]
    fn no_time_that_passed_adds_to_the_burst() {
        let (mut spent, start) = (Spent::default(), Clock::system().now());
        spent.spend(RATE, start);
        let later = start + Duration::from_hours(1);
        for _ in 0..3 {
            assert_eq!(spent.wait(RATE, later), None);
            spent.spend(RATE, later);
        }
        assert_eq!(spent.wait(RATE, later), Some(Duration::from_secs(10)));
    }
}
