//! Writes in flight: the assumed state of one endpoint, beside the observed one.

use roadstead_model::{Endpoint, EndpointState, Resources};

/// An endpoint with a write in flight.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    /// The endpoint as it was last observed; `None` before its first observation.
    pub(crate) seen: Option<Endpoint>,
    /// The endpoint as observed at the decision, with the decision applied.
    assumed: Endpoint,
    change: FieldChanges,
}

/// The fields that a decision changes.
#[derive(Debug, Clone, Copy)]
struct FieldChanges {
    replicas: Option<u32>,
    resources: Option<Resources>,
    state: Option<EndpointState>,
    /// True if a standby takes over from another endpoint.
    promoted: bool,
    /// True if the endpoint gets a new spec: its ready pods do not serve that spec yet.
    told_anew: bool,
}

impl Flight {
    /// A flight from the state before a decision to the one after it; `None` if the decision changes nothing.
    pub(crate) fn between(before: Option<Endpoint>, after: Endpoint) -> Option<Self> {
        let change = before.as_ref().map_or(FieldChanges::NONE, |before| FieldChanges::between(before, &after));
        let changes = before.as_ref() != Some(&after);
        changes.then_some(Self { seen: before, assumed: after, change })
    }

    /// The endpoint as other decisions count it. One that shrinks counts in full until its write is answered.
    pub(crate) fn laid(&self) -> Endpoint {
        let Some(seen) = &self.seen else { return self.assumed.clone() };
        let replicas = self.change.replicas.map_or(seen.replicas, |replicas| replicas.max(seen.replicas));
        let takes_over = if self.change.promoted { &self.assumed } else { seen };
        Endpoint {
            replicas,
            resources: self.change.resources.unwrap_or(seen.resources),
            state: self.change.state.unwrap_or(seen.state),
            ready: seen.ready && !self.change.told_anew,
            priority: self.assumed.priority,
            replaces: takes_over.replaces.clone(),
            promoted_at: takes_over.promoted_at,
            ..seen.clone()
        }
    }

    /// The endpoint as it would be observed once the write has landed.
    pub(crate) fn observe(&mut self, seen: Endpoint) {
        self.seen = Some(seen);
    }
}

impl FieldChanges {
    const NONE: Self = Self { replicas: None, resources: None, state: None, promoted: false, told_anew: false };

    fn between(before: &Endpoint, after: &Endpoint) -> Self {
        Self {
            replicas: (before.replicas != after.replicas).then_some(after.replicas),
            resources: (before.resources != after.resources).then_some(after.resources),
            state: (before.state != after.state).then_some(after.state),
            promoted: before.promoted_at != after.promoted_at,
            told_anew: before.ready && !after.ready,
        }
    }
}
