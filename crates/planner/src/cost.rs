//! The cost of a place, and the comparison of two costs by the objective.

use std::cmp::Ordering;

use roadstead_model::{
    Deployment, Endpoint, MicroDollars, Objective, Offer, Preference, Shape, Target, Timestamp, Unpriced,
    cost_per_million_tokens, hourly_cost,
};

/// The cost of a place for all replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    /// By the hour, or the cause that it is unknown.
    pub(crate) hourly: Result<MicroDollars, Unpriced>,
    /// Of a million tokens, where the place is charged by tokens.
    pub(crate) per_million: Option<MicroDollars>,
}

impl Cost {
    /// The cost where there is no offer.
    pub(crate) const NOWHERE: Self = Self { hourly: Err(Unpriced::Missing), per_million: None };

    /// The cost of `replicas` of `shape` on `offer`.
    pub(crate) fn on(offer: &Offer, shape: &Shape, replicas: u32, now: Timestamp) -> Self {
        let hourly = hourly_cost(offer, shape.accelerator.count, replicas, now);
        let by_tokens = hourly == Err(Unpriced::ByTokens);
        Self { hourly, per_million: if by_tokens { cost_per_million_tokens(offer, now) } else { None } }
    }
}

/// Hourly cost of an endpoint with `replicas`, at the price of its offer or else at the last known one.
pub(crate) fn cost_of(
    endpoint: &Endpoint,
    offer: Option<&Offer>,
    replicas: u32,
    now: Timestamp,
) -> Option<MicroDollars> {
    let by_offer = offer.and_then(|offer| hourly_cost(offer, endpoint.accelerator.count, replicas, now).ok());
    by_offer.or_else(|| endpoint.last_replica_cost.map(|cost| cost.share(u64::from(replicas), 1)))
}

/// The preference that counts for a target, with its place in the list: the first that matches.
pub(crate) fn preference<'d>(deployment: &'d Deployment, target: &Target) -> Option<(usize, &'d Preference)> {
    deployment.rules.prefer.iter().enumerate().find(|(_, preference)| {
        preference.cloud.as_ref().is_none_or(|cloud| *cloud == target.cloud)
            && preference.region.as_ref().is_none_or(|region| region.matches(&target.region))
    })
}

/// The adjusted objective as a fraction: dollars per hour, or per token, divided by (1 + premium). Compared by
/// cross-multiplication, which rounds nothing; unknown costs come last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adjusted(Option<Fraction>);

/// `cost / (percent * throughput)`. Kept in its parts: all candidates are sorted by it, and small things sort quickly.
#[derive(Debug, Clone, Copy)]
struct Fraction {
    cost: u64,
    percent: u64,
    throughput: u64,
}

impl Adjusted {
    /// The adjusted objective of a place of this cost for `replicas`.
    pub(crate) fn new(
        objective: Objective,
        cost: &Cost,
        replicas: u32,
        tokens_per_second: Option<u64>,
        premium_percent: u32,
    ) -> Self {
        let percent = u64::from(premium_percent) + 100;
        let fraction = |cost: MicroDollars, throughput| Fraction { cost: cost.0, percent, throughput };
        Self(match (objective, cost.per_million) {
            (Objective::HourlyCost, _) => cost.hourly.ok().map(|cost| fraction(cost, 1)),
            (Objective::CostPerMillionTokens, Some(price)) => {
                Some(fraction(price.share(u64::from(replicas) * MILLIONS.0, 1), MILLIONS.1))
            }
            (Objective::CostPerMillionTokens, None) => {
                let throughput = tokens_per_second.filter(|tokens| *tokens > 0);
                cost.hourly.ok().zip(throughput).map(|(cost, throughput)| fraction(cost, throughput))
            }
        })
    }
}

/// Millions of tokens in an hour of one token a second: 3,600 seconds of a million. The price of a million tokens, times
/// this and the replicas, compares with a cost by the hour that is divided by the throughput of one replica.
const MILLIONS: (u64, u64) = (9, 2_500);

impl Fraction {
    fn per(self) -> u128 {
        u128::from(self.percent) * u128::from(self.throughput)
    }

    fn compare(self, other: Self) -> Ordering {
        if (self.percent, self.throughput) == (other.percent, other.throughput) {
            return self.cost.cmp(&other.cost);
        }
        let scaled = |cost: u64, per: u128| u128::from(cost).saturating_mul(per);
        scaled(self.cost, other.per()).cmp(&scaled(other.cost, self.per()))
    }
}

impl Ord for Adjusted {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(here), Some(there)) => here.compare(there),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }
}

impl PartialEq for Adjusted {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Adjusted {}

impl PartialOrd for Adjusted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(text: &str) -> MicroDollars {
        MicroDollars::parse(text).unwrap()
    }

    fn by_hour(cost: &str) -> Cost {
        Cost { hourly: Ok(dollars(cost)), per_million: None }
    }

    fn by_tokens(price: &str) -> Cost {
        Cost { hourly: Err(Unpriced::ByTokens), per_million: Some(dollars(price)) }
    }

    #[test]
    fn a_premium_is_a_discount_on_what_counts() {
        let hourly = |cost: &str, premium| Adjusted::new(Objective::HourlyCost, &by_hour(cost), 1, None, premium);
        assert!(hourly("11", 10) == hourly("22", 120) || hourly("11", 10) < hourly("22", 119));
        assert_eq!(hourly("11", 10).cmp(&hourly("10", 0)), Ordering::Equal);
        assert_eq!(hourly("11.000001", 10).cmp(&hourly("10", 0)), Ordering::Greater);
    }

    #[test]
    fn throughput_counts_where_tokens_do() {
        let objective =
            |cost: &str, tokens| Adjusted::new(Objective::CostPerMillionTokens, &by_hour(cost), 1, tokens, 0);
        assert!(objective("20", Some(5_000)) < objective("10", Some(2_000)));
        assert!(objective("999", Some(1)) < objective("1", None), "unknown throughput comes last");
    }

    #[test]
    fn unknown_prices_come_last() {
        let unknown = Adjusted::new(Objective::HourlyCost, &Cost::NOWHERE, 1, None, 1_000);
        assert!(Adjusted::new(Objective::HourlyCost, &by_hour("1000000"), 1, None, 0) < unknown);
    }

    #[test]
    fn a_price_by_tokens_compares_with_an_hour_at_the_declared_throughput() {
        // 2 replicas of 1,000 tokens/s make 7.2 million tokens an hour: $3.60/h is $0.50 per million.
        let objective = |cost: &Cost| Adjusted::new(Objective::CostPerMillionTokens, cost, 2, Some(1_000), 0);
        let hourly = objective(&by_hour("3.60"));
        assert!(objective(&by_tokens("0.50")) == hourly);
        assert!(objective(&by_tokens("0.499999")) < hourly);
        assert!(objective(&by_tokens("0.500001")) > hourly);
        let by_the_hour = |cost: &Cost| Adjusted::new(Objective::HourlyCost, cost, 2, Some(1_000), 0);
        assert!(by_the_hour(&by_hour("1000000")) < by_the_hour(&by_tokens("0.000001")), "it has no cost by the hour");
    }
}
