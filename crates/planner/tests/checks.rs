//! The check of finished plans finds whatever a planner without one of its rules would do; the fleet keeps its books.
//!
//! Each rule of the check is broken in turn: either the planner is not shown the fact that the rule is about, so that it
//! plans as if it had no such rule, or its finished plan is changed. A rule without its mutation does not compile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::random::{any_world, cases, fleet_of};
use common::*;
use proptest::prelude::*;
use roadstead_lint::check;
use roadstead_model::*;
use roadstead_planner::*;

/// A planner that lacks one rule.
struct Mutation {
    /// The facts and the request as they are.
    truth: (Fleet, Deployment),
    /// As the planner sees them.
    seen: (Fleet, Deployment),
    /// Change of its finished plan.
    spoil: Box<dyn Fn(&mut Plan)>,
}

impl Mutation {
    /// The rules that its plan breaks.
    fn found(&self) -> Vec<Rule> {
        let mut mutated = plan(&self.seen.0, &self.seen.1, NOW);
        (self.spoil)(&mut mutated);
        check(&self.truth.0, &self.truth.1, &mutated).iter().map(|violation| violation.rule).collect()
    }

    /// A planner that sees everything and whose plan is changed.
    fn spoils(fleet: Fleet, deployment: Deployment, spoil: impl Fn(&mut Plan) + 'static) -> Self {
        let truth = (fleet, deployment);
        Self { seen: truth.clone(), truth, spoil: Box::new(spoil) }
    }

    /// A planner that does not see a fact about the first target.
    fn hides_fact(fleet: &Fleet, deployment: Deployment, fact: impl Fn(&mut Target)) -> Self {
        Self::hides_fact_of(fleet, deployment, "eks-us", fact)
    }

    /// A planner that does not see a fact about a target.
    fn hides_fact_of(fleet: &Fleet, deployment: Deployment, target: &str, fact: impl Fn(&mut Target)) -> Self {
        let mut truth = fleet.clone();
        change_target(&mut truth, target, fact);
        Self { truth: (truth, deployment.clone()), seen: (fleet.clone(), deployment), spoil: Box::new(|_| {}) }
    }

    /// A planner that does not see a part of the request.
    fn hides_wish(fleet: &Fleet, deployment: Deployment, wish: impl Fn(&mut Deployment)) -> Self {
        let mut truth = deployment.clone();
        wish(&mut truth);
        Self { truth: (fleet.clone(), truth), seen: (fleet.clone(), deployment), spoil: Box::new(|_| {}) }
    }
}

fn world() -> Fleet {
    fleet(two())
}

fn placement(plan: &mut Plan) -> &mut Placement {
    let found = plan.actions.iter_mut().find_map(|action| match action {
        Action::Create { placement, .. } => Some(placement),
        _ => None,
    });
    found.expect("something is created")
}

fn keep(plan: &mut Plan) -> &mut Keep {
    let found = plan.actions.iter_mut().find_map(|action| match action {
        Action::Keep(keep) => Some(keep),
        _ => None,
    });
    found.expect("something is kept")
}

fn delete(name: &str) -> Action {
    Action::Delete { endpoint: name.into(), reason: Removal::Superfluous, exhaust: None }
}

fn drain(name: &str, deadline: Timestamp) -> Action {
    Action::Drain { endpoint: name.into(), deadline, reason: Removal::Replaced }
}

fn exhausted() -> Exhausted {
    Exhausted {
        offer: "a3".into(),
        size: Size::default(),
        only_for: None,
        until: NOW.plus(1),
        generation: 0,
        attempts: 1,
        reason: "CapacityExhausted".into(),
    }
}

/// A fleet in which as many replacements are under way as may be.
fn crowded() -> Fleet {
    let mut fleet = serving();
    for index in 0..DEFAULT_MAX_REPLACEMENTS {
        let of = |name: String| Endpoint { name, ..fleet.endpoint(&key(US)).unwrap().clone() };
        let other = id(&format!("other-{index}"));
        let (old, new) = (of(format!("old-{index}")), of(format!("new-{index}")));
        let old = Endpoint { deployment: other.clone(), replicas: 0, bound: [].into(), ..old };
        let new = Endpoint {
            ready: false,
            replaces: Some(old.name.clone()),
            deployment: other,
            replicas: 0,
            bound: [].into(),
            ..new
        };
        fleet.upsert_endpoint(old);
        fleet.upsert_endpoint(new);
    }
    fleet
}

