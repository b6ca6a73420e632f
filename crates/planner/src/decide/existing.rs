//! The endpoints that exist, each with its role.

use roadstead_model::{Deployment, Endpoint, EndpointState, Role, Timestamp};

use crate::fleet::Fleet;

/// The endpoints of a deployment by their roles.
///
/// At most one of them serves: what runs is not divided over several places yet.
#[derive(Debug)]
pub(super) struct Existing<'a> {
    /// All of them by name, those that are being deleted included.
    endpoints: Vec<(&'a Endpoint, Role)>,
}

impl<'a> Existing<'a> {
    /// Assigns the roles.
    pub(super) fn of(fleet: &'a Fleet, deployment: &Deployment) -> Self {
        let all: Vec<&Endpoint> = fleet.endpoints_of(&deployment.id).collect();
        let active: Vec<&Endpoint> = all.iter().copied().filter(|endpoint| endpoint.is_active()).collect();
        let serving = taken_over(&active).or_else(|| most_reliable(&active));
        let role = |endpoint: &Endpoint| match serving {
            _ if !endpoint.is_active() => Role::Draining,
            Some(serving) if serving.name == endpoint.name => Role::Serving,
            _ => Role::Standby,
        };
        Self { endpoints: all.into_iter().map(|endpoint| (endpoint, role(endpoint))).collect() }
    }

    /// All endpoints by name.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.iter().map(|(endpoint, _)| *endpoint)
    }

    /// All endpoints by name, with their roles.
    pub(super) fn roles(&self) -> impl Iterator<Item = (&'a Endpoint, Role)> {
        self.endpoints.iter().copied()
    }

    /// The endpoint that the deployment relies on.
    pub(super) fn serving(&self) -> Option<&'a Endpoint> {
        self.with(Role::Serving).next()
    }

    /// The endpoint that is to take over from the serving one.
    pub(super) fn replacement(&self) -> Option<&'a Endpoint> {
        let serving = self.serving()?;
        self.with(Role::Standby)
            .filter(|endpoint| endpoint.takes_over_from(serving))
            .max_by_key(|endpoint| (endpoint.ready, endpoint.ever_ready, endpoint.created_at, &endpoint.name))
    }

    /// Further active endpoints: what the serving one has taken over from, or what is not needed.
    pub(super) fn spare(&self) -> Vec<&'a Endpoint> {
        let replacement = self.replacement();
        let is_replacement =
            |endpoint: &Endpoint| replacement.is_some_and(|replacement| replacement.name == endpoint.name);
        self.with(Role::Standby).filter(|endpoint| !is_replacement(endpoint)).collect()
    }

    /// The endpoints that drain, with their deadlines.
    pub(super) fn draining(&self) -> Vec<(&'a Endpoint, Timestamp)> {
        let deadline = |endpoint: &'a Endpoint| match endpoint.state {
            EndpointState::Draining { deadline } => Some((endpoint, deadline)),
            EndpointState::Active | EndpointState::Deleting => None,
        };
        self.all().filter_map(deadline).collect()
    }

    /// The role of an endpoint.
    pub(super) fn role_of(&self, endpoint: &Endpoint) -> Role {
        let known = self.roles().find(|(known, _)| known.name == endpoint.name);
        known.map_or(Role::Standby, |(_, role)| role)
    }

    fn with(&self, role: Role) -> impl Iterator<Item = &'a Endpoint> {
        self.roles().filter(move |(_, own)| *own == role).map(|(endpoint, _)| endpoint)
    }
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

/// Order: serving endpoints, former ones, new ones; endpoints that replace nothing before replacements; and the newest
/// of those that are equal.
fn most_reliable<'a>(active: &[&'a Endpoint]) -> Option<&'a Endpoint> {
    active.iter().copied().max_by_key(|endpoint| {
        (
            endpoint.ever_ready,
            endpoint.serves(),
            endpoint.published_at.is_some(),
            endpoint.ready,
            endpoint.replaces.is_none(),
            endpoint.created_at,
            &endpoint.name,
        )
    })
}
