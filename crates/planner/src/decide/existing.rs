//! The endpoints that exist, each with its role, and the parts that they form.

use std::collections::BTreeSet;

use roadstead_model::{Deployment, Endpoint, EndpointState, Role, Timestamp};

use crate::fleet::Fleet;

/// A part of a deployment: an endpoint that serves, or is to, and what takes over from it.
///
/// A deployment whose replicas are not divided has one part at most.
#[derive(Debug, Clone)]
pub(super) struct ServingPart<'a> {
    /// The endpoint that the deployment relies on.
    pub(super) serving: &'a Endpoint,
    /// The endpoints that are to take over from it, the most reliable first: together they have its replicas.
    pub(super) successors: Vec<&'a Endpoint>,
}

/// The endpoints of a deployment by their roles.
#[derive(Debug, Clone)]
pub(super) struct Existing<'a> {
    /// All of them by name, those that are being deleted included.
    endpoints: Vec<(&'a Endpoint, Role)>,
    /// The parts, the most reliable first.
    parts: Vec<ServingPart<'a>>,
    /// Active endpoints of no part: what was taken over from, or is not needed.
    spare: Vec<&'a Endpoint>,
    /// Endpoints that stand by, the most reliable first.
    standbys: Vec<&'a Endpoint>,
}

impl<'a> Existing<'a> {
    /// Assigns the roles.
    pub(super) fn of(fleet: &'a Fleet, deployment: &Deployment) -> Self {
        let all: Vec<&Endpoint> = fleet.endpoints_of(&deployment.id).collect();
        let active: Vec<&Endpoint> = all.iter().copied().filter(|endpoint| endpoint.is_active()).collect();
        let parts = if is_divided(deployment) { divided(&active) } else { undivided(&active) };
        let serves = |endpoint: &Endpoint| parts.iter().any(|part| part.serving.name == endpoint.name);
        let belongs = |endpoint: &Endpoint| {
            serves(endpoint) || parts.iter().any(|part| part.successors.iter().any(|one| one.name == endpoint.name))
        };
        let spare = active.iter().copied().filter(|endpoint| !belongs(endpoint)).collect();
        let role = |endpoint: &Endpoint| match endpoint.state {
            EndpointState::Active if serves(endpoint) => Role::Serving,
            EndpointState::Active => Role::Replacement,
            EndpointState::Standby => Role::Standby,
            EndpointState::Draining { .. } | EndpointState::Deleting => Role::Draining,
        };
        let mut standbys: Vec<&Endpoint> = all.iter().copied().filter(|endpoint| endpoint.stands_by()).collect();
        standbys.sort_by_key(|endpoint| std::cmp::Reverse(reliability(endpoint)));
        let endpoints = all.into_iter().map(|endpoint| (endpoint, role(endpoint))).collect();
        Self { endpoints, parts, spare, standbys }
    }

    /// All endpoints by name.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.iter().map(|(endpoint, _)| *endpoint)
    }

    /// All endpoints by name, with their roles.
    pub(super) fn roles(&self) -> impl Iterator<Item = (&'a Endpoint, Role)> {
        self.endpoints.iter().copied()
    }

    /// The parts, the most reliable first.
    pub(super) fn parts(&self) -> &[ServingPart<'a>] {
        &self.parts
    }

    /// Active endpoints of no part: what was taken over from, or is not needed.
    pub(super) fn spare(&self) -> Vec<&'a Endpoint> {
        self.spare.clone()
    }

    /// Endpoints that stand by, the most reliable first.
    pub(super) fn standbys(&self) -> &[&'a Endpoint] {
        &self.standbys
    }

    /// True if an endpoint of a part takes over from `other`.
    pub(super) fn is_taken_over(&self, other: &Endpoint) -> bool {
        self.parts.iter().any(|part| part.serving.takes_over_from(other))
    }

    /// A part is not needed beside the others.
    pub(super) fn set_aside(&mut self, part: &ServingPart<'a>) {
        self.parts.retain(|known| known.serving.name != part.serving.name);
        self.spare.push(part.serving);
        self.spare.extend(&part.successors);
        for (endpoint, role) in &mut self.endpoints {
            if endpoint.name == part.serving.name {
                *role = Role::Replacement;
            }
        }
    }

    /// The endpoints that drain, with their deadlines.
    pub(super) fn draining(&self) -> Vec<(&'a Endpoint, Timestamp)> {
        let deadline = |endpoint: &'a Endpoint| match endpoint.state {
            EndpointState::Draining { deadline } => Some((endpoint, deadline)),
            EndpointState::Active | EndpointState::Standby | EndpointState::Deleting => None,
        };
        self.all().filter_map(deadline).collect()
    }

    /// The role of an endpoint.
    pub(super) fn role_of(&self, endpoint: &Endpoint) -> Role {
        let known = self.roles().find(|(known, _)| known.name == endpoint.name);
        known.map_or(Role::Replacement, |(_, role)| role)
    }
}

