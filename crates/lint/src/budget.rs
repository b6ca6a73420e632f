//! Rules about money.

use roadstead_model::{
    CapacityType, Deployment, Endpoint, Facts, Keep, MicroDollars, Numbers, Offer, Placement, Rate, Rule, Shape,
    Timestamp,
};

use crate::check::Check;

/// A new endpoint costs an hour what its offer says, and no more than the budget.
pub(crate) fn new<F: Facts>(check: &mut Check<'_, F>, placement: &Placement, offer: &Offer, shape: &Shape) {
    let subject = placement.target.as_str();
    let cost = cost(offer, shape.accelerator.count, placement.replicas, check.plan.decided_at);
    let told = placement.hourly_cost;
    let numbers = Numbers::Cost { found: told, allowed: cost };
    check.require_numbers(Rule::CostOfOffer, subject, told == cost, numbers);
    within(check, subject, cost);
}

/// An endpoint that stays costs what its offer says or what was last known, and grows only within the budget.
pub(crate) fn kept<F: Facts>(check: &mut Check<'_, F>, keep: &Keep, endpoint: &Endpoint, offer: Option<&Offer>) {
    let subject = keep.endpoint.as_str();
    let now = check.plan.decided_at;
    let by_offer = offer.and_then(|offer| cost(offer, endpoint.accelerator.count, keep.replicas, now));
    let last = endpoint.last_replica_cost.map(|one| times(one, keep.replicas.into(), 1));
    let cost = by_offer.or(last);
    let numbers = Numbers::Cost { found: keep.hourly_cost, allowed: cost };
    check.require_numbers(Rule::CostOfKept, subject, keep.hourly_cost == cost, numbers);
    if keep.replicas > endpoint.replicas {
        within(check, subject, cost);
    }
}

/// The budget for endpoints: what the ceilings of hosted models leave of it.
pub(crate) fn of_endpoints(deployment: &Deployment) -> Option<MicroDollars> {
    Some(MicroDollars(deployment.max_hourly_cost?.0.saturating_sub(deployment.hosted_ceiling.0)))
}

fn within<F: Facts>(check: &mut Check<'_, F>, subject: &str, cost: Option<MicroDollars>) {
    let Some(budget) = of_endpoints(check.deployment) else { return };
    let numbers = Numbers::Cost { found: cost, allowed: Some(budget) };
    check.require_numbers(Rule::WithinBudget, subject, cost.is_some_and(|cost| cost <= budget), numbers);
}

/// Cost an hour of replicas of so many accelerators on an offer; a reserved one without a price is paid already, and an
/// expired price is none.
fn cost(offer: &Offer, accelerators: u32, replicas: u32, now: Timestamp) -> Option<MicroDollars> {
    let Some(price) = &offer.price else {
        return (offer.capacity_type == CapacityType::Reserved).then_some(MicroDollars::ZERO);
    };
    let replicas = u64::from(replicas);
    let wanted = u64::from(accelerators) * replicas;
    match price.rate {
        _ if price.valid_until.is_some_and(|until| now >= until) => None,
        Rate::PerInstanceHour(amount) if offer.accelerator.is_none() => Some(times(amount, replicas, 1)),
        Rate::PerInstanceHour(amount) => Some(times(amount, wanted, offer.accelerators())),
        Rate::PerAcceleratorHour(amount) => (accelerators > 0).then(|| times(amount, wanted, 1)),
        Rate::PerMillionTokens { .. } | Rate::Unreadable => None,
    }
}

/// So many parts of an amount that is for `of` parts, rounded up.
fn times(amount: MicroDollars, parts: u64, of: u32) -> MicroDollars {
    let exact = (u128::from(amount.0) * u128::from(parts)).div_ceil(u128::from(of.max(1)));
    MicroDollars(u64::try_from(exact).unwrap_or(u64::MAX))
}