/// No limit is near.
const OPEN: ReplacementLimits = ReplacementLimits { fleet: 100, namespace: None, destination: None };

/// A replacement that is decided without these limits.
fn beyond(limits: ReplacementLimits) -> Mutation {
    let crowded = crowded();
    let mut limited = Fleet::with_limits(limits);
    crowded.targets().cloned().for_each(|target| limited.upsert_target(target));
    crowded.endpoints().cloned().for_each(|endpoint| limited.upsert_endpoint(endpoint));
    Mutation { seen: (serving(), eu_only()), ..Mutation::spoils(limited, eu_only(), |_| {}) }
}

/// `m` serves in the US, and its replacement starts in the EU.
fn moving() -> Fleet {
    let mut fleet = serving();
    assert_eq!(placed_on(&settle(&mut fleet, &eu_only(), NOW)), Some("gke-eu"));
    fleet
}

const STANDBY: &str = "m-gke-eu-h100x2-1";

/// `m` with a standby of one replica.
fn wants_standby() -> Deployment {
    Deployment { divisible: true, standby_replicas: 1, ..deployment("m") }
}

/// `m` serves; with a standby that is due to take over, or without one.
fn standing_by(is_due: bool) -> Fleet {
    if !is_due {
        return serving();
    }
    let mut fleet = serving();
    settle(&mut fleet, &wants_standby(), NOW);
    serve(&mut fleet, STANDBY, NOW);
    let failing = failing().endpoint(&key(US)).unwrap().clone();
    fleet.upsert_endpoint(failing);
    fleet
}

/// `m` has not answered for a minute.
fn failing() -> Fleet {
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| {
        endpoint.ready = false;
        endpoint.health = Health::Failing;
        endpoint.failing_since = Some(Timestamp(NOW.0 - 60));
        endpoint.failed_at = Some(NOW);
    });
    fleet
}

/// `m` answers, and its target does not.
fn isolated() -> Fleet {
    let mut fleet = failing();
    change(&mut fleet, US, |endpoint| endpoint.health = Health::Isolated);
    fleet
}

/// A mutation that breaks a rule of failover.
fn of_failover(rule: Rule) -> Mutation {
    let m = || deployment("m");
    let truth = match rule {
        Rule::FailoverWanted => (failing(), Deployment { failover_after_seconds: None, ..m() }),
        Rule::FailoverOfFailing => (isolated(), m()),
        Rule::FailoverAfterToleration => (failing(), Deployment { failover_after_seconds: Some(61), ..m() }),
        _ => {
            let mut silent = failing();
            for name in ["eks-us", "gke-eu"] {
                change_target(&mut silent, name, |fact| fact.contact = Contact::Silent);
            }
            (silent, m())
        }
    };
    Mutation { truth, ..Mutation::spoils(failing(), m(), |_| {}) }
}

/// A mutation that breaks a rule of the standby.
fn of_standby(rule: Rule) -> Mutation {
    match rule {
        Rule::StandbyWanted => {
            Mutation::hides_wish(&standing_by(false), wants_standby(), |wish| wish.standby_replicas = 2)
        }
        Rule::StandbyApart => Mutation::hides_fact_of(&standing_by(false), wants_standby(), "gke-eu", |fact| {
            (fact.cloud, fact.region) = ("aws".into(), "us-east-1".into());
        }),
        _ => {
            let mut truth = standing_by(true);
            change(&mut truth, STANDBY, |standby| standby.ready = false);
            Mutation { truth: (truth, wants_standby()), ..Mutation::spoils(standing_by(true), wants_standby(), |_| {}) }
        }
    }
}

