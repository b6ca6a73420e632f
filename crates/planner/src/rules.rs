//! The hard rules: what a deployment allows, and what a target allows.

use roadstead_model::{CapacityType, Deployment, Reason};

use crate::entry::Entry;
use crate::fleet::Fleet;

/// True if the namespace of a deployment may use a target at all.
pub(crate) fn admits(entry: &Entry, deployment: &Deployment) -> bool {
    entry.target.allowed_namespaces.as_ref().is_some_and(|namespaces| namespaces.matches(&deployment.namespace_labels))
}

/// The first rule that forbids a target, whatever it offers. It holds for incumbents as for newcomers.
pub(crate) fn target_rule(entry: &Entry, deployment: &Deployment) -> Option<Reason> {
    let (target, rules) = (&entry.target, &deployment.rules);
    if !admits(entry, deployment) {
        return Some(Reason::NamespaceNotAllowed);
    }
    if !rules.target_selector.matches(&target.labels) {
        return Some(Reason::SelectorMismatch);
    }
    if rules.clouds.as_ref().is_some_and(|clouds| !clouds.contains(&target.cloud)) {
        return Some(Reason::CloudNotAllowed);
    }
    if !region_allowed(deployment, &target.region) {
        return Some(Reason::RegionDenied);
    }
    jurisdiction_rule(entry, deployment)
}

/// The rule of a deployment that forbids how an offer is bought. It holds for incumbents as for newcomers.
pub(crate) fn capacity_type_rule(deployment: &Deployment, capacity_type: CapacityType) -> Option<Reason> {
    let allowed = deployment.rules.capacity_types.contains(&capacity_type);
    (!allowed).then_some(Reason::CapacityTypeNotAllowed)
}

fn region_allowed(deployment: &Deployment, region: &str) -> bool {
    let rules = &deployment.rules;
    let allowed =
        rules.allow_regions.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(region)));
    allowed && !rules.deny_regions.iter().any(|pattern| pattern.matches(region))
}

fn jurisdiction_rule(entry: &Entry, deployment: &Deployment) -> Option<Reason> {
    let wanted = deployment.rules.jurisdictions.as_ref()?;
    let Some(location) = &entry.location else {
        return Some(Reason::JurisdictionUnknown);
    };
    let inside = wanted.iter().any(|jurisdiction| location.jurisdictions.contains(jurisdiction));
    (!inside).then_some(Reason::JurisdictionNotAllowed)
}

impl Fleet {
    /// The hard rule about the target itself that `deployment` breaks there, if it breaks one: asked once more before
    /// anything is created.
    #[must_use]
    pub fn rule_against(&self, deployment: &Deployment, target: &str) -> Option<Reason> {
        self.entry(target).and_then(|entry| target_rule(entry, deployment))
    }
}
