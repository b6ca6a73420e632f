//! Terms that a service states, read now and then beside its listing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use roadstead_model::Timestamp;
use roadstead_provider::{ProviderError, ServiceTerms};
use roadstead_runtime::clock::Clock;

use crate::failure::refusal;

/// Seconds between two readings.
const INTERVAL: i64 = 15 * 60;
/// Seconds after the first failed attempt; they double with each further one, up to the interval.
const FIRST_PAUSE: i64 = 10;

/// Terms by instance type.
pub type TermsByType = BTreeMap<String, ServiceTerms>;

/// The newest terms of one place.
pub struct StatedTerms {
    title: &'static str,
    clock: Clock,
    newest: Mutex<Newest>,
}

#[derive(Default)]
struct Newest {
    terms: TermsByType,
    /// Second from which the next attempt is due; at first, at once.
    due: i64,
    /// Failed attempts in a row.
    failures: u32,
    /// Words of the last attempt's refusal.
    refused: Option<String>,
}

impl Newest {
    fn read(terms: TermsByType, now: i64) -> Self {
        Self { terms, due: now.saturating_add(INTERVAL), failures: 0, refused: None }
    }

    fn failed(&mut self, error: &ProviderError, now: i64) {
        self.refused = refusal(error);
        let pause = FIRST_PAUSE.saturating_mul(2_i64.saturating_pow(self.failures)).min(INTERVAL);
        self.due = now.saturating_add(pause);
        self.failures = self.failures.saturating_add(1);
    }
}

impl StatedTerms {
    /// Terms of the service with this title that were never read.
    #[must_use]
    pub fn new(title: &'static str, clock: Clock) -> Self {
        Self { title, clock, newest: Mutex::default() }
    }

    /// The newest terms, read again by `read` if it is time. A failed attempt leaves the former ones, which keep their times, and
    /// is repeated soon, later with each failure. `read` gets the time.
    pub async fn newest(&self, read: impl AsyncFnOnce(Timestamp) -> Result<TermsByType, ProviderError>) -> TermsByType {
        let now = self.clock.wall().as_second();
        if now >= self.lock().due {
            match read(Timestamp(now)).await {
                Ok(terms) => *self.lock() = Newest::read(terms, now),
                Err(error) => {
                    tracing::warn!(%error, "cannot read the prices of {}; retrying", self.title);
                    self.lock().failed(&error, now);
                }
            }
        }
        self.lock().terms.clone()
    }

    /// Words of the refusal of the last attempt; `None` if it was not refused.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roadstead_provider::ErrorClass;

    use super::*;

    /// Seconds at which readings begin in two hours of listings every 5 s, of which those before `good` fail.
    async fn readings(good: i64) -> Vec<i64> {
        let terms = StatedTerms::new("a service", Clock::set_to(jiff::Timestamp::UNIX_EPOCH));
        let mut begun = Vec::new();
        for _ in 0..1440 {
            terms
                .newest(async |now| {
                    begun.push(now.0);
                    let failed = || ProviderError::new(ErrorClass::Transient, "away");
                    if now.0 < good { Err(failed()) } else { Ok(TermsByType::new()) }
                })
                .await;
            tokio::time::advance(Duration::from_secs(5)).await;
        }
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn terms_are_read_every_quarter_of_an_hour_and_failures_are_repeated_later_each_time() {
        assert_eq!(readings(0).await, [0, 900, 1800, 2700, 3600, 4500, 5400, 6300]);
        assert_eq!(readings(30).await[..4], [0, 10, 30, 930]);
        let failing = readings(i64::MAX).await;
        assert_eq!(failing[..8], [0, 10, 30, 70, 150, 310, 630, 1270]);
        assert_eq!(failing[8..10], [2170, 3070], "never more seldom than when all is well");
    }
}
