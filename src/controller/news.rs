//! News: the event and the log line of a status transition.
//!
//! Each kind has a pure function from its former and its new status to its news (`news.rs` in its folder), so that a
//! transition is published once however often it is retried, and a new reason of a condition needs no code here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use roadstead_api::v1alpha1::conditions::{self, FALSE, TRUE};
use roadstead_api::v1alpha1::{Dollars, reasons};
use roadstead_explain::deployment::downtime;
use roadstead_model::MicroDollars;
use roadstead_runtime::events::EventSeverity;

/// Reasons that a condition passes through while the operator is at work: no event has them.
pub const SILENT: [&str; 11] = [
    reasons::STARTING,
    reasons::AWAITING_ADDRESS,
    reasons::UNREACHABLE_FROM_HUB,
    reasons::AWAITING_GATEWAYS,
    reasons::REPLACING,
    reasons::LISTING,
    reasons::UNKNOWN,
    reasons::ADOPTED,
    reasons::SCALED,
    "InitialPlacement",
    "Unchanged",
];

/// Reasons of events that need no action. Every other one is a warning.
pub const NORMAL: [&str; 21] = [
    reasons::PLACED,
    reasons::ADOPTED,
    reasons::MOVING,
    reasons::MOVED,
    reasons::SCALED,
    reasons::WITHDRAWN,
    reasons::READY,
    reasons::SCALED_TO_ZERO,
    reasons::SUSPENDED,
    reasons::RESUMED,
    reasons::WITHIN_BUDGET,
    reasons::HOSTED_STANDS_BY,
    reasons::AWAITING_INVENTORY,
    reasons::CHANGED_BY_ADMISSION,
    reasons::DELETING,
    reasons::REMOVED,
    reasons::EXHAUSTED,
    reasons::REACHABLE,
    reasons::ACCEPTED,
    reasons::ORPHANS_GONE,
    reasons::ORPHAN_REMOVED,
];

/// Warnings that no turn of a condition gives.
pub const WARNINGS: [&str; 7] = [
    reasons::NOT_READY,
    reasons::AWAITING_ADDRESS,
    reasons::UNREACHABLE_FROM_HUB,
    reasons::REMOVAL_DELAYED,
    reasons::ABANDONED,
    reasons::NO_CALLERS,
    reasons::ORPHANS_FOUND,
];

/// One event with its log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Severity of the event.
    pub severity: EventSeverity,
    /// A `CamelCase` reason.
    pub reason: String,
    /// A sentence with names and numbers.
    pub note: String,
    /// The target that something leaves.
    pub from: Option<String>,
    /// The target where something is, or to which it goes.
    pub to: Option<String>,
    /// Why it was decided.
    pub why: Option<String>,
    /// New hourly cost, such as `$1.00/h`.
    pub cost: Option<String>,
}

impl News {
    /// News for this reason, which decides whether it is a warning.
    pub fn new(reason: &str, note: impl Into<String>) -> Self {
        let severity = if NORMAL.contains(&reason) { EventSeverity::Normal } else { EventSeverity::Warning };
        let (from, to, why, cost) = (None, None, None, None);
        Self { severity, reason: reason.to_owned(), note: note.into(), from, to, why, cost }
    }

    /// The same, without a need to act.
    #[must_use]
    pub fn harmless(self) -> Self {
        Self { severity: EventSeverity::Normal, ..self }
    }
}

/// The news of a summary condition, `Ready`, of two statuses; `planned` says that the operator itself began what makes
/// it unready now.
#[must_use]
pub fn of_ready(former: &[Condition], new: &[Condition], planned: bool) -> Option<News> {
    let is = conditions::find(new, conditions::READY)?;
    let was = conditions::find(former, conditions::READY);
    let stalled = |set: &[Condition]| conditions::is_true(set, conditions::STALLED);
    let edited = was.is_some_and(|was| was.observed_generation != is.observed_generation);
    let turned = was.is_none_or(|was| (&was.status, &was.reason) != (&is.status, &is.reason));
    // An edit that leaves the spec invalid is reported again, because it is invalid in another way.
    let still_wrong = edited && stalled(new) && was.is_some_and(|was| was.message != is.message);
    if !turned && stalled(former) == stalled(new) && !still_wrong {
        return None;
    }
    let resumed = was.is_some_and(|was| was.reason == reasons::SUSPENDED) && is.reason != reasons::SUSPENDED;
    let was_ready = was.is_some_and(|was| was.status == TRUE);
    if is.status == TRUE {
        let reason = if resumed && was_ready { reasons::RESUMED } else { is.reason.as_str() };
        return Some(News::new(reason, format!("{}{}", is.message, recovery(was, is))));
    }
    if SILENT.contains(&is.reason.as_str()) {
        let lost = was_ready && !edited && !planned;
        let news = lost.then(|| News::new(reasons::NOT_READY, format!("{}: {}", is.reason, is.message)));
        return news.or_else(|| resumed.then(|| News::new(reasons::RESUMED, is.message.clone())));
    }
    Some(News::new(&is.reason, is.message.clone()))
}

/// Time for which it was not ready, if it was ready before.
fn recovery(was: Option<&Condition>, is: &Condition) -> String {
    let Some(was) = was.filter(|was| was.status != TRUE && !SILENT.contains(&was.reason.as_str())) else {
        return String::new();
    };
    let seconds = is.last_transition_time.0.duration_since(was.last_transition_time.0).as_secs();
    downtime(seconds, &was.reason)
}

/// The news of any other condition: it turned false, or it is true again.
#[must_use]
pub fn of_condition(former: &[Condition], new: &[Condition], type_: &str) -> Option<News> {
    let is = conditions::find(new, type_)?;
    let was = conditions::find(former, type_);
    if was.is_some_and(|was| (&was.status, &was.reason) == (&is.status, &is.reason)) {
        return None;
    }
    let note = if is.message.is_empty() { format!("{type_} is {}", is.status) } else { is.message.clone() };
    match is.status.as_str() {
        TRUE => was.is_some_and(|was| was.status == FALSE).then(|| News::new(&is.reason, note).harmless()),
        _ if SILENT.contains(&is.reason.as_str()) => None,
        _ => Some(News::new(&is.reason, note)),
    }
}

/// An hourly cost of a status; `None` is unknown.
#[must_use]
pub fn price(hourly_cost: Option<&Dollars>) -> Option<MicroDollars> {
    hourly_cost?.known()
}
