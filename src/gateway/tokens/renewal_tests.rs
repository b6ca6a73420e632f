#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ireland() -> TokenSource {
    TokenSource::SageMaker { region: "eu-west-1".to_owned(), role: None }
}

/// The token that is minted at this second for this life; its text tells when.
fn token(from: i64, life: i64) -> MintedToken {
    MintedToken { key: Key::new(from.to_string()), from: at(from), until: at(from + life) }
}

fn wanting(offset: u32) -> Renewals {
    let mut renewals = Renewals::new(RenewalOffset::of(offset));
    renewals.want(&[ireland()].into(), at(0));
    renewals
}

/// The second in which the token in use was minted.
fn used(renewals: &Renewals, now: i64) -> Option<i64> {
    renewals.token(&ireland(), at(now)).map(|key| key.expose().parse().unwrap())
}

fn begun(renewals: &mut Renewals, now: i64) -> Vec<MintCause> {
    renewals.begin(at(now)).into_iter().map(|(_, cause)| cause).collect()
}

#[test]
fn a_token_is_renewed_once_by_half_of_its_life_and_each_gateway_has_its_moment() {
    for (offset, second) in [(0, 1440), (500, 1620), (750, 1710)] {
        let mut renewals = wanting(offset);
        assert!(!renewals.are_tried());
        assert_eq!(begun(&mut renewals, 0), [MintCause::Age]);
        assert_eq!(begun(&mut renewals, 1), [], "an attempt is under way");
        renewals.minted(&ireland(), token(0, 3600), at(0));
        assert!(renewals.are_tried());
        assert_eq!((begun(&mut renewals, second - 1), renewals.next(at(1))), (vec![], Some(at(second))), "{offset}");
        assert_eq!(begun(&mut renewals, second + 1), [MintCause::Age], "{offset}");
        assert_eq!(used(&renewals, second + 1), Some(0), "the old one stays in use meanwhile");
        renewals.minted(&ireland(), token(second, 3600), at(second));
        assert_eq!(used(&renewals, second), Some(second));
    }
}

#[test]
fn a_failed_renewal_keeps_the_old_token_until_shortly_before_its_end() {
    let mut renewals = wanting(0);
    begun(&mut renewals, 0);
    renewals.minted(&ireland(), token(0, 3600), at(0));
    let mut now = 1440;
    let mut attempts = Vec::new();
    while now < 3600 {
        if !begun(&mut renewals, now).is_empty() {
            attempts.push(now);
            renewals.failed(&ireland(), "refused".to_owned(), at(now));
        }
        assert_eq!(used(&renewals, now), (now < 3570).then_some(0), "{now}");
        now += 1;
    }
    assert_eq!(attempts[..5], [1440, 1445, 1455, 1475, 1515], "soon at first");
    assert!(attempts.windows(2).all(|pair| pair[1] - pair[0] <= 60), "and at least each minute: {attempts:?}");
    assert_eq!(renewals.trouble(&ireland()), Some("refused"));
    assert!(!begun(&mut renewals, now + 60).is_empty());
    renewals.minted(&ireland(), token(now + 60, 3600), at(now + 60));
    assert_eq!((used(&renewals, now + 60), renewals.trouble(&ireland())), (Some(now + 60), None));
}