/// A mutation that breaks a rule about the cause of a move.
fn of_cause(rule: Rule) -> Mutation {
    let m = || deployment("m");
    match rule {
        Rule::MoveAsRequested => {
            let asked = Deployment { move_to: Some("gke-eu".into()), ..m() };
            Mutation::hides_wish(&serving(), asked, |wish| wish.move_to = Some("eks-us".into()))
        }
        Rule::EvictionByTaint => {
            let mut seen = serving();
            change_target(&mut seen, "eks-us", |target| target.taints = vec![eviction()]);
            Mutation { seen: (seen, m()), ..Mutation::spoils(serving(), m(), |_| {}) }
        }
        _ => {
            let failback =
                Failback { home: "gke-eu".into(), left_at: NOW, stabilization_seconds: 0, only_if_cheaper: false };
            let returns = Deployment { failback: Some(failback), ..m() };
            Mutation::hides_wish(&serving(), returns, |wish| wish.failback = None)
        }
    }
}

/// A mutation that breaks the rule. What holds for growth in place as well is in [`grown`].
fn mutation(rule: Rule) -> Mutation {
    let m = || deployment("m");
    match rule {
        Rule::KnownEndpoint => Mutation::spoils(serving(), m(), |plan| plan.actions = vec![delete("other")]),
        Rule::OneAction => Mutation::spoils(serving(), m(), |plan| plan.actions.push(delete(US))),
        Rule::ReplaceBeforeRemove => Mutation::spoils(serving(), m(), |plan| plan.actions = vec![delete(US)]),
        Rule::OneCreation => Mutation::spoils(world(), m(), |plan| plan.actions.extend(plan.actions.clone())),
        Rule::ReplacesActive => Mutation::spoils(world(), m(), |plan| {
            if let Some(Action::Create { replaces, .. }) = plan.actions.first_mut() {
                *replaces = Some("gone".into());
            }
        }),
        Rule::Pace => Mutation { seen: (serving(), eu_only()), ..Mutation::spoils(crowded(), eu_only(), |_| {}) },
        Rule::NamespaceBudget => beyond(ReplacementLimits { namespace: Some(5), ..OPEN }),
        Rule::DestinationBudget => beyond(ReplacementLimits { destination: Some(0), ..OPEN }),
        Rule::FailoverWanted | Rule::FailoverOfFailing | Rule::FailoverAfterToleration | Rule::FailoverInContact => {
            of_failover(rule)
        }
        Rule::Suspended => Mutation::hides_wish(&world(), m(), |wish| wish.suspended = true),
        Rule::InventoryFirst => {
            Mutation::hides_fact(&world(), m(), |fact| fact.inventory = Inventory::Pending { since: NOW })
        }
        Rule::AdoptsFound => Mutation::spoils(serving(), m(), |plan| {
            plan.actions.push(Action::Adopt {
                found: found("eks-us"),
                state: EndpointState::Draining { deadline: NOW.plus(120) },
            });
        }),
        Rule::DrainTime => Mutation::spoils(serving(), m(), |plan| plan.actions = vec![drain(US, NOW.plus(3_600))]),
        Rule::RefusalWhereItWas => {
            let mut fleet = placed();
            fail(&mut fleet, US, FailureKind::CapacityExhausted);
            Mutation::spoils(fleet, m(), |plan| {
                if let Some(Action::Delete { exhaust: Some(exhaust), .. }) = plan.actions.first_mut() {
                    exhaust.target = "gke-eu".into();
                }
            })
        }
        Rule::OneAllocation => Mutation::spoils(serving(), m(), |plan| plan.allocations.clear()),
        Rule::AllocatedAsPlanned => Mutation::spoils(serving(), m(), |plan| plan.allocations[0].replicas += 1),
        Rule::RoleOfStep => Mutation::spoils(serving(), m(), |plan| plan.allocations[0].role = Role::Draining),
        Rule::OneServing => Mutation::spoils(moving(), eu_only(), |plan| {
            plan.allocations.iter_mut().for_each(|one| one.role = Role::Serving);
        }),
        Rule::ServesFromReady => Mutation::spoils(moving(), eu_only(), |plan| {
            let swap = |role| if role == Role::Serving { Role::Replacement } else { Role::Serving };
            plan.allocations.iter_mut().for_each(|one| one.role = swap(one.role));
        }),
        Rule::WeightOfRole => Mutation::spoils(serving(), m(), |plan| plan.allocations[0].weight = 0),
        Rule::PhaseOfFacts => Mutation::spoils(serving(), m(), |plan| plan.allocations[0].phase = Phase::Starting),
        Rule::RevisionOfSet => Mutation::spoils(serving(), m(), |plan| plan.revision += 1),
        Rule::MoveAsRequested | Rule::EvictionByTaint | Rule::FailbackHome => of_cause(rule),
        Rule::PlaceExists => Mutation::spoils(world(), m(), |plan| placement(plan).offer = "b4".into()),
        Rule::EngineSupported => Mutation::hides_fact(&world(), m(), |fact| {
            fact.capabilities.engines = Some(BTreeSet::from(["custom".to_owned()]));
        }),
        Rule::SourceSupported => Mutation::hides_fact(&world(), m(), |fact| {
            fact.capabilities.sources = Some(BTreeSet::from(["s3".to_owned()]));
        }),
        Rule::SettingsSupported => {
            let with_args = Deployment { settings: BTreeMap::from([(EngineSetting::Args, BTreeSet::new())]), ..m() };
            Mutation::hides_fact(&world(), with_args, |fact| fact.capabilities.own_server = Some("Bedrock".to_owned()))
        }
        Rule::ReplicasSupported => Mutation::hides_fact(&world(), m(), |fact| fact.capabilities.max_replicas = Some(1)),
        Rule::TaintsTolerated => Mutation::hides_fact(&world(), m(), |fact| {
            fact.taints = vec![Taint { key: "k".into(), value: String::new(), effect: Effect::NoPlacement }];
        }),
        Rule::TargetUsable => Mutation::hides_fact(&world(), m(), |fact| fact.state = not_ready(NOW)),
        Rule::ShapeFits => Mutation::spoils(world(), m(), |plan| placement(plan).capacity_type = CapacityType::Spot),
        Rule::AllReplicas => Mutation::spoils(world(), m(), |plan| placement(plan).replicas = 1),
        Rule::NeverTwo => Mutation::hides_wish(&serving(), eu_only(), |wish| wish.removes_first = true),
        Rule::StandbyWanted | Rule::StandbyApart | Rule::PromotesReady => of_standby(rule),
        Rule::ReplicasOfAll | Rule::OwnNodes => Mutation::spoils(world(), divisible(), add_again),
        Rule::OwnSlot => Mutation::spoils(serving(), eu_only(), |plan| placement(plan).slot = 0),
        Rule::NotRefused => Mutation::hides_fact(&world(), m(), |fact| fact.exhausted = vec![exhausted()]),
        Rule::CostOfOffer => Mutation::hides_fact(&world(), m(), |fact| fact.offers[0].price = Some(per_hour("81"))),
        Rule::KeepsActive => {
            let mut truth = serving();
            change(&mut truth, US, |endpoint| endpoint.state = EndpointState::Draining { deadline: NOW.plus(9) });
            Mutation { seen: (serving(), m()), ..Mutation::spoils(truth, m(), |_| {}) }
        }
        Rule::NoMoreThanWanted => Mutation::spoils(serving(), m(), |plan| keep(plan).replicas = 3),
        Rule::PodsFollowSpec => Mutation::hides_wish(&serving(), m(), |wish| wish.engine = "custom".into()),
        Rule::CostOfKept => Mutation::spoils(serving(), m(), |plan| keep(plan).hourly_cost = None),
        Rule::NamespaceAllowed
        | Rule::SelectorMatches
        | Rule::CloudAllowed
        | Rule::RegionAllowed
        | Rule::JurisdictionAllowed
        | Rule::CapacityTypeAllowed
        | Rule::Room
        | Rule::MaxInstances
        | Rule::WithinBudget => grown(rule, &world(), m()).expect("the rule holds for newcomers"),
    }
}

