//! Decides whether an endpoint that was ready fails for so long that it is replaced.

use roadstead_model::{Contact, Decision, Endpoint, Facts, Finding, Health, Outage, Timestamp};

use crate::candidates::Question;
use crate::hub::HubContact;

/// Toleration of an endpoint that was ready and may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// It answers, or nothing is replaced because it fails.
    None,
    /// It is not known whether it fails, or it answers while its target does not: no move begins or ends.
    Unclear,
    /// It fails, and is tolerated until then.
    Tolerated(Timestamp),
    /// It has failed for longer than the toleration, and the hub reaches no target.
    HubIsolated,
    /// It has failed for longer than the toleration.
    Due(Decision),
}

impl Tolerance {
    /// The tolerance for an endpoint.
    pub(super) fn of(question: &Question, endpoint: &Endpoint) -> Self {
        let Some(toleration) = question.deployment.failover_after_seconds else { return Self::None };
        if endpoint.ready || !endpoint.ever_ready || endpoint.replicas == 0 {
            return Self::None;
        }
        match (endpoint.health, endpoint.failing_since) {
            (Health::Healthy, _) => Self::None,
            (Health::Isolated | Health::Unknown, _) | (_, None) => Self::Unclear,
            (Health::Failing | Health::Lost, Some(since)) => match (endpoint.failed_at, since.plus(toleration)) {
                (None, _) => Self::Unclear,
                (Some(failed), _) if is_back_since(question, endpoint, failed) => Self::Unclear,
                // It may have answered since its last failed probe: the next one decides.
                (Some(failed), until) if failed < until => Self::Tolerated(until),
                _ => match HubContact::of(question.fleet) {
                    HubContact::Isolated => Self::HubIsolated,
                    HubContact::Unclear => Self::Unclear,
                    HubContact::Normal | HubContact::Impaired => Self::Due(decision(question, endpoint)),
                },
            },
        }
    }

    /// The decision about an endpoint that is to be replaced now.
    pub(super) const fn due(self) -> Option<Decision> {
        match self {
            Self::Due(decision) => Some(decision),
            Self::None | Self::Unclear | Self::Tolerated(_) | Self::HubIsolated => None,
        }
    }

    /// True if the target of the endpoint is left, `is_moving` being that a replacement exists: the endpoint fails there, or
    /// may fail while its replacement starts.
    pub(super) fn leaves(self, is_moving: bool) -> bool {
        self.due().is_some() || (self != Self::None && is_moving)
    }

    /// The cause for which a replacement that exists is pursued: also while it is not known whether the endpoint still fails.
    pub(super) fn pursued(self, question: &Question, endpoint: &Endpoint) -> Option<Decision> {
        match self {
            Self::None => None,
            Self::Due(_) | Self::Unclear | Self::Tolerated(_) | Self::HubIsolated => Some(decision(question, endpoint)),
        }
    }
}

/// True if an endpoint that would be removed first may answer again: its target is back since the last failed probe.
fn is_back_since(question: &Question, endpoint: &Endpoint, failed: Timestamp) -> bool {
    let since = question.fleet.target(&endpoint.target).and_then(|target| target.ready_since);
    question.deployment.removes_first && since.is_some_and(|since| failed < since)
}

fn decision(question: &Question, endpoint: &Endpoint) -> Decision {
    let contact = question.fleet.target(&endpoint.target).map(|target| target.contact);
    if endpoint.health == Health::Lost || contact.is_none_or(|contact| contact == Contact::Silent) {
        Decision::TargetLost
    } else {
        Decision::EndpointFailing
    }
}

/// True if a decision replaces an endpoint because it fails.
pub(super) const fn is_failover(decision: Decision) -> bool {
    matches!(decision, Decision::TargetLost | Decision::EndpointFailing)
}

/// Replacements that may be under way at once: a tenth while many targets do not answer.
pub(super) fn limit(question: &Question, cause: Decision) -> u32 {
    let limit = question.fleet.replacement_limits().fleet;
    match HubContact::of(question.fleet) {
        HubContact::Impaired if is_failover(cause) => limit.div_ceil(10),
        _ => limit,
    }
}

/// The finding about an endpoint that fails.
pub(super) fn finding(question: &Question, endpoint: &Endpoint) -> Option<Finding> {
    let toleration = question.deployment.failover_after_seconds?;
    let since = endpoint.failing_since.filter(|_| endpoint.ever_ready && !endpoint.ready)?;
    let outage = Outage {
        endpoint: endpoint.name.clone(),
        target: endpoint.target.clone(),
        since,
        until: since.plus(toleration),
    };
    match endpoint.health {
        Health::Lost => Some(Finding::TargetLost(outage)),
        Health::Failing => Some(Finding::EndpointFailing(outage)),
        Health::Healthy | Health::Isolated | Health::Unknown => None,
    }
}
