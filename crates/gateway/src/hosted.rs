//! Ceilings and prices of models of hosted vendors.

use serde::{Deserialize, Serialize};

/// Seconds of a minute.
const MINUTE: u32 = 60;

/// Ceiling of the use of a hosted model. The gateways divide it evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostedCeiling {
    /// Requests per minute, of all gateways: at least 1.
    pub requests_per_minute: u32,
    /// Micro-dollars per hour, of all gateways.
    pub hourly_micro_dollars: u64,
    /// Number of gateways: at least 1.
    pub gateways: u32,
}

impl HostedCeiling {
    /// The requests that one gateway may send, and in how many seconds: a minute, or the time in which its share is one request.
    #[must_use]
    pub fn share_of_requests(&self) -> (u32, u32) {
        let (requests, gateways) = (self.requests_per_minute.max(1), self.gateways.max(1));
        match requests / gateways {
            0 => (1, MINUTE.saturating_mul(gateways).div_ceil(requests)),
            share => (share, MINUTE),
        }
    }

    /// The micro-dollars that one gateway may spend in an hour.
    #[must_use]
    pub fn share_of_dollars(&self) -> u64 {
        self.hourly_micro_dollars / u64::from(self.gateways.max(1))
    }

    /// Micro-dollars that an answer counts which states no usage: as many as an even use of both ceilings gives each request.
    #[must_use]
    pub fn even_charge(&self) -> u64 {
        let requests = u64::from(self.requests_per_minute.max(1)) * u64::from(MINUTE);
        self.hourly_micro_dollars.div_ceil(requests)
    }
}

/// Price of tokens, in micro-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenPrice {
    /// Of a request.
    pub input: u64,
    /// Of an answer.
    pub output: u64,
}

impl TokenPrice {
    /// The micro-dollars for these numbers of tokens, rounded up.
    #[must_use]
    pub fn of(&self, input: u64, output: u64) -> u64 {
        let cost =
            (u128::from(input) * u128::from(self.input)).saturating_add(u128::from(output) * u128::from(self.output));
        u64::try_from(cost.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ceiling(requests_per_minute: u32, gateways: u32) -> HostedCeiling {
        HostedCeiling { requests_per_minute, hourly_micro_dollars: 6_000_000, gateways }
    }

    #[test]
    fn gateways_never_send_more_than_the_ceiling_together() {
        for requests in [1, 2, 3, 7, 60, 61, 1000] {
            for gateways in [1, 2, 3, 4, 50] {
                let (share, seconds) = ceiling(requests, gateways).share_of_requests();
                assert!(share >= 1, "each gateway may send some");
                let per_minute = u64::from(share) * 60 * u64::from(gateways);
                assert!(per_minute <= u64::from(requests) * u64::from(seconds), "{requests} by {gateways}");
            }
        }
        assert_eq!(ceiling(10, 4).share_of_requests(), (2, 60));
        assert_eq!(ceiling(2, 3).share_of_requests(), (1, 90));
        assert_eq!(ceiling(2, 3).share_of_dollars(), 2_000_000);
    }

    #[test]
    fn answers_without_usage_reach_the_ceiling_of_dollars_with_that_of_requests() {
        let ceiling = ceiling(100, 2);
        assert_eq!(ceiling.even_charge(), 1_000);
        assert_eq!(ceiling.even_charge() * 100 * 60, ceiling.hourly_micro_dollars);
    }

    #[test]
    fn a_price_is_per_million_tokens_and_never_rounded_down() {
        let price = TokenPrice { input: 150_000, output: 600_000 };
        assert_eq!(price.of(1_000_000, 1_000_000), 750_000);
        assert_eq!(price.of(1, 0), 1);
        assert_eq!(price.of(0, 0), 0);
        assert_eq!(TokenPrice { input: u64::MAX, output: u64::MAX }.of(u64::MAX, u64::MAX), u64::MAX);
    }
}
