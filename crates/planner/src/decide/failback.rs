//! Decides whether a deployment returns to the target that a failover left.

use roadstead_model::{Endpoint, Finding, TargetState, Timestamp};

use super::existing::ServingPart;
use crate::candidates::{Question, judge_all};

/// Return of a deployment to its home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HomeReturn {
    /// It stays.
    No,
    /// Its home may be stable then.
    From(Timestamp),
    /// It returns.
    Due(Finding),
}

impl HomeReturn {
    /// The return of a part.
    pub(super) fn of(question: &Question, part: &ServingPart) -> Self {
        let serving = part.serving;
        let Some(failback) = &question.deployment.failback else { return Self::No };
        let home = question.fleet.target(&failback.home).filter(|home| home.state == TargetState::Ready);
        let Some(since) = home.and_then(|home| home.ready_since).filter(|_| serving.target != failback.home) else {
            return Self::No;
        };
        let due = failback.due(since);
        if question.now < due {
            return Self::From(due);
        }
        // A replacement that starts at home has taken the room there.
        let returns = part.successors.iter().any(|successor| successor.target == failback.home);
        if returns || is_better(question, serving, &failback.home, failback.only_if_cheaper) {
            return Self::Due(Finding::FailedBack { to: failback.home.clone(), since });
        }
        Self::No
    }
}

/// True if a place at home would do and, if it has to be cheaper, costs less than where the endpoint is.
fn is_better(question: &Question, serving: &Endpoint, home: &str, only_if_cheaper: bool) -> bool {
    let candidates = judge_all(question);
    let at_home = candidates.all.iter().find(|judged| judged.is_feasible() && judged.entry.target.name == home);
    let Some(at_home) = at_home else { return false };
    let is_here =
        |place: (&str, &str, &str)| place == (serving.target.as_str(), serving.offer.as_str(), serving.shape.as_str());
    let here = candidates
        .all
        .iter()
        .find(|judged| is_here((judged.entry.target.name.as_str(), judged.offer_name(), judged.shape.name.as_str())));
    !only_if_cheaper || here.is_none_or(|here| at_home.is_cheaper_than(here))
}