/// Two replicas that may be divided.
fn divisible() -> Deployment {
    Deployment { divisible: true, ..deployment("m") }
}

/// Creates the same endpoint once more, in another slot.
fn add_again(plan: &mut Plan) {
    let mut more = plan.actions.clone();
    if let Some(Action::Create { placement, .. }) = more.first_mut() {
        placement.slot += 1;
    }
    let mut allocation = plan.allocations[0].clone();
    allocation.slot += 1;
    plan.allocations.push(allocation);
    plan.actions.extend(more);
}

/// A mutation that breaks a rule which holds for what grows in place as well as for newcomers.
fn grown(rule: Rule, fleet: &Fleet, deployment: Deployment) -> Option<Mutation> {
    let elsewhere = || BTreeSet::from(["azure".to_owned()]);
    Some(match rule {
        Rule::NamespaceAllowed => Mutation::hides_fact(fleet, deployment, |fact| fact.allowed_namespaces = None),
        Rule::SelectorMatches => {
            Mutation::hides_wish(fleet, deployment, |wish| wish.rules.target_selector = selector(&[("env", "prod")]))
        }
        Rule::CloudAllowed => Mutation::hides_wish(fleet, deployment, |wish| wish.rules.clouds = Some(elsewhere())),
        Rule::RegionAllowed => {
            Mutation::hides_wish(fleet, deployment, |wish| wish.rules.deny_regions = vec![pattern("us-*")])
        }
        Rule::JurisdictionAllowed => Mutation::hides_wish(fleet, deployment, |wish| {
            wish.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
        }),
        Rule::CapacityTypeAllowed => Mutation::hides_wish(fleet, deployment, |wish| {
            wish.rules.capacity_types = BTreeSet::from([CapacityType::Reserved]);
        }),
        Rule::Room => Mutation::hides_fact(fleet, deployment, |fact| fact.nodes = Some(vec![])),
        Rule::MaxInstances => Mutation::hides_fact(fleet, deployment, |fact| fact.offers[0].max_instances = Some(0)),
        Rule::WithinBudget => Mutation::hides_wish(fleet, deployment, |wish| wish.max_hourly_cost = Some(dollars("1"))),
        _ => return None,
    })
}

