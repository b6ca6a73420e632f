//! Sentences about rules that a finished plan breaks.

use roadstead_model::{Numbers, Rule, Violation};

use crate::words::per_hour;

/// A rule that a finished plan breaks.
#[must_use]
pub fn violation(violation: &Violation) -> String {
    let numbers = match violation.numbers {
        None => String::new(),
        Some(Numbers::Count { found, allowed }) => format!(" ({found}, the limit is {allowed})"),
        Some(Numbers::Cost { found, allowed }) => format!(" ({}, expected {})", per_hour(found), per_hour(allowed)),
    };
    format!("{}: {} [{}]{numbers}", violation.subject, fault(violation.rule), violation.rule.as_str())
}

const fn fault(rule: Rule) -> &'static str {
    match rule {
        Rule::KnownEndpoint => "the deployment has no such endpoint",
        Rule::OneAction => "the endpoint appears in more than one action",
        Rule::ReplaceBeforeRemove => "the endpoint is removed before another one is ready and published",
        Rule::OneCreation => "the plan creates more than one endpoint",
        Rule::ReplacesActive => "the endpoint to replace is not active",
        Rule::Pace => "the fleet replaces too many endpoints at once",
        Rule::NamespaceBudget => "the namespace replaces too many endpoints at once",
        Rule::DestinationBudget => "too many replacements at once go to the target",
        Rule::MoveAsRequested => "the replacement is not on the target that the move was requested to",
        Rule::FailbackHome => "the replacement is not on the target that a failover left, or that is not stable",
        Rule::EvictionByTaint => "no taint evicts the endpoint to replace",
        Rule::FailoverWanted => "failover of the deployment is disabled",
        Rule::FailoverOfFailing => "the endpoint to replace was never ready, answers, or was not seen to fail",
        Rule::FailoverAfterToleration => "the toleration of the failing endpoint has not ended",
        Rule::FailoverInContact => "no target answers, so the hub may be cut off",
        Rule::Suspended => "the deployment is suspended, and the plan changes something",
        Rule::InventoryFirst => "a target that could hold an endpoint has not sent its inventory",
        Rule::AdoptsFound => "the adopted endpoint was not found there, or has a record",
        Rule::DrainTime => "the drain deadline is later than the drain timeout allows",
        Rule::RefusalWhereItWas => "the recorded refusal is about another place or size",
        Rule::OneAllocation => "the endpoint does not have exactly one allocation, or the allocation has no endpoint",
        Rule::AllocatedAsPlanned => "its allocation differs from the step in target, slot or replicas",
        Rule::RoleOfStep => "the role of its allocation does not match the step",
        Rule::NeverTwo => "the plan creates an endpoint beside one that is to be removed first",
        Rule::OneServing => "more than one allocation serves",
        Rule::ServesFromReady => "the deployment relies on an endpoint that does not serve while another one does",
        Rule::WeightOfRole => "the weight of its allocation does not match the role",
        Rule::PhaseOfFacts => "the phase of its allocation differs from that of the endpoint",
        Rule::RevisionOfSet => "the revision does not match the allocations",
        Rule::PlaceExists => "the target, offer or shape does not exist",
        Rule::NamespaceAllowed => "the target does not allow the namespace",
        Rule::SelectorMatches => "the target's labels do not match the target selector",
        Rule::CloudAllowed => "the cloud is not allowed",
        Rule::RegionAllowed => "the region is denied or not allowed",
        Rule::JurisdictionAllowed => "the region is in none of the jurisdictions",
        Rule::CapacityTypeAllowed => "the capacity type is not allowed",
        Rule::EngineSupported => "the target cannot run the engine",
        Rule::SourceSupported => "the target cannot load the model from its source",
        Rule::SettingsSupported => "the target ignores settings of the engine",
        Rule::ReplicasSupported => "the target does not support so many replicas per endpoint",
        Rule::TaintsTolerated => "a taint of the target is not tolerated",
        Rule::TargetUsable => "the target cannot be used",
        Rule::ShapeFits => "placement, offer and shape do not match",
        Rule::AllReplicas => "the placement does not have all replicas",
        Rule::ReplicasOfAll => "the parts have more replicas together than are wanted",
        Rule::StandbyWanted => "the standby has other replicas than wanted, or is not the only one",
        Rule::StandbyApart => "the standby shares a failure domain with a serving endpoint",
        Rule::PromotesReady => "the endpoint to promote does not stand by, or does not serve",
        Rule::OwnNodes => "two additions share nodes",
        Rule::OwnSlot => "another endpoint of the deployment has the slot",
        Rule::NotRefused => "the offer refused this size",
        Rule::Room => "the offer has no room for so many replicas",
        Rule::MaxInstances => "the offer's maxInstances does not allow so many accelerators",
        Rule::CostOfOffer => "the cost is not that of the offer",
        Rule::WithinBudget => "the cost exceeds the budget, or is unknown",
        Rule::KeepsActive => "the plan keeps an endpoint that is draining or being deleted",
        Rule::NoMoreThanWanted => "the endpoint gets more replicas than are wanted",
        Rule::PodsFollowSpec => "the pods follow a spec that does not fit the endpoint",
        Rule::CostOfKept => "the cost of the endpoint is not that of its offer",
    }
}
