//! Places that can hold a part of the replicas, and the request for a division.

use roadstead_model::MicroDollars;

/// A place that can hold a part of the replicas.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supply {
    /// One place of a pool is used.
    pub(crate) pool: usize,
    /// Failure domain.
    pub(crate) domain: usize,
    /// Replicas at most.
    pub(crate) most: u32,
    /// Price of one replica; `None` is unknown.
    pub(crate) price: Option<UnitPrice>,
    /// It makes a new endpoint.
    pub(crate) is_new: bool,
}

/// Price of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnitPrice {
    /// Cost an hour.
    pub(crate) hourly: MicroDollars,
    /// Adjusted cost in millionths of a micro-dollar an hour: divided by (1 + premium).
    pub(crate) adjusted: i128,
    /// Tokens per second; 1 where cost by the hour is compared.
    pub(crate) tokens: u32,
}

/// Millionths of a micro-dollar.
const MILLIONTHS: i128 = 1_000_000;

impl UnitPrice {
    /// The price of a replica of this cost, with the premium that its place may cost.
    pub(crate) fn new(hourly: MicroDollars, premium_percent: u32, tokens: u32) -> Self {
        let adjusted = i128::from(hourly.0) * MILLIONTHS * 100 / (100 + i128::from(premium_percent));
        Self { hourly, adjusted, tokens }
    }

    /// True if the order by weight is that by cost.
    pub(super) fn is_plain(&self) -> bool {
        self.adjusted == i128::from(self.hourly.0) * MILLIONTHS && self.tokens == 1
    }
}

/// Request for a division.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// Replicas.
    pub(crate) replicas: u32,
    /// Domains that are lacking: each must get a replica. While one is, a replica is held back for it.
    pub(crate) lacking: u32,
    /// Domains that hold replicas already, which are not lacking.
    pub(crate) held: &'a [usize],
    /// Budget for all of it.
    pub(crate) budget: Option<MicroDollars>,
    /// Cost per token is compared.
    pub(crate) by_tokens: bool,
}

/// Replicas at one supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Index of the supply.
    pub(crate) supply: usize,
    /// Replicas.
    pub(crate) replicas: u32,
}
