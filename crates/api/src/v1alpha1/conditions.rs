//! Conditions: their types, and one builder that keeps the time of the last transition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Summary: it is as it should be.
pub const READY: &str = "Ready";
/// Present only while the newest generation is not realised.
pub const RECONCILING: &str = "Reconciling";
/// Present only while nothing but an edit can help.
pub const STALLED: &str = "Stalled";
/// A place was decided.
pub const PLACED: &str = "Placed";
/// A replacement is under way, or is wanted and cannot be made; present only then.
pub const MIGRATING: &str = "Migrating";
/// The running endpoints are within the budget; present only if a budget is set.
pub const WITHIN_BUDGET: &str = "WithinBudget";
/// Present only while an endpoint that fails is to be replaced, or would be if the hub reached a target.
pub const FAILOVER_ACTIVE: &str = "FailoverActive";
/// The standby answers; present only if one is wanted.
pub const STANDBY_READY: &str = "StandbyReady";
/// Hosted models take requests; present only if the deployment names any.
pub const HOSTED_FALLBACK: &str = "HostedFallback";
/// The provider has made it.
pub const CREATED: &str = "Created";
/// All replicas are of the newest form and pass the provider's checks.
pub const SERVING: &str = "Serving";
/// Present only where the provider changes what it is asked for, and that is accepted.
pub const CHANGED_BY_ADMISSION: &str = "ChangedByAdmission";
/// The place answers.
pub const REACHABLE: &str = "Reachable";
/// The place accepts the credentials.
pub const CREDENTIALS_VALID: &str = "CredentialsValid";

/// Present only while a usable target needs attention.
pub const NEEDS_ATTENTION: &str = "NeedsAttention";
/// The orphans at the target are known.
pub const SWEPT: &str = "Swept";

/// All types that Roadstead sets. It does not change conditions of other types.
const OURS: [&str; 16] = [
    READY,
    RECONCILING,
    STALLED,
    PLACED,
    MIGRATING,
    WITHIN_BUDGET,
    FAILOVER_ACTIVE,
    STANDBY_READY,
    HOSTED_FALLBACK,
    CREATED,
    SERVING,
    CHANGED_BY_ADMISSION,
    REACHABLE,
    CREDENTIALS_VALID,
    NEEDS_ATTENTION,
    SWEPT,
];

/// The status of a condition.
pub const TRUE: &str = "True";
/// The status of a condition.
pub const FALSE: &str = "False";
/// The status of a condition.
pub const UNKNOWN: &str = "Unknown";

/// The API server refuses longer messages.
const MAX_MESSAGE_BYTES: usize = 32_768;

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// True if the condition of this type is true.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == TRUE)
}

/// Builds all conditions of a status; an unchanged condition keeps its time.
pub struct Conditions<'a> {
    former: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    built: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// Begins with none; `former` gives the times of transitions.
    #[must_use]
    pub fn new(former: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { former, generation, now, built: Vec::new() }
    }

    /// Sets one condition.
    pub fn set(&mut self, type_: &str, status: &str, reason: &str, message: impl Into<String>) -> &mut Self {
        let former = find(self.former, type_);
        let since = former.filter(|former| former.status == status).map(|former| former.last_transition_time.clone());
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        self.built.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: since.unwrap_or(Time(self.now)),
        });
        self
    }

    /// Keeps a former condition as it was.
    pub fn keep(&mut self, type_: &str) -> &mut Self {
        self.built.extend(find(self.former, type_).cloned());
        self
    }

    /// The conditions, those of others after our own.
    #[must_use]
    pub fn finish(mut self) -> Vec<Condition> {
        let others = self.former.iter().filter(|condition| !OURS.contains(&condition.type_.as_str()));
        self.built.extend(others.cloned());
        self.built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_of_somebody_else_is_left_alone() {
        let first = Timestamp::from_second(100).unwrap();
        let mut conditions = Conditions::new(&[], Some(1), first);
        conditions.set("Audited", TRUE, "ByHand", "").set(STALLED, TRUE, "InvalidSpec", "");
        let former = conditions.finish();
        let mut conditions = Conditions::new(&former, Some(2), first);
        conditions.set(READY, TRUE, "Ready", "");
        let types: Vec<_> = conditions.finish().into_iter().map(|condition| condition.type_).collect();
        assert_eq!(types, ["Ready", "Audited"]);
    }

    #[test]
    fn a_condition_that_does_not_change_keeps_its_time() {
        let first = Timestamp::from_second(100).unwrap();
        let later = Timestamp::from_second(200).unwrap();
        let mut conditions = Conditions::new(&[], Some(1), first);
        conditions.set(READY, FALSE, "Starting", "one of two").set(PLACED, TRUE, "Placed", "");
        let former = conditions.finish();
        let mut conditions = Conditions::new(&former, Some(2), later);
        conditions.set(READY, FALSE, "Starting", "two of two").set(PLACED, FALSE, "Lost", "");
        let newest = conditions.finish();
        assert_eq!(find(&newest, READY).unwrap().last_transition_time.0, first);
        assert_eq!(find(&newest, PLACED).unwrap().last_transition_time.0, later);
        assert_eq!(find(&newest, READY).unwrap().observed_generation, Some(2));
    }
}
