//! Costs: integer arithmetic on prices.

use crate::endpoint::Found;
use crate::money::MicroDollars;
use crate::offer::{CapacityType, Offer};

/// Cost an hour of `replicas` that have `accelerators` each, at `price` for an instance of `instance` accelerators.
#[must_use]
pub fn hourly_cost(price: MicroDollars, instance: u32, accelerators: u32, replicas: u32) -> MicroDollars {
    price.share(u64::from(replicas) * u64::from(accelerators), u64::from(instance))
}

/// The price that counts in decisions: a reserved instance without one is paid already, others are unknown.
#[must_use]
pub fn deciding_price(offer: &Offer) -> Option<MicroDollars> {
    match offer.hourly_price {
        None if offer.capacity_type == CapacityType::Reserved => Some(MicroDollars::ZERO),
        price => price,
    }
}

/// Cost an hour of something that was found on `offer`; `None` is unknown.
#[must_use]
pub fn cost_of_found(found: &Found, offer: &Offer) -> Option<MicroDollars> {
    let known = found.accelerators > 0 || found.replicas == 0;
    let price = deciding_price(offer).filter(|_| known)?;
    Some(hourly_cost(price, offer.accelerator.count, found.accelerators, found.replicas))
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
}
