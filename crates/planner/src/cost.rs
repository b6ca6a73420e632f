//! The cost of a place, and the comparison of two costs by the objective.

use std::cmp::Ordering;

use roadstead_model::{
    Deployment, Endpoint, MicroDollars, Objective, Offer, Preference, Shape, Target, deciding_price, hourly_cost,
};

/// Hourly cost of `replicas` of `shape` on `offer`; `None` is unknown.
pub(crate) fn cost_on(offer: &Offer, shape: &Shape, replicas: u32) -> Option<MicroDollars> {
    let price = deciding_price(offer)?;
    Some(hourly_cost(price, offer.accelerator.count, shape.accelerator.count, replicas))
}

/// Hourly cost of an endpoint with `replicas`, at the price of its offer or else at the last known one.
pub(crate) fn cost_of(endpoint: &Endpoint, offer: Option<&Offer>, replicas: u32) -> Option<MicroDollars> {
    if let Some((offer, price)) = offer.and_then(|offer| Some((offer, deciding_price(offer)?))) {
        return Some(hourly_cost(price, offer.accelerator.count, endpoint.accelerator.count, replicas));
    }
    endpoint.last_replica_cost.map(|cost| cost.share(u64::from(replicas), 1))
}

/// The preference that counts for a target, with its place in the list: the first that matches.
pub(crate) fn preference<'d>(deployment: &'d Deployment, target: &Target) -> Option<(usize, &'d Preference)> {
    deployment.rules.prefer.iter().enumerate().find(|(_, preference)| {
        preference.cloud.as_ref().is_none_or(|cloud| *cloud == target.cloud)
            && preference.region.as_ref().is_none_or(|region| region.matches(&target.region))
    })
}

/// The adjusted objective as a fraction: dollars per hour, or per token, divided by (1 + premium). Compared by
/// cross-multiplication, so that nothing is rounded; what is unknown comes last.
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
    /// The adjusted objective of a place of this cost.
    pub(crate) fn new(
        objective: Objective,
        cost: Option<MicroDollars>,
        tokens_per_second: Option<u64>,
        premium_percent: u32,
    ) -> Self {
        let throughput = match objective {
            Objective::HourlyCost => Some(1),
            Objective::CostPerMillionTokens => tokens_per_second.filter(|tokens| *tokens > 0),
        };
        let percent = u64::from(premium_percent) + 100;
        Self(cost.zip(throughput).map(|(cost, throughput)| Fraction { cost: cost.0, percent, throughput }))
    }
}

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

    #[test]
    fn a_premium_is_a_discount_on_what_counts() {
        let hourly = |cost: &str, premium| Adjusted::new(Objective::HourlyCost, Some(dollars(cost)), None, premium);
        assert!(hourly("11", 10) == hourly("22", 120) || hourly("11", 10) < hourly("22", 119));
        assert_eq!(hourly("11", 10).cmp(&hourly("10", 0)), Ordering::Equal);
        assert_eq!(hourly("11.000001", 10).cmp(&hourly("10", 0)), Ordering::Greater);
    }

    #[test]
    fn throughput_counts_where_tokens_do() {
        let objective =
            |cost: &str, tokens| Adjusted::new(Objective::CostPerMillionTokens, Some(dollars(cost)), tokens, 0);
        assert!(objective("20", Some(5_000)) < objective("10", Some(2_000)));
        assert!(objective("999", Some(1)) < objective("1", None), "unknown throughput comes last");
    }

    #[test]
    fn unknown_prices_come_last() {
        let unknown = Adjusted::new(Objective::HourlyCost, None, None, 1_000);
        assert!(Adjusted::new(Objective::HourlyCost, Some(dollars("1000000")), None, 0) < unknown);
    }
}
