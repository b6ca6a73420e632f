//! Costs: integer arithmetic on prices.

use crate::endpoint::Found;
use crate::money::MicroDollars;
use crate::offer::{CapacityType, Offer};
use crate::price::{Rate, Unpriced};
use crate::time::Timestamp;

/// Cost an hour of `replicas` with `accelerators` each on `offer` at this time. Reserved capacity without a price is paid
/// already and costs nothing; with a price that is unknown at this time it does not.
///
/// # Errors
/// The cause that the cost is unknown.
pub fn hourly_cost(offer: &Offer, accelerators: u32, replicas: u32, now: Timestamp) -> Result<MicroDollars, Unpriced> {
    let Some(price) = &offer.price else {
        let is_paid = offer.capacity_type == CapacityType::Reserved;
        return if is_paid { Ok(MicroDollars::ZERO) } else { Err(Unpriced::Missing) };
    };
    let replicas = u64::from(replicas);
    let units = replicas * u64::from(accelerators);
    match (price.at(now)?, offer.accelerators()) {
        (Rate::PerInstanceHour(amount), 0) => Ok(amount.share(replicas, 1)),
        (Rate::PerInstanceHour(amount), instance) => Ok(amount.share(units, u64::from(instance))),
        (Rate::PerAcceleratorHour(_), _) if accelerators == 0 => Err(Unpriced::NoAccelerators),
        (Rate::PerAcceleratorHour(amount), _) => Ok(amount.share(units, 1)),
        (Rate::PerMillionTokens { .. }, _) => Err(Unpriced::ByTokens),
        (Rate::Unreadable, _) => Err(Unpriced::Unreadable),
    }
}

/// Cost of a million tokens on an offer that is charged by tokens; `None` on all others. It is the dearer of the two
/// amounts, because the shares of input and output are unknown: no mix costs more.
#[must_use]
pub fn cost_per_million_tokens(offer: &Offer, now: Timestamp) -> Option<MicroDollars> {
    match offer.price.as_ref()?.at(now) {
        Ok(Rate::PerMillionTokens { input, output }) => Some(input.max(output)),
        _ => None,
    }
}

