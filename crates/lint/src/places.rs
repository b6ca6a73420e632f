//! Rules about places: where something new goes, and where something grows.

use std::collections::BTreeSet;

use roadstead_model::catalogue::{jurisdictions_of, locate};
use roadstead_model::{
    Action, Deployment, Endpoint, Facts, Inventory, Keep, Numbers, Offer, Placement, PodFields, Rule, Shape, Size,
    Target, TargetState, first_untolerated,
};

use crate::budget;
use crate::check::Check;
use crate::division::is_divided;
use crate::room::{self, Asked};

/// A new endpoint is at a place that every rule allows and that holds all replicas.
pub(crate) fn new<F: Facts>(check: &mut Check<'_, F>, placement: &Placement, stands_by: bool) {
    let subject = placement.target.as_str();
    let deployment = check.deployment;
    let target = check.facts.target(subject);
    let offer = target.and_then(|target| target.offers.iter().find(|offer| offer.name == placement.offer));
    let shape = deployment.shapes.iter().find(|shape| shape.name == placement.shape);
    let (Some(target), Some(offer), Some(shape)) = (target, offer, shape) else {
        return check.require(Rule::PlaceExists, subject, false);
    };
    for rule in broken_by_target(deployment, target) {
        check.require(rule, subject, false);
    }
    newcomer(check, target, offer, placement.replicas);
    check.require(Rule::ShapeFits, subject, matches(placement, target, offer, shape));
    let numbers = Numbers::Count { found: placement.replicas.into(), allowed: deployment.replicas.into() };
    let has_all = placement.replicas == deployment.replicas
        || (is_divided(check) && (1..=deployment.replicas).contains(&placement.replicas));
    check.require_numbers(Rule::AllReplicas, subject, has_all || stands_by, numbers);
    let slots: BTreeSet<u32> = check.own().map(|one| one.slot).collect();
    let found = check.facts.found_of(&deployment.id);
    let taken = slots.contains(&placement.slot) || found.iter().any(|one| one.slot == placement.slot);
    check.require(Rule::OwnSlot, subject, !taken);
    let size = Size { accelerators: shape.accelerator.count, resources: deployment.resources };
    let refused = is_refused(check, target, offer, &size);
    check.require(Rule::NotRefused, subject, !refused);
    room::check(check, subject, &Asked { target, offer, size, replicas: placement.replicas, own: None });
    budget::new(check, placement, offer, shape);
}

/// Rules of a deployment or of a target that a target breaks, whatever it offers; they hold for what grows as well.
pub(crate) fn broken_by_target<'a>(deployment: &'a Deployment, target: &'a Target) -> impl Iterator<Item = Rule> + 'a {
    let rules = &deployment.rules;
    let admitted = target.allowed_namespaces.as_ref().is_some_and(|all| all.matches(&deployment.namespace_labels));
    let selected = rules.target_selector.matches(&target.labels);
    let cloud = rules.clouds.as_ref().is_none_or(|clouds| clouds.contains(&target.cloud));
    let named = |patterns: &[roadstead_model::Pattern]| patterns.iter().any(|pattern| pattern.matches(&target.region));
    let region = rules.allow_regions.as_deref().is_none_or(named) && !named(&rules.deny_regions);
    let inside = rules.jurisdictions.as_ref().is_none_or(|wanted| !wanted.is_disjoint(&jurisdictions(target)));
    [
        (Rule::NamespaceAllowed, admitted),
        (Rule::SelectorMatches, selected),
        (Rule::CloudAllowed, cloud),
        (Rule::RegionAllowed, region),
        (Rule::JurisdictionAllowed, inside),
    ]
    .into_iter()
    .filter(|(_, holds)| !holds)
    .map(|(rule, _)| rule)
}

/// The jurisdictions of a target: by the built-in table, else by its owner, with those that follow from the country.
fn jurisdictions(target: &Target) -> BTreeSet<String> {
    if let Some(known) = locate(&target.cloud, &target.region) {
        return known.jurisdictions;
    }
    let declared = target.location.iter();
    declared.flat_map(|one| one.jurisdictions.iter().cloned().chain(jurisdictions_of(&one.country))).collect()
}

/// Rules for what is new alone.
fn newcomer<F: Facts>(check: &mut Check<'_, F>, target: &Target, offer: &Offer, replicas: u32) {
    let (deployment, subject) = (check.deployment, target.name.as_str());
    let bought = deployment.rules.capacity_types.contains(&offer.capacity_type);
    check.require(Rule::CapacityTypeAllowed, subject, bought);
    let can = &target.capabilities;
    let runs = can.engines.as_ref().is_none_or(|engines| engines.contains(&deployment.engine));
    // A source itself, all below one that ends with a slash, or all of a scheme.
    let covers = |known: &String, source: &String| {
        let rest = source.strip_prefix(known.as_str());
        rest.is_some_and(|rest| rest.is_empty() || known.ends_with('/') || rest.starts_with("://"))
    };
    let loads =
        |source: &String| can.sources.as_ref().is_none_or(|sources| sources.iter().any(|known| covers(known, source)));
    check.require(Rule::EngineSupported, subject, runs);
    check.require(Rule::SourceSupported, subject, deployment.source.as_ref().is_none_or(loads));
    check.require(Rule::SettingsSupported, subject, has_effect(deployment, target));
    let numbers = Numbers::Count { found: replicas.into(), allowed: can.max_replicas.map_or(u64::MAX, u64::from) };
    let holds = can.max_replicas.is_none_or(|most| replicas <= most);
    check.require_numbers(Rule::ReplicasSupported, subject, holds, numbers);
    let tolerated = first_untolerated(&target.taints, &deployment.rules.target_tolerations).is_none();
    check.require(Rule::TaintsTolerated, subject, tolerated);
    let silent = matches!(target.inventory, Inventory::Pending { .. }) && deployment.place_without.contains(subject);
    check.require(Rule::TargetUsable, subject, target.state == TargetState::Ready && !silent);
}