fn found(target: &str) -> Found {
    common::found("m-found", target)
}

#[test]
fn every_rule_that_a_planner_lacks_is_found() {
    for rule in Rule::ALL {
        let mutation = mutation(*rule);
        let found = mutation.found();
        assert!(found.contains(rule), "{rule:?} is not among {found:?}");
        let honest = plan(&mutation.truth.0, &mutation.truth.1, NOW);
        let false_alarms = check(&mutation.truth.0, &mutation.truth.1, &honest);
        assert!(false_alarms.is_empty(), "{rule:?}: {false_alarms:?}");
    }
}

#[test]
fn an_update_at_a_place_that_updates_nothing_is_found() {
    for truth in [true, false] {
        let mut fleet = serving();
        change(&mut fleet, US, |endpoint| endpoint.outdated = truth);
        let hides = |fact: &mut Target| fact.capabilities.update_in_place = false;
        let found = Mutation::hides_fact(&fleet, deployment("m"), hides).found();
        assert_eq!(found.contains(&Rule::PodsFollowSpec), truth, "{found:?}");
    }
}

#[test]
fn an_update_at_a_place_that_ignores_its_settings_is_found() {
    let with_args =
        Deployment { settings: BTreeMap::from([(EngineSetting::Args, BTreeSet::new())]), ..deployment("m") };
    for truth in [true, false] {
        let mut fleet = serving();
        change(&mut fleet, US, |endpoint| endpoint.outdated = truth);
        let hides = |fact: &mut Target| fact.capabilities.own_server = Some("AzureOpenAI".into());
        let found = Mutation::hides_fact(&fleet, with_args.clone(), hides).found();
        assert_eq!(found.contains(&Rule::PodsFollowSpec), truth, "{found:?}");
    }
}

#[test]
fn a_part_of_an_instance_where_a_replica_pays_for_all_of_it_is_found_and_not_planned() {
    let hides = |fact: &mut Target| fact.capabilities.whole_instances = true;
    let found = Mutation::hides_fact(&world(), deployment("m"), hides).found();
    assert!(found.contains(&Rule::ShapeFits), "{found:?}");
    let mut fleet = world();
    let names: Vec<String> = fleet.targets().map(|target| target.name.clone()).collect();
    for name in names {
        change_target(&mut fleet, &name, hides);
    }
    assert!(plan(&fleet, &deployment("m"), NOW).allocations.is_empty());
}