/// True if replicas may be divided over places, or were when that was possible.
pub(super) fn is_divided(deployment: &Deployment) -> bool {
    let serving = deployment.decided.allocations.values().filter(|one| one.role == Role::Serving);
    deployment.divisible || serving.count() > 1
}

/// One part of all: the most reliable endpoint, with its replacement.
fn undivided<'a>(active: &[&'a Endpoint]) -> Vec<ServingPart<'a>> {
    let serving = taken_over(active).or_else(|| most_reliable(active));
    let part = |serving: &'a Endpoint| ServingPart {
        serving,
        successors: successors(serving, active).into_iter().take(1).collect(),
    };
    serving.map(part).into_iter().collect()
}

/// One part for each endpoint that takes over from no active one, or for all that have taken over from it.
fn divided<'a>(active: &[&'a Endpoint]) -> Vec<ServingPart<'a>> {
    let is_successor = |endpoint: &Endpoint| active.iter().any(|other| endpoint.takes_over_from(other));
    let roots = active.iter().copied().filter(|endpoint| !is_successor(endpoint));
    let mut serving: Vec<&Endpoint> = roots.flat_map(|root| newest_of(root, active, &mut BTreeSet::new())).collect();
    serving.sort_by_key(|endpoint| std::cmp::Reverse(reliability(endpoint)));
    let part = |serving: &'a Endpoint| {
        let mut replicas = 0_u32;
        let mut successors = successors(serving, active);
        successors.retain(|successor| {
            let needed = replicas < serving.replicas;
            replicas = replicas.saturating_add(successor.replicas);
            needed
        });
        ServingPart { serving, successors }
    };
    serving.into_iter().map(part).collect()
}

/// The endpoint itself, or those that have taken over from it: together they serve at least its replicas.
fn newest_of<'a>(root: &'a Endpoint, active: &[&'a Endpoint], seen: &mut BTreeSet<&'a str>) -> Vec<&'a Endpoint> {
    if !seen.insert(&root.name) {
        return Vec::new();
    }
    let serving: Vec<&Endpoint> =
        active.iter().copied().filter(|endpoint| endpoint.takes_over_from(root) && endpoint.serves()).collect();
    let replicas = serving.iter().fold(0_u32, |sum, endpoint| sum.saturating_add(endpoint.replicas));
    if serving.is_empty() || replicas < root.replicas {
        return vec![root];
    }
    serving.into_iter().flat_map(|next| newest_of(next, active, seen)).collect()
}

/// The active endpoints that are to take over from another one, the most reliable first.
fn successors<'a>(serving: &Endpoint, active: &[&'a Endpoint]) -> Vec<&'a Endpoint> {
    let mut all: Vec<&Endpoint> = active.iter().copied().filter(|endpoint| endpoint.takes_over_from(serving)).collect();
    all.sort_by_key(|endpoint| {
        std::cmp::Reverse((endpoint.ready, endpoint.ever_ready, endpoint.created_at, endpoint.name.as_str()))
    });
    all
}

/// The newest that serves and takes over from another active one: the move is done, but for what it replaces.
fn taken_over<'a>(active: &[&'a Endpoint]) -> Option<&'a Endpoint> {
    let replaces_active = |endpoint: &Endpoint| active.iter().any(|other| endpoint.takes_over_from(other));
    active
        .iter()
        .copied()
        .filter(|endpoint| endpoint.serves() && replaces_active(endpoint))
        .max_by_key(|endpoint| (endpoint.created_at, &endpoint.name))
}

/// The one that is to be relied on.
fn most_reliable<'a>(active: &[&'a Endpoint]) -> Option<&'a Endpoint> {
    active.iter().copied().max_by_key(|endpoint| reliability(endpoint))
}

/// Rank of what a deployment relies on.
type Reliability<'a> = (bool, bool, bool, bool, bool, Timestamp, &'a str);

/// Order: serving endpoints, former ones, new ones; endpoints that replace nothing before replacements; and the newest
/// of those that are equal.
fn reliability(endpoint: &Endpoint) -> Reliability<'_> {
    (
        endpoint.ever_ready,
        endpoint.serves(),
        endpoint.published_at.is_some(),
        endpoint.ready,
        endpoint.replaces.is_none(),
        endpoint.created_at,
        &endpoint.name,
    )
}
