//! Rules about the standby.

use roadstead_model::{Allocation, Endpoint, Facts, Numbers, Placement, Role, Rule};

use crate::check::Check;

/// A standby is wanted, is the only one that stays, and is apart from what serves.
pub(crate) fn created<F: Facts>(check: &mut Check<'_, F>, placement: &Placement) {
    let (deployment, subject) = (check.deployment, placement.target.as_str());
    let wanted = if deployment.divisible && deployment.replicas > 0 { deployment.standby_replicas } else { 0 };
    let of_role = |role: Role| check.plan.allocations.iter().filter(move |one| one.role == role);
    let (found, others) = (placement.replicas, of_role(Role::Standby).count().saturating_sub(1));
    let numbers = Numbers::Count { found: found.into(), allowed: wanted.into() };
    let topology = deployment.topology();
    let domain = |target: &str| check.facts.target(target).map(|target| target.domain(topology));
    let own = domain(&placement.target);
    let relied_on: Vec<&Allocation> = of_role(Role::Serving).chain(of_role(Role::Replacement)).collect();
    let apart = own.is_some() && relied_on.iter().all(|one| domain(&one.target) != own);
    check.require_numbers(Rule::StandbyWanted, subject, wanted > 0 && found == wanted && others == 0, numbers);
    check.require(Rule::StandbyApart, subject, apart);
}

/// Only a standby that serves takes over, from an active endpoint that stays meanwhile.
pub(crate) fn promoted<F: Facts>(check: &mut Check<'_, F>, standby: &str, replaced: &str) {
    let ready = check.endpoint(standby).is_some_and(|one| one.stands_by() && one.serves());
    check.require(Rule::PromotesReady, standby, ready);
    let stays = check.endpoint(replaced).is_some_and(Endpoint::is_active) && !check.removed().contains(replaced);
    check.require(Rule::ReplacesActive, replaced, stays);
}
