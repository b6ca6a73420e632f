//! Price and quota of a region's hardware, read now and then beside the listing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_model::Timestamp;
use roadstead_provider::{ErrorClass, ProviderError, ServiceTerms};
use roadstead_rest::RestClient;
use roadstead_runtime::clock::Clock;

use crate::hardware::Vendors;
use crate::service::HubPaths;

/// Terms by instance type.
type ByType = BTreeMap<String, ServiceTerms>;

/// The newest terms of one region.
pub struct HubTerms {
    /// Cloud, such as `aws`.
    cloud: String,
    /// Region of that cloud.
    region: String,
    /// Seconds between two readings.
    interval: i64,
    clock: Clock,
    newest: Mutex<Newest>,
}

#[derive(Default)]
struct Newest {
    terms: ByType,
    /// Second from which the next attempt is due; at first, at once.
    due: i64,
}

impl HubTerms {
    /// Terms that were never read.
    #[must_use]
    pub fn new(cloud: &str, region: &str, interval: Duration, clock: Clock) -> Self {
        let interval = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
        let (cloud, region) = (cloud.to_owned(), region.to_owned());
        Self { cloud, region, interval, clock, newest: Mutex::default() }
    }

    /// The newest terms, read again if it is time. A failed attempt leaves the former ones, which keep their times, and the next
    /// listing tries again.
    pub async fn newest(&self, client: &RestClient, paths: &HubPaths) -> ByType {
        let now = self.clock.wall().as_second();
        if now >= self.lock().due {
            match self.read(client, paths).await {
                Ok(terms) => *self.lock() = Newest { terms, due: now.saturating_add(self.interval) },
                Err(error) => tracing::warn!(%error, "cannot read the prices of Hugging Face; retrying"),
            }
        }
        self.lock().terms.clone()
    }

    async fn read(&self, client: &RestClient, paths: &HubPaths) -> Result<ByType, ProviderError> {
        let vendors: Vendors = client.call(paths.hardware()).await?.json()?;
        vendors.terms(&self.cloud, &self.region, Timestamp(self.clock.wall().as_second())).ok_or_else(|| {
            let message = format!("Hugging Face offers no hardware in region {} of {}", self.region, self.cloud);
            ProviderError::new(ErrorClass::Invalid, message)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
