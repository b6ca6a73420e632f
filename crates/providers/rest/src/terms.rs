//! Terms that a service states, read now and then beside its listing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_model::Timestamp;
use roadstead_provider::{ProviderError, ServiceTerms};
use roadstead_runtime::clock::Clock;

/// Time between two readings.
const INTERVAL: Duration = Duration::from_mins(15);

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
}

impl StatedTerms {
    /// Terms of the service with this title that were never read.
    #[must_use]
    pub fn new(title: &'static str, clock: Clock) -> Self {
        Self { title, clock, newest: Mutex::default() }
    }

    /// The newest terms, read again by `read` if it is time. A failed attempt leaves the former ones, which keep their times, and
    /// the next call tries again. `read` is told the time.
    pub async fn newest(&self, read: impl AsyncFnOnce(Timestamp) -> Result<TermsByType, ProviderError>) -> TermsByType {
        let now = self.clock.wall().as_second();
        if now >= self.lock().due {
            match read(Timestamp(now)).await {
                Ok(terms) => {
                    let due = now.saturating_add(i64::try_from(INTERVAL.as_secs()).unwrap_or(i64::MAX));
                    *self.lock() = Newest { terms, due };
                }
                Err(error) => tracing::warn!(%error, "cannot read the prices of {}; retrying", self.title),
            }
        }
        self.lock().terms.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
