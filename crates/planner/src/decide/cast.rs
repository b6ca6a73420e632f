//! Who is who among the endpoints of a deployment.

use roadstead_model::{Deployment, Endpoint, EndpointState, Timestamp};

use crate::fleet::Fleet;

/// The endpoints of a deployment by the part they play.
#[derive(Debug)]
pub(super) struct Cast<'a> {
    /// All of them by name, those that are being deleted included.
    pub(super) all: Vec<&'a Endpoint>,
    /// The one that the deployment relies on.
    pub(super) main: Option<&'a Endpoint>,
    /// The one that is to take over from it.
    pub(super) successor: Option<&'a Endpoint>,
    /// Further active ones: what the main one has taken over from, or what nobody needs.
    pub(super) others: Vec<&'a Endpoint>,
    /// Those that drain, with their deadlines.
    pub(super) draining: Vec<(&'a Endpoint, Timestamp)>,
}

impl<'a> Cast<'a> {
    /// Gives out the parts.
    pub(super) fn of(fleet: &'a Fleet, deployment: &Deployment) -> Self {
        let all: Vec<&Endpoint> = fleet.endpoints_of(&deployment.id).collect();
        let active: Vec<&Endpoint> = all.iter().copied().filter(|endpoint| endpoint.is_active()).collect();
        let main = taken_over(&active).or_else(|| incumbent(&active));
        let successor = main.and_then(|main| successor_of(main, &active));
        let has_part =
            |endpoint: &&Endpoint| [main, successor].iter().flatten().any(|other| other.name == endpoint.name);
        let draining = all.iter().filter_map(|endpoint| match endpoint.state {
            EndpointState::Draining { deadline } => Some((*endpoint, deadline)),
            _ => None,
        });
        Self {
            draining: draining.collect(),
            others: active.iter().copied().filter(|endpoint| !has_part(endpoint)).collect(),
            main,
            successor,
            all,
        }
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

/// The one to rely on: what serves before what once did, that before newcomers, what replaces nothing before a
/// replacement, and the newest of those that are equal.
fn incumbent<'a>(active: &[&'a Endpoint]) -> Option<&'a Endpoint> {
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

fn successor_of<'a>(main: &Endpoint, active: &[&'a Endpoint]) -> Option<&'a Endpoint> {
    active
        .iter()
        .copied()
        .filter(|endpoint| endpoint.takes_over_from(main))
        .max_by_key(|endpoint| (endpoint.ready, endpoint.ever_ready, endpoint.created_at, &endpoint.name))
}
