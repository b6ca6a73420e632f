//! What a place costs, and which of two is cheaper in the sense of the objective.

use std::cmp::Ordering;

use crate::deployment::{Deployment, Objective, Preference, Shape};
use crate::endpoint::{Endpoint, Found};
use crate::money::MicroDollars;
use crate::target::{CapacityType, Offer, Target};

/// What `replicas` of `accelerators` each cost an hour at `price` for an instance of `instance` accelerators.
pub(crate) fn hourly_cost(price: MicroDollars, instance: u32, accelerators: u32, replicas: u32) -> MicroDollars {
    price.share(u64::from(replicas) * u64::from(accelerators), u64::from(instance))
}

/// The price that counts in decisions: a reserved instance without one is paid already, others are unknown.
pub(crate) fn deciding_price(offer: &Offer) -> Option<MicroDollars> {
    match offer.hourly_price {
        None if offer.capacity_type == CapacityType::Reserved => Some(MicroDollars::ZERO),
        price => price,
    }
}

/// What `replicas` of `shape` cost an hour on `offer`; `None` is unknown.
pub(crate) fn cost_on(offer: &Offer, shape: &Shape, replicas: u32) -> Option<MicroDollars> {
    let price = deciding_price(offer)?;
    Some(hourly_cost(price, offer.accelerator.count, shape.accelerator.count, replicas))
}

/// What an endpoint costs an hour with `replicas`, at the price of its offer or else at the last one known.
pub(crate) fn cost_of(endpoint: &Endpoint, offer: Option<&Offer>, replicas: u32) -> Option<MicroDollars> {
    if let Some((offer, price)) = offer.and_then(|offer| Some((offer, deciding_price(offer)?))) {
        return Some(hourly_cost(price, offer.accelerator.count, endpoint.accelerator.count, replicas));
    }
    endpoint.last_replica_cost.map(|cost| cost.share(u64::from(replicas), 1))
}

/// What something that was found costs an hour on `offer`; `None` is unknown.
#[must_use]
pub fn cost_of_found(found: &Found, offer: &Offer) -> Option<MicroDollars> {
    let known = found.accelerators > 0 || found.replicas == 0;
    let price = deciding_price(offer).filter(|_| known)?;
    Some(hourly_cost(price, offer.accelerator.count, found.accelerators, found.replicas))
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
pub(crate) struct Adjusted(Option<(u128, u128)>);

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
        Self(cost.zip(throughput).map(|(cost, throughput)| {
            let premium = u128::from(premium_percent) + 100;
            (u128::from(cost.0) * 100, premium.saturating_mul(u128::from(throughput)))
        }))
    }
}

impl Ord for Adjusted {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some((cost, per)), Some((other_cost, other_per))) => {
                cost.saturating_mul(other_per).cmp(&other_cost.saturating_mul(per))
            }
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
    fn cost_is_by_accelerator_and_rounds_up() {
        assert_eq!(hourly_cost(dollars("88.49"), 8, 2, 2), dollars("44.245"));
        assert_eq!(hourly_cost(dollars("0.000001"), 8, 1, 1), dollars("0.000001"));
        assert_eq!(hourly_cost(dollars("10"), 8, 8, 0), dollars("0"));
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