/// Cost an hour of something that was found on `offer`; `None` is unknown.
#[must_use]
pub fn cost_of_found(found: &Found, offer: &Offer, now: Timestamp) -> Option<MicroDollars> {
    let is_known = found.accelerators > 0 || found.replicas == 0 || offer.accelerator.is_none();
    hourly_cost(offer, found.accelerators, found.replicas, now).ok().filter(|_| is_known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::DeploymentId;
    use crate::labels::LabelSelector;
    use crate::price::Price;
    use crate::resources::Accelerator;

    const NOW: Timestamp = Timestamp(1_000);

    fn dollars(text: &str) -> MicroDollars {
        MicroDollars::parse(text).unwrap()
    }

    fn offer(accelerators: u32, capacity_type: CapacityType, rate: Option<Rate>) -> Offer {
        Offer {
            name: "o".to_owned(),
            instance_type: "i".to_owned(),
            accelerator: (accelerators > 0).then(|| Accelerator { kind: "H100".to_owned(), count: accelerators }),
            capacity_type,
            price: rate.map(Price::of_spec),
            max_instances: None,
            sold_out: false,
            autoscaled: false,
            resource_name: String::new(),
            node_selector: LabelSelector::default(),
            node_tolerations: Vec::new(),
        }
    }

    fn on_demand(accelerators: u32, rate: Rate) -> Offer {
        offer(accelerators, CapacityType::OnDemand, Some(rate))
    }

    #[test]
    fn an_instance_is_paid_by_the_share_of_its_accelerators() {
        for (price, instance, accelerators, replicas, cost) in [
            ("88.49", 8, 2, 2, "44.245"),
            ("0.000001", 8, 1, 1, "0.000001"),
            ("10", 8, 8, 0, "0"),
            ("1.50", 0, 0, 3, "4.50"),
        ] {
            let offer = on_demand(instance, Rate::PerInstanceHour(dollars(price)));
            assert_eq!(hourly_cost(&offer, accelerators, replicas, NOW), Ok(dollars(cost)), "{price}");
        }
    }

    #[test]
    fn an_accelerator_is_paid_whatever_its_instance_has() {
        let rate = Rate::PerAcceleratorHour(dollars("2.50"));
        for instance in [1, 8] {
            assert_eq!(hourly_cost(&on_demand(instance, rate), 2, 3, NOW), Ok(dollars("15")));
        }
        assert_eq!(hourly_cost(&on_demand(0, rate), 0, 3, NOW), Err(Unpriced::NoAccelerators));
    }

    #[test]
    fn tokens_have_no_cost_by_the_hour() {
        let rate = |input, output| Rate::PerMillionTokens { input: dollars(input), output: dollars(output) };
        for (input, output, dearer) in [("0.20", "0.60", "0.60"), ("0.70", "0.60", "0.70")] {
            let offer = on_demand(0, rate(input, output));
            assert_eq!(hourly_cost(&offer, 0, 1, NOW), Err(Unpriced::ByTokens));
            assert_eq!(cost_per_million_tokens(&offer, NOW), Some(dollars(dearer)));
        }
        let hourly = on_demand(8, Rate::PerInstanceHour(dollars("1")));
        assert_eq!(cost_per_million_tokens(&hourly, NOW), None);
    }

    #[test]
    fn only_reserved_capacity_without_any_price_is_free() {
        let without = |capacity_type| hourly_cost(&offer(8, capacity_type, None), 2, 1, NOW);
        assert_eq!(without(CapacityType::Reserved), Ok(MicroDollars::ZERO));
        assert_eq!(without(CapacityType::OnDemand), Err(Unpriced::Missing));
        assert_eq!(without(CapacityType::Spot), Err(Unpriced::Missing));
        let unreadable = offer(8, CapacityType::Reserved, Some(Rate::Unreadable));
        assert_eq!(hourly_cost(&unreadable, 2, 1, NOW), Err(Unpriced::Unreadable));
    }

    #[test]
    fn a_price_is_unknown_from_its_expiry_on() {
        for capacity_type in [CapacityType::Reserved, CapacityType::OnDemand, CapacityType::Spot] {
            for rate in [Rate::PerInstanceHour(dollars("8")), Rate::PerAcceleratorHour(dollars("1"))] {
                let mut offer = offer(8, capacity_type, Some(rate));
                offer.price.as_mut().unwrap().valid_until = Some(NOW);
                assert_eq!(hourly_cost(&offer, 2, 1, Timestamp(NOW.0 - 1)), Ok(dollars("2")));
                for late in [NOW, Timestamp(NOW.0 + 1)] {
                    assert_eq!(hourly_cost(&offer, 2, 1, late), Err(Unpriced::Expired { at: NOW }));
                }
            }
        }
        let mut tokens = on_demand(0, Rate::PerMillionTokens { input: dollars("1"), output: dollars("1") });
        tokens.price.as_mut().unwrap().valid_until = Some(NOW);
        assert_eq!(cost_per_million_tokens(&tokens, NOW), None);
    }

    #[test]
    fn the_cost_of_an_unknown_number_of_accelerators_is_unknown() {
        let found = |accelerators, replicas| Found {
            name: "m".to_owned(),
            id: "uid".to_owned(),
            deployment: DeploymentId { namespace: "n".to_owned(), name: "m".to_owned() },
            target: "t".to_owned(),
            offer: "o".to_owned(),
            shape: "s".to_owned(),
            capacity_type: CapacityType::OnDemand,
            slot: 0,
            accelerators,
            replicas,
            ready_replicas: 0,
            runs: None,
            created_at: NOW,
        };
        let instance = on_demand(8, Rate::PerInstanceHour(dollars("8")));
        let reserved = offer(8, CapacityType::Reserved, None);
        assert_eq!(cost_of_found(&found(2, 3), &instance, NOW), Some(dollars("6")));
        assert_eq!(cost_of_found(&found(0, 3), &instance, NOW), None);
        assert_eq!(cost_of_found(&found(0, 3), &reserved, NOW), None);
        assert_eq!(cost_of_found(&found(0, 0), &instance, NOW), Some(MicroDollars::ZERO));
        let hosted = on_demand(0, Rate::PerInstanceHour(dollars("8")));
        assert_eq!(cost_of_found(&found(0, 3), &hosted, NOW), Some(dollars("24")));
    }
}
