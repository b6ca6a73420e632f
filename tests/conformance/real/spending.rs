//! The most that a run can have cost: the whole time of every case at the most replicas that a case has.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use roadstead_api::v1alpha1::Dollars;
use roadstead_model::MicroDollars;

use super::settings::RealSettings;

/// Replicas of the case that scales, and of a former form beside a new one.
const MOST_REPLICAS: u64 = 4;

/// Dollars that may have been spent.
pub struct Spending {
    limit: MicroDollars,
    hourly: MicroDollars,
    case_time: Duration,
    spent: MicroDollars,
}

impl Spending {
    /// Nothing is spent yet.
    ///
    /// # Errors
    /// If the offer has no price: a missing price is not free.
    pub fn new(settings: &RealSettings) -> anyhow::Result<Self> {
        let offer = settings.target.spec.offers.first().context("the target has no offer")?;
        let hourly = offer.hourly_price.as_ref().and_then(Dollars::known).filter(|price| price.0 > 0);
        let hourly =
            hourly.with_context(|| format!("offer {}: set hourlyPrice, by which the limit is held", offer.name))?;
        Ok(Self { limit: settings.limit, hourly, case_time: settings.case_time, spent: MicroDollars(0) })
    }

    /// The most that a time can cost.
    fn cost(&self, time: Duration) -> MicroDollars {
        let seconds = time.as_secs() + 1;
        MicroDollars(self.hourly.0.saturating_mul(MOST_REPLICAS).saturating_mul(seconds).div_ceil(3600))
    }

    /// True if a case of the longest time, and a sweep that takes as long, stay below the limit.
    pub fn allows_another(&self) -> bool {
        self.spent.saturating_add(self.cost(2 * self.case_time)) <= self.limit
    }

    /// Counts a case.
    pub fn count(&mut self, time: Duration) {
        self.spent = self.spent.saturating_add(self.cost(time));
    }
}

impl fmt::Display for Spending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} of {} spent", self.spent, self.limit)
    }
}
