//! Prices: an amount with its unit, its source and its times.

use serde::{Deserialize, Serialize};

use crate::money::MicroDollars;
use crate::time::Timestamp;

/// The price of an offer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price {
    /// Amount and unit.
    pub rate: Rate,
    /// Declaration that the price comes from.
    pub source: PriceSource,
    /// Time when the source was read; `None` where the source has no time.
    pub observed: Option<Timestamp>,
    /// Time from which the price is unknown; `None` is never.
    pub valid_until: Option<Timestamp>,
}

/// The amount of a price with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rate {
    /// For one hour of one whole instance.
    PerInstanceHour(MicroDollars),
    /// For one hour of one accelerator.
    PerAcceleratorHour(MicroDollars),
    /// For tokens, whatever the time.
    PerMillionTokens {
        /// For a million tokens of input.
        input: MicroDollars,
        /// For a million tokens of output.
        output: MicroDollars,
    },
    /// Declared, but not an amount. It counts as unknown: an offer without a price may be free, this one is not.
    Unreadable,
}

/// The declaration that a price comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PriceSource {
    /// The spec of the target.
    TargetSpec,
    /// The managed service that the target is.
    Service,
}

/// The cause that something has no known cost by the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unpriced {
    /// No price is declared.
    Missing,
    /// The declared price is not an amount.
    Unreadable,
    /// The price is past its time.
    Expired {
        /// Time since which it is unknown.
        at: Timestamp,
    },
    /// The price is for tokens.
    ByTokens,
    /// The price is for accelerators, and there are none.
    NoAccelerators,
}

impl Price {
    /// The price that a target's spec declares: it has no time and does not expire.
    #[must_use]
    pub const fn of_spec(rate: Rate) -> Self {
        Self { rate, source: PriceSource::TargetSpec, observed: None, valid_until: None }
    }

    /// The price of one whole instance that a target's spec declares.
    #[must_use]
    pub const fn per_instance_hour(amount: MicroDollars) -> Self {
        Self::of_spec(Rate::PerInstanceHour(amount))
    }

    /// The price of one whole instance that a service showed at this time, and that is valid until another one.
    #[must_use]
    pub const fn of_service(amount: MicroDollars, observed: Timestamp, until: Timestamp) -> Self {
        Self {
            rate: Rate::PerInstanceHour(amount),
            source: PriceSource::Service,
            observed: Some(observed),
            valid_until: Some(until),
        }
    }

    /// Amount and unit at this time.
    ///
    /// # Errors
    /// If the price has expired.
    pub fn at(&self, now: Timestamp) -> Result<Rate, Unpriced> {
        match self.valid_until {
            Some(at) if at <= now => Err(Unpriced::Expired { at }),
            _ => Ok(self.rate),
        }
    }
}