/// Every setting of the engine has an effect there, or is left out there.
fn has_effect(deployment: &Deployment, target: &Target) -> bool {
    let own_server = target.capabilities.own_server.as_ref();
    own_server.is_none_or(|type_| deployment.settings.values().all(|left_out| left_out.contains(type_)))
}

fn matches(placement: &Placement, target: &Target, offer: &Offer, shape: &Shape) -> bool {
    let (instance, wanted) = (offer.accelerators(), shape.accelerator.count);
    placement.accelerator == shape.accelerator
        && placement.capacity_type == offer.capacity_type
        && offer.accelerator.as_ref().is_some_and(|has| has.kind == shape.accelerator.kind)
        && instance >= wanted
        && (!target.capabilities.whole_instances || instance == wanted)
}

/// The offer refused so much: lately, by what its endpoints show, or within this plan.
fn is_refused<F: Facts>(check: &Check<'_, F>, target: &Target, offer: &Offer, size: &Size) -> bool {
    let now = check.plan.decided_at;
    let recorded = target.exhausted.iter().any(|one| {
        one.offer == offer.name && one.until > now && one.size.within(size) && one.holds_for(check.deployment)
    });
    let shown = check.facts.endpoints_on(&target.name).any(|one| {
        let refused = one.failure.is_some_and(|failure| failure.kind.is_refusal());
        one.offer == offer.name && (refused || (one.ever_ready && one.unschedulable)) && one.size().within(size)
    });
    let just_now = check.plan.actions.iter().any(|action| match action {
        Action::Delete { exhaust: Some(exhaust), .. } => {
            (&exhaust.target, &exhaust.offer) == (&target.name, &offer.name) && exhaust.size.within(size)
        }
        _ => false,
    });
    recorded || shown || just_now
}

/// An endpoint that stays keeps to what is wanted, and grows only where a newcomer's hard rules, room and budget allow it.
pub(crate) fn kept<F: Facts>(check: &mut Check<'_, F>, keep: &Keep) {
    let Some(endpoint) = check.endpoint(&keep.endpoint) else { return };
    let (deployment, subject) = (check.deployment, keep.endpoint.as_str());
    check.require(Rule::KeepsActive, subject, endpoint.stays());
    let wanted = if endpoint.stands_by() { deployment.standby_replicas } else { deployment.replicas };
    let most = wanted.max(if deployment.suspended || endpoint.stands_by() { endpoint.replicas } else { 0 });
    let numbers = Numbers::Count { found: keep.replicas.into(), allowed: most.into() };
    check.require_numbers(Rule::NoMoreThanWanted, subject, keep.replicas <= most, numbers);
    let follows = keep.pods == PodFields::FollowSpec;
    let fits = deployment.shape(&endpoint.shape).is_some_and(|shape| shape.accelerator == endpoint.accelerator)
        && deployment.engine == endpoint.engine;
    let target = check.facts.target(&endpoint.target);
    let is_same = !endpoint.outdated && deployment.resources == endpoint.resources;
    let updates = |target: &Target| target.capabilities.update_in_place && has_effect(deployment, target);
    let can_follow = fits && (is_same || target.is_none_or(updates));
    check.require(Rule::PodsFollowSpec, subject, !follows || can_follow || keep.replicas == 0);
    let offer = target.and_then(|target| target.offers.iter().find(|offer| offer.name == endpoint.offer));
    budget::kept(check, keep, endpoint, offer);
    grown(check, keep, endpoint, target, offer);
}

fn grown<F: Facts>(
    check: &mut Check<'_, F>,
    keep: &Keep,
    endpoint: &Endpoint,
    target: Option<&Target>,
    offer: Option<&Offer>,
) {
    let (deployment, subject) = (check.deployment, keep.endpoint.as_str());
    let resources = if keep.pods == PodFields::FollowSpec { deployment.resources } else { endpoint.resources };
    let adds = keep.replicas > endpoint.replicas;
    if adds {
        for rule in target.into_iter().flat_map(|target| broken_by_target(deployment, target)) {
            check.require(rule, subject, false);
        }
        let bought = deployment.rules.capacity_types.contains(&endpoint.capacity_type);
        check.require(Rule::CapacityTypeAllowed, subject, bought);
    }
    if !adds && resources.within(&endpoint.resources) || keep.replicas == 0 {
        return;
    }
    let (Some(target), Some(offer)) = (target, offer) else {
        return check.require(Rule::Room, subject, false);
    };
    let size = Size { accelerators: endpoint.accelerator.count, resources };
    room::check(check, subject, &Asked { target, offer, size, replicas: keep.replicas, own: Some(endpoint) });
}
