//! Prices by unit and by time: which cost counts, when it is unknown, and what an unknown cost means.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::verdict;
use roadstead_lint::check;
use roadstead_model::*;
use roadstead_planner::*;

const LATER: Timestamp = Timestamp(NOW.0 + 600);

/// Two targets: `eks-us` with this price, `gke-eu` for $88.49 an instance.
fn priced(price: Price) -> Fleet {
    let mut targets = two();
    targets[0].offers[0].price = Some(price);
    fleet(targets)
}

/// $8 an instance: the cheapest place, until then.
fn until(valid_until: Timestamp) -> Price {
    Price { valid_until: Some(valid_until), ..per_hour("8") }
}

fn tokens(input: &str, output: &str) -> Price {
    Price::of_spec(Rate::PerMillionTokens { input: dollars(input), output: dollars(output) })
}

fn with_budget() -> Deployment {
    Deployment { max_hourly_cost: Some(dollars("1000")), ..deployment("m") }
}

fn by_tokens() -> Deployment {
    let mut deployment = deployment("m");
    deployment.objective = Objective::CostPerMillionTokens;
    deployment.shapes[0].tokens_per_second = Some(4_200);
    deployment
}

/// Target of the placement, and the sentence about the candidate on `eks-us`.
fn decided(fleet: &Fleet, deployment: &Deployment, now: Timestamp) -> (String, String) {
    let plan = checked(fleet, deployment, now);
    let candidate = plan.report.candidates.iter().find(|candidate| candidate.target == "eks-us").unwrap();
    (placed_on(&plan).unwrap().to_owned(), verdict(candidate))
}

#[test]
fn an_expired_price_ranks_last_and_is_never_within_a_budget() {
    let fleet = priced(until(LATER));
    for deployment in [deployment("m"), with_budget()] {
        assert_eq!(decided(&fleet, &deployment, NOW).0, "eks-us", "valid until then");
    }
    let (place, told) = decided(&fleet, &deployment("m"), LATER);
    assert_eq!(
        (place.as_str(), told.as_str()),
        ("gke-eu", "the price expired at 2026-08-01T12:10:00Z, so it ranks last")
    );
    let (place, told) = decided(&fleet, &with_budget(), LATER);
    let refused = "the price expired at 2026-08-01T12:10:00Z, budget $1000.00/h";
    assert_eq!((place.as_str(), told.as_str()), ("gke-eu", refused));
}

#[test]
fn reserved_capacity_is_not_free_when_its_price_expired_or_is_not_an_amount() {
    for (price, cause) in [
        (until(NOW), "the price expired at 2026-08-01T12:00:00Z, so it ranks last"),
        (Price::of_spec(Rate::Unreadable), "the price is not an amount, so it ranks last"),
    ] {
        let mut fleet = priced(price);
        change_target(&mut fleet, "eks-us", |target| target.offers[0].capacity_type = CapacityType::Reserved);
        let (place, told) = decided(&fleet, &deployment("m"), NOW);
        assert_eq!((place.as_str(), told.as_str()), ("gke-eu", cause));
    }
}

#[test]
fn a_plan_is_made_again_when_a_price_expires() {
    let fleet = priced(until(LATER));
    assert_eq!(plan(&fleet, &deployment("m"), NOW).recheck_at, Some(LATER));
    assert_eq!(plan(&fleet, &deployment("m"), LATER).recheck_at, None);
    let hidden = Deployment { namespace_labels: labels(&[("team", "b")]), ..deployment("m") };
    let mut closed = fleet.clone();
    change_target(&mut closed, "eks-us", |target| target.allowed_namespaces = Some(selector(&[("team", "a")])));
    assert_eq!(plan(&closed, &hidden, NOW).recheck_at, None, "the deployment cannot use that target");
}

#[test]
fn a_running_endpoint_stays_at_its_last_known_price_when_it_expires() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.offers[0].price = Some(until(LATER)));
    let before = checked(&fleet, &deployment("m"), NOW);
    assert_eq!(kept(&before, US).hourly_cost, Some(dollars("4")));
    assert_eq!(before.recheck_at, Some(LATER));
    let after = checked(&fleet, &deployment("m"), LATER);
    assert_ne!(kept(&after, US).hourly_cost, Some(MicroDollars::ZERO));
    assert_eq!(kept(&after, US).replicas, 2);
}

#[test]
fn an_accelerator_costs_the_same_on_every_instance() {
    let rate = Rate::PerAcceleratorHour(dollars("2.50"));
    let plan = checked(&priced(Price::of_spec(rate)), &deployment("m"), NOW);
    let placement = created(&plan).unwrap();
    assert_eq!((placement.target.as_str(), placement.hourly_cost), ("eks-us", Some(dollars("10"))));
    assert_eq!(placement.replica_cost, Some(dollars("5")));
}

#[test]
fn a_price_by_tokens_counts_only_where_cost_per_token_is_compared() {
    let fleet = priced(tokens("0.10", "0.20"));
    let (place, told) = decided(&fleet, &deployment("m"), NOW);
    let last = "charged per token; hourly cost unknown, so it ranks last";
    assert_eq!((place.as_str(), told.as_str()), ("gke-eu", last));
    let (place, told) = decided(&fleet, &by_tokens(), NOW);
    let best = "costs $0.20 per million tokens, the best of 2 feasible places";
    assert_eq!((place.as_str(), told.as_str()), ("eks-us", best));
    let dear = priced(tokens("0.10", "900"));
    let (place, told) = decided(&dear, &by_tokens(), NOW);
    assert_eq!((place.as_str(), told.as_str()), ("gke-eu", "costs $900.00 per million tokens"));
    let budget = Deployment { max_hourly_cost: Some(dollars("1000")), ..by_tokens() };
    let (place, told) = decided(&fleet, &budget, NOW);
    let refused = "charged per token; hourly cost unknown, budget $1000.00/h";
    assert_eq!((place.as_str(), told.as_str()), ("gke-eu", refused));
}

#[test]
fn an_offer_without_accelerators_holds_no_shape_that_asks_for_some() {
    let mut targets = two();
    targets[0].offers[0] = Offer { accelerator: None, price: Some(tokens("0", "0")), ..targets[0].offers[0].clone() };
    for deployment in [deployment("m"), by_tokens()] {
        let (place, told) = decided(&fleet(targets.clone()), &deployment, NOW);
        assert_eq!((place.as_str(), told.as_str()), ("gke-eu", "no offer has H100: the target offers no accelerators"));
    }
}

#[test]
fn the_check_finds_a_planner_that_misses_an_expiry() {
    let late = plan(&priced(until(LATER)), &with_budget(), NOW);
    let found = check(&priced(until(NOW)), &with_budget(), &late);
    let rules: Vec<Rule> = found.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::CostOfOffer, Rule::WithinBudget]);
}