#[test]
fn a_refused_token_is_renewed_once_and_its_successor_only_by_its_age() {
    let mut renewals = wanting(0);
    renewals.refused(&ireland(), at(0));
    assert_eq!(begun(&mut renewals, 0), [MintCause::Age]);
    renewals.refused(&ireland(), at(0));
    assert_eq!(begun(&mut renewals, 0), [], "an attempt is under way");
    renewals.minted(&ireland(), token(0, 3600), at(0));
    for _ in 0..3 {
        renewals.refused(&ireland(), at(100));
    }
    assert_eq!(begun(&mut renewals, 100), [MintCause::Refusal]);
    renewals.minted(&ireland(), token(100, 3600), at(100));
    renewals.refused(&ireland(), at(101));
    assert_eq!(begun(&mut renewals, 1539), [], "late refusals and missing rights renew nothing");
    assert_eq!(begun(&mut renewals, 1540), [MintCause::Age]);
    renewals.minted(&ireland(), token(1540, 3600), at(1540));
    renewals.refused(&ireland(), at(1541));
    assert_eq!(begun(&mut renewals, 1541), [MintCause::Refusal]);
    renewals.failed(&ireland(), "no session".to_owned(), at(1541));
    renewals.refused(&ireland(), at(1542));
    assert_eq!(begun(&mut renewals, 1542), [], "failures are retried at their own pace");
    assert_eq!(begun(&mut renewals, 1546), [MintCause::Refusal]);
}

#[test]
fn a_token_that_ends_with_its_session_is_renewed_by_half_of_that_time() {
    let mut renewals = wanting(0);
    begun(&mut renewals, 0);
    renewals.minted(&ireland(), token(0, 300), at(0));
    assert_eq!(renewals.next(at(0)), Some(at(120)));
    begun(&mut renewals, 120);
    renewals.minted(&ireland(), token(0, 120), at(120));
    assert_eq!(renewals.trouble(&ireland()), Some("the token has ended before it could be used"));
    assert_eq!(used(&renewals, 121), Some(0), "the former one");
}

#[test]
fn a_source_that_no_route_names_is_forgotten() {
    let mut renewals = wanting(0);
    begun(&mut renewals, 0);
    renewals.want(&BTreeSet::new(), at(1));
    renewals.minted(&ireland(), token(0, 3600), at(1));
    assert_eq!((used(&renewals, 2), renewals.next(at(2))), (None, None));
}

/// An attempt that begins in this second, if one is due: it fails while the source is away.
fn step(renewals: &mut Renewals, now: i64, life: i64, away: bool) -> usize {
    let begun = renewals.begin(at(now));
    for (source, _) in &begun {
        if away {
            renewals.failed(source, "away".to_owned(), at(now));
        } else {
            renewals.minted(source, token(now, life), at(now));
        }
    }
    begun.len()
}

proptest! {
    /// Two hours of traffic with the hub away: each second has a valid token, although the source is away again and again for up
    /// to a quarter of a token's life, and endpoints refuse whatever they like.
    #[test]
    fn each_second_has_a_valid_token_whenever_the_source_is_away_for_a_while(
        offset in 0_u32..1000,
        life in 1200_i64..3600,
        refusals in proptest::collection::btree_set(0_i64..7200, 0..40),
        outages in proptest::collection::vec((130_i64..2000, 1_i64..=100), 0..20),
    ) {
        let mut renewals = wanting(offset);
        let mut away = vec![false; 7200];
        let mut second = 0;
        for (pause, percent) in outages {
            let (from, until) = (second + pause, second + pause + life / 4 * percent / 100);
            (from..until.min(7200)).for_each(|at| away[usize::try_from(at).unwrap()] = true);
            second = until;
        }
        for (now, away) in (0..).zip(away) {
            if refusals.contains(&now) {
                renewals.refused(&ireland(), at(now));
            }
            step(&mut renewals, now, life, away);
            let minted = used(&renewals, now);
            prop_assert!(minted.is_some_and(|minted| minted <= now && now < minted + life), "{now}: {minted:?}");
        }
    }

    /// Without failures, refusals at most double the number of tokens.
    #[test]
    fn refusals_never_start_a_storm(refused in proptest::collection::vec(any::<bool>(), 7200)) {
        let mut renewals = wanting(0);
        let mut attempts = 0;
        for (now, refused) in (0..).zip(refused) {
            if refused {
                renewals.refused(&ireland(), at(now));
            }
            attempts += step(&mut renewals, now, 3600, false);
        }
        // One by age each 1440 s, and one more after each.
        prop_assert!(attempts <= 12, "{attempts}");
    }
}
