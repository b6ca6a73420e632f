use roadstead_model::MicroDollars;

use super::*;

/// A pool of its own in a domain of its own, with so many replicas at this price in dollars an hour.
fn place(number: usize, most: u32, dollars: u64) -> Supply {
    let price = UnitPrice::new(MicroDollars(dollars * 1_000_000), 0, 1);
    Supply { pool: number, domain: number, most, price: Some(price), is_new: true }
}

const fn wish(replicas: u32) -> Wish<'static> {
    Wish { replicas, lacking: 0, held: &[], budget: None, by_tokens: false }
}

/// Replicas by supply.
fn divided(supplies: &[Supply], wish: &Wish<'_>) -> Vec<(usize, u32)> {
    divide(supplies, wish).into_iter().map(|share| (share.supply, share.replicas)).collect()
}

#[test]
fn the_cheapest_place_is_filled_first() {
    assert_eq!(divided(&[place(0, 2, 5), place(1, 9, 7)], &wish(5)), [(0, 2), (1, 3)]);
    assert_eq!(divided(&[place(0, 9, 5), place(1, 9, 7)], &wish(5)), [(0, 5)]);
}

#[test]
fn as_many_as_fit_are_placed() {
    assert_eq!(divided(&[place(0, 2, 5), place(1, 1, 7)], &wish(5)), [(0, 2), (1, 1)]);
    assert_eq!(divided(&[], &wish(5)), []);
}

#[test]
fn one_place_of_a_pool_is_used() {
    // The cheap place of the pool holds one replica, the dear one all: two at the dear one cost less than one elsewhere.
    let dear = Supply { pool: 0, domain: 0, ..place(1, 9, 6) };
    assert_eq!(divided(&[place(0, 1, 5), dear, place(2, 9, 8)], &wish(2)), [(1, 2)]);
    assert_eq!(divided(&[place(0, 1, 1), dear, place(2, 9, 8)], &wish(2)), [(0, 1), (2, 1)]);
}

#[test]
fn replicas_are_spread_over_lacking_domains_and_held_back_for_missing_ones() {
    let spread = |lacking| Wish { lacking, ..wish(3) };
    assert_eq!(divided(&[place(0, 9, 5), place(1, 9, 7)], &spread(2)), [(0, 2), (1, 1)]);
    assert_eq!(divided(&[place(0, 9, 5), place(1, 9, 7)], &spread(3)), [(0, 1), (1, 1)]);
    let held = Wish { held: &[0], ..spread(1) };
    assert_eq!(divided(&[place(0, 9, 5), place(1, 9, 7)], &held), [(0, 2), (1, 1)]);
    assert_eq!(divided(&[place(0, 9, 5)], &held), [(0, 2)]);
}

#[test]
fn a_budget_bounds_the_whole() {
    let budget = Some(MicroDollars(12_000_000));
    assert_eq!(divided(&[place(0, 1, 5), place(1, 9, 7)], &Wish { budget, ..wish(3) }), [(0, 1), (1, 1)]);
    let unknown = Supply { price: None, ..place(1, 9, 0) };
    assert_eq!(divided(&[place(0, 1, 5), unknown], &Wish { budget, ..wish(3) }), [(0, 1)]);
    assert_eq!(divided(&[place(0, 1, 5), unknown], &wish(3)), [(0, 1), (1, 2)]);
}

#[test]
fn a_preferred_place_that_breaks_the_budget_gives_way() {
    let price = UnitPrice::new(MicroDollars(8_000_000), 100, 1);
    let preferred = Supply { price: Some(price), ..place(0, 2, 0) };
    let budget = Some(MicroDollars(14_000_000));
    assert_eq!(divided(&[preferred, place(1, 2, 5)], &wish(2)), [(0, 2)]);
    assert_eq!(divided(&[preferred, place(1, 2, 5)], &Wish { budget, ..wish(2) }), [(0, 1), (1, 1)]);
}

#[test]
fn cost_per_token_is_that_of_the_mix() {
    let fast = |number, most, dollars: u64, tokens| {
        let price = UnitPrice::new(MicroDollars(dollars * 1_000_000), 0, tokens);
        Supply { price: Some(price), ..place(number, most, 0) }
    };
    // Two at the first cost $4 for 200 tokens, one of each $12 for 1,100: $0.020 and $0.011 for each token.
    let supplies = [fast(0, 9, 2, 100), fast(1, 1, 10, 1_000)];
    assert_eq!(divided(&supplies, &Wish { by_tokens: true, ..wish(2) }), [(0, 1), (1, 1)]);
}

#[test]
fn growth_of_what_runs_is_preferred_at_the_same_price() {
    let grown = Supply { is_new: false, ..place(1, 9, 5) };
    assert_eq!(divided(&[place(0, 9, 5), grown], &wish(3)), [(1, 3)]);
}