#[test]
fn growth_in_place_is_checked_as_newcomers_are() {
    let more = || Deployment { replicas: 4, ..deployment("m") };
    let checked: Vec<Rule> =
        Rule::ALL.iter().copied().filter(|rule| grown(*rule, &serving(), more()).is_some()).collect();
    assert_eq!(checked.len(), 9);
    for rule in checked {
        let mutation = grown(rule, &serving(), more()).unwrap();
        let plan = plan(&mutation.seen.0, &mutation.seen.1, NOW);
        assert_eq!(kept(&plan, US).replicas, 4);
        assert!(mutation.found().contains(&rule), "{rule:?} is not among {:?}", mutation.found());
    }
    let larger = |wish: &mut Deployment| wish.resources.memory_bytes = 3_000 * GIB;
    let mut seen = serving();
    change_target(&mut seen, "eks-us", |fact| {
        fact.nodes.iter_mut().flatten().for_each(|node| node.free.memory_bytes = 9_000 * GIB);
    });
    let mut wanted = deployment("m");
    larger(&mut wanted);
    let mutation = Mutation { seen: (seen, wanted.clone()), ..Mutation::spoils(serving(), wanted, |_| {}) };
    assert!(mutation.found().contains(&Rule::Room), "{:?}", mutation.found());
}

/// The rules of the check that answer to a verdict of the planner: it breaks one of them. None if nothing is wrong.
const fn answers_to(reason: Reason) -> &'static [Rule] {
    match reason {
        // Another endpoint on the same target breaks no rule; the planner knows a better place.
        Reason::Chosen | Reason::Feasible | Reason::EndpointFailing => &[],
        Reason::NamespaceNotAllowed => &[Rule::NamespaceAllowed],
        Reason::SelectorMismatch => &[Rule::SelectorMatches],
        Reason::CloudNotAllowed => &[Rule::CloudAllowed],
        Reason::RegionDenied => &[Rule::RegionAllowed],
        Reason::JurisdictionUnknown | Reason::JurisdictionNotAllowed => &[Rule::JurisdictionAllowed],
        Reason::AcceleratorMissing => &[Rule::ShapeFits],
        Reason::CapacityTypeNotAllowed => &[Rule::CapacityTypeAllowed],
        Reason::ProviderUnsupported => {
            &[Rule::EngineSupported, Rule::SourceSupported, Rule::SettingsSupported, Rule::ReplicasSupported]
        }
        Reason::TaintNotTolerated => &[Rule::TaintsTolerated],
        Reason::OverBudget | Reason::PriceUnknown => &[Rule::WithinBudget],
        Reason::TargetNotReady => &[Rule::TargetUsable],
        Reason::Exhausted => &[Rule::NotRefused],
        Reason::InsufficientCapacity => &[Rule::Room, Rule::MaxInstances],
    }
}

