//! Reasons of conditions, events, candidates and records, and the tables of the documents that explain them.

use std::collections::BTreeSet;
use std::fs;

use roadstead_model::{Decision, FindingReason, Reason, Removal};

use crate::{files, root};

/// The names of all variants; one that is missing does not compile.
macro_rules! names {
    ($type:ident: $($variant:ident),+ $(,)?) => {{
        let _ = |value: $type| match value { $($type::$variant => ()),+ };
        vec![$($type::$variant.as_str()),+]
    }};
}

/// Every reason that an object can show.
fn existing() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("crates/api/src/v1alpha1/reasons.rs")).unwrap();
    let of_api = source.lines().filter(|line| line.starts_with("pub const") && line.contains(": &str"));
    let of_api = of_api.map(|line| line.split('"').nth(1).unwrap());
    let of_plans = [
        names!(Reason: Chosen, Feasible, NamespaceNotAllowed, SelectorMismatch, CloudNotAllowed, RegionDenied,
            JurisdictionUnknown, JurisdictionNotAllowed, AcceleratorMissing, CapacityTypeNotAllowed, ProviderUnsupported,
            TaintNotTolerated, OverBudget, PriceUnknown, TargetNotReady, EndpointFailing, Exhausted,
            InsufficientCapacity),
        names!(FindingReason: PolicyViolated, SpecChanged, TargetLost, EndpointFailing, TargetEvicted, MoveRequested, FailedBack, TargetNotReady, OverBudget, PriceUnknown, InsufficientCapacity,
            ProviderUnsupported, OfferGone, StartupTimeout),
        names!(Decision: InitialPlacement, Unchanged, Scaled, ScaledToZero, SpecChanged, PolicyViolated, OverBudget, TargetLost,
            EndpointFailing, TargetEvicted, MoveRequested, FailedBack, Adopted,
            AwaitingInventory, AwaitingRemoval, NoFeasiblePlacement, PartlyPlaced, SpreadUnsatisfied, StandbyPlaced,
            Suspended),
        names!(Removal: Replaced, Superfluous, CapacityExhausted, StartupTimeout, AdmissionRefused, NameConflict,
            TargetNotReady, PolicyViolated, SpecChanged, OverBudget, OfferGone, MoveAbandoned, ScaledToZero,
            StandbyMoved),
    ]
    .concat();
    of_api.chain(of_plans).map(ToOwned::to_owned).collect()
}

/// The reasons in the first column of the documents' tables of reasons and events.
fn documented() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files("docs", ".md") {
        let mut inside = false;
        for line in fs::read_to_string(&file).unwrap().lines() {
            inside = line.starts_with("| reason |") || line.starts_with("| event |") || inside && line.starts_with('|');
            if inside && let Some(cell) = line.split('|').nth(1) {
                found.extend(cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned));
            }
        }
    }
    found
}

#[test]
fn the_documents_explain_every_reason_and_no_other() {
    let (existing, documented) = (existing(), documented());
    let missing: Vec<_> = existing.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&existing).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "reasons that no table has: {missing:?}; that do not exist: {unknown:?}"
    );
}
