//! Which news of a deployment can wait: while an endpoint starts, its every word would otherwise be written twice.

use std::time::Duration;

use crate::controller::throttle::{self, Urgency};
use roadstead_api::v1alpha1::{ModelDeploymentStatus, PlacementRole, PlacementStatus, conditions, reasons};

/// Words of what starts, and of what pods say, are written at most this often; the endpoint's own status has them at once.
const WORDS: Duration = Duration::from_mins(1);

/// Urgency of the step from `former` to `status`, with `replicas` wanted.
///
/// At once: whatever turns a condition or gives it another reason, and when none or all of the wanted replicas are ready. In
/// turn: the candidates, which are written at most once a minute.
pub fn urgency(former: &ModelDeploymentStatus, status: &ModelDeploymentStatus, replicas: i32) -> Urgency {
    let mut same = former.clone();
    same.replicas = status.replicas;
    same.ready_replicas = status.ready_replicas;
    same.candidates.clone_from(&status.candidates);
    same.omitted_candidates = status.omitted_candidates;
    same.decided_at.clone_from(&status.decided_at);
    for (known, new) in same.placements.iter_mut().zip(&status.placements) {
        known.ready_replicas = new.ready_replicas;
        // Of no use before something serves.
        known.api_key_secret_name.clone_from(&new.api_key_secret_name);
    }
    for (known, new) in same.moves.iter_mut().zip(&status.moves) {
        known.deadline.clone_from(&new.deadline);
        known.message.clone_from(&new.message);
    }
    for condition in &mut same.conditions {
        if let Some(new) = conditions::find(&status.conditions, &condition.type_) {
            condition.message.clone_from(&new.message);
        }
    }
    if same != *status || former == status {
        return Urgency::Now;
    }
    let ready = status.ready_replicas;
    if ready != former.ready_replicas {
        let telling = ready == 0 || ready == replicas;
        return if telling { Urgency::Now } else { Urgency::Within(throttle::COUNTS) };
    }
    if status.decided_at != former.decided_at {
        return Urgency::InTurn;
    }
    // For anything else the message contains the cure.
    let summary = conditions::find(&status.conditions, conditions::READY);
    let slow = |reason: &str| reason == reasons::STARTING || reasons::OF_REPLICAS.contains(&reason);
    let takes_over = |placement: &PlacementStatus| placement.role == PlacementRole::Replacement;
    let can_wait = summary.is_some_and(|ready| slow(&ready.reason)) || status.placements.iter().any(takes_over);
    if can_wait { Urgency::Within(WORDS) } else { Urgency::Now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use roadstead_api::planning;
    use roadstead_api::v1alpha1::conditions::{Conditions, FALSE, TRUE};
    use serde_json::json;

    fn starting(ready: i32, reason: &str, message: &str) -> ModelDeploymentStatus {
        let mut set = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
        set.set(conditions::READY, FALSE, reason, message);
        set.set(conditions::RECONCILING, TRUE, reason, message);
        ModelDeploymentStatus {
            replicas: ready,
            ready_replicas: ready,
            conditions: set.finish(),
            ..ModelDeploymentStatus::default()
        }
    }

    #[test]
    fn words_wait_a_minute_counts_a_few_seconds_and_turns_not_at_all() {
        let of = |former, status| urgency(&former, &status, 4);
        let first = || starting(0, "Starting", "pulling its image");
        assert_eq!(of(first(), starting(0, "Starting", "loading weights")), Urgency::Within(WORDS));
        assert_eq!(of(first(), starting(1, "Starting", "1 of 4")), Urgency::Within(throttle::COUNTS));
        assert_eq!(of(first(), starting(4, "Starting", "4 of 4")), Urgency::Now);
        assert_eq!(of(starting(2, "Starting", ""), first()), Urgency::Now);
        assert_eq!(of(first(), starting(0, "ImagePullFailed", "no such image")), Urgency::Now);
        assert_eq!(of(first(), first()), Urgency::Now, "nothing is new");
        let missing = |message| starting(0, "SecretMissing", message);
        assert_eq!(
            of(missing("there is no Secret"), missing("it has no such key")),
            Urgency::Now,
            "what is to be done"
        );
        let evicted = |message| starting(0, "Evicted", message);
        let more = of(evicted("2 pods failed"), evicted("3 pods failed"));
        assert_eq!(more, Urgency::Within(WORDS), "a member has others every second");
        let placed = |key: Option<&str>| {
            let placement: PlacementStatus = serde_json::from_value(json!({
                "target": "east", "cloud": "aws", "region": "us-east-1", "shape": "s", "offer": "o",
                "capacityType": "OnDemand", "replicas": 4, "readyReplicas": 0, "endpoint": "e", "apiKeySecretName": key,
            }))
            .unwrap();
            ModelDeploymentStatus { placements: vec![placement], ..first() }
        };
        assert_eq!(of(placed(None), placed(Some("e-key"))), Urgency::Within(WORDS), "the name of its key");
        let newer = ModelDeploymentStatus { observed_generation: 2, ..first() };
        assert_eq!(of(first(), newer), Urgency::Now);
        let judged = |ready| ModelDeploymentStatus {
            decided_at: Some(planning::api_time(Timestamp::UNIX_EPOCH)),
            ..starting(ready, "OverBudget", "too dear")
        };
        assert_eq!(of(starting(1, "OverBudget", "dear"), judged(1)), Urgency::InTurn, "with all that speaks of them");
        assert_eq!(of(starting(0, "OverBudget", "dear"), judged(1)), Urgency::Within(throttle::COUNTS));
        assert_eq!(of(first(), judged(0)), Urgency::Now, "whatever turns, all of it is told at once");
    }
}