/// A plan that puts a deployment where its report says that it must not go.
fn at_rejected(deployment: &Deployment, candidate: &Candidate, plan: &Plan) -> Option<Plan> {
    let shape = deployment.shape(&candidate.shape)?;
    let placement = Placement {
        target: candidate.target.clone(),
        offer: candidate.offer.clone()?,
        shape: candidate.shape.clone(),
        accelerator: shape.accelerator.clone(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        replicas: deployment.replicas,
        replica_cost: None,
        hourly_cost: candidate.hourly_cost,
    };
    let create = Action::Create { placement, replaces: None, stands_by: false, reason: Decision::InitialPlacement };
    Some(Plan { actions: vec![create], ..plan.clone() })
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn no_place_that_the_planner_rejects_passes_the_check((targets, others, deployment) in any_world()) {
        let fleet = fleet_of(&targets, &others);
        let plan = plan(&fleet, &deployment, NOW);
        prop_assert!(check(&fleet, &deployment, &plan).is_empty());
        for candidate in &plan.report.candidates {
            let rules = answers_to(candidate.reason());
            let Some(bad) = at_rejected(&deployment, candidate, &plan).filter(|_| !rules.is_empty()) else { continue };
            let found: Vec<Rule> = check(&fleet, &deployment, &bad).iter().map(|violation| violation.rule).collect();
            prop_assert!(rules.iter().any(|rule| found.contains(rule)), "{candidate:?}: {found:?}");
        }
    }
}

/// Changes of the wanted set: each makes another one of it.
fn changed_sets(plan: &Plan) -> Vec<Plan> {
    let mut changed = Vec::new();
    let mut change = |change: &dyn Fn(&mut Vec<Allocation>)| {
        let mut plan = plan.clone();
        change(&mut plan.allocations);
        changed.push(plan);
    };
    for index in 0..plan.allocations.len() {
        change(&|all| drop(all.remove(index)));
        change(&|all| all.push(all[index].clone()));
        change(&|all| all[index].endpoint = Some("other".into()));
        change(&|all| all[index].target = "elsewhere".into());
        change(&|all| all[index].slot += 100);
        change(&|all| all[index].replicas += 1);
        change(&|all| all[index].weight += 1);
        change(&|all| {
            let drains = all[index].role == Role::Draining;
            all[index].role = if drains { Role::Replacement } else { Role::Draining };
        });
        change(&|all| {
            let ends = all[index].phase == Phase::Ending;
            all[index].phase = if ends { Phase::Ready } else { Phase::Ending };
        });
    }
    changed
}

#[test]
fn no_changed_set_of_allocations_passes_the_check() {
    let adopting = || {
        let mut fleet = world();
        fleet.set_found("eks-us", vec![found("eks-us"), Found { name: "m-more".into(), slot: 1, ..found("eks-us") }]);
        fleet
    };
    let taken_over = || {
        let mut fleet = moving();
        serve(&mut fleet, EU_REPLACEMENT, NOW);
        fleet
    };
    let draining = || {
        let mut fleet = taken_over();
        settle(&mut fleet, &eu_only(), NOW);
        fleet
    };
    let failed = || {
        let mut fleet = placed();
        fail(&mut fleet, US, FailureKind::CapacityExhausted);
        fleet
    };
    let m = || deployment("m");
    for (fleet, deployment, allocations) in [
        (world(), m(), 1),
        (serving(), m(), 1),
        (serving(), eu_only(), 2),
        (moving(), eu_only(), 2),
        (moving(), m(), 2),
        (taken_over(), eu_only(), 2),
        (draining(), eu_only(), 2),
        (failed(), m(), 2),
        (adopting(), m(), 2),
        (serving(), Deployment { suspended: true, ..m() }, 1),
        (serving(), Deployment { replicas: 0, ..m() }, 1),
    ] {
        let plan = checked(&fleet, &deployment, NOW);
        assert_eq!(plan.allocations.len(), allocations, "{:?}", plan.allocations);
        for changed in changed_sets(&plan) {
            assert_ne!(check(&fleet, &deployment, &changed), [], "{:?}", changed.allocations);
        }
    }
}

#[test]
fn the_fleet_forgets_without_a_trace() {
    let mut fleet = serving();
    let names = |fleet: &Fleet| fleet.endpoints_on("eks-us").map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&fleet), [US]);
    gone(&mut fleet, US);
    assert!(names(&fleet).is_empty());
    assert_eq!(fleet.endpoints_of(&id("m")).count(), 0);
    let wanted = plan(&world(), &deployment("m"), NOW);
    assert_eq!(plan(&fleet, &deployment("m"), NOW), wanted, "as if it had never been");
    assert!(fleet.remove_target("eks-us").is_some() && fleet.remove_target("eks-us").is_none());
    assert_eq!(fleet.targets().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["gke-eu"]);
}

#[test]
fn an_endpoint_that_moves_is_counted_once() {
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| endpoint.target = "gke-eu".into());
    assert_eq!(fleet.endpoints_on("eks-us").count(), 0);
    assert_eq!(fleet.endpoints_on("gke-eu").count(), 1);
    assert_eq!(fleet.endpoints().count(), 1);
}

#[test]
fn what_was_found_goes_with_its_target() {
    let mut fleet = world();
    let found = found("eks-us");
    fleet.set_found("eks-us", vec![found.clone()]);
    assert_eq!(fleet.found_of(&id("m")), [&found]);
    assert!(fleet.found_of(&id("other")).is_empty());
    fleet.remove_target("eks-us");
    assert!(fleet.found_of(&id("m")).is_empty());
}

#[test]
fn what_names_another_target_is_taken_over_by_nobody() {
    let mut fleet = world();
    let found = found("gke-eu");
    fleet.set_found("eks-us", vec![found]);
    assert!(fleet.found_of(&id("m")).is_empty(), "a place cannot have something made at another one");
}
