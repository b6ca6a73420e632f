//! The moves of a deployment that are under way. A pure function of the plan and the records of endpoints.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use roadstead_explain::{EndpointAt, MoveMessage};
use roadstead_model::{Decision, Plan, Shifting, Wait};

use crate::controller::startup;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, TRUE};
use roadstead_api::v1alpha1::{
    EndpointState, InferenceEndpoint, ModelDeploymentStatus, MoveKind, MoveStatus, MoveStep, limits,
};

/// The moves under way, the latest first.
pub fn moves(
    former: &ModelDeploymentStatus,
    plan: Option<&Plan>,
    endpoints: &[Arc<InferenceEndpoint>],
) -> Vec<MoveStatus> {
    let under_way = endpoints.iter().filter_map(|new| ReplacementPair::to(new, endpoints));
    let mut moves: Vec<MoveStatus> = under_way.filter_map(|one| one.status(former, plan)).collect();
    moves.sort_by(|a, b| (b.started_at.0, &b.endpoint).cmp(&(a.started_at.0, &a.endpoint)));
    moves.truncate(limits::MOVES);
    moves
}

/// Two endpoints, one of which replaces the other.
struct ReplacementPair<'a> {
    new: &'a InferenceEndpoint,
    old: &'a InferenceEndpoint,
}

impl<'a> ReplacementPair<'a> {
    /// The move to an endpoint that stays, if what it replaces is not gone. A younger endpoint of the same name is another.
    fn to(new: &'a InferenceEndpoint, all: &'a [Arc<InferenceEndpoint>]) -> Option<Self> {
        let replaced = new.spec.replaces.as_ref().filter(|_| !is_deleting(new) && !is_draining(new))?;
        let is_old = |other: &&Arc<InferenceEndpoint>| {
            let created = other.metadata.creation_timestamp.as_ref().map(|time| time.0);
            other.name_any() == *replaced && new.name_any() != *replaced && created <= began(new).map(|time| time.0)
        };
        all.iter().find(is_old).map(|old| Self { new, old })
    }

    fn status(&self, former: &ModelDeploymentStatus, plan: Option<&Plan>) -> Option<MoveStatus> {
        let step = self.step(former, plan);
        let share = self.share(plan).filter(|_| step == MoveStep::Shift);
        Some(MoveStatus {
            endpoint: self.new.name_any(),
            replaces: self.old.name_any(),
            kind: kind(&self.new.spec.reason),
            reason: self.new.spec.reason.clone(),
            step,
            weight_percent: share.map(|share| i32::try_from(share.percent).unwrap_or(i32::MAX)),
            started_at: began(self.new).cloned()?,
            deadline: share.map_or_else(|| self.deadline(step), |share| Some(planning::time(share.until))),
            message: limits::message(&self.message(step, share)),
        })
    }

    fn step(&self, former: &ModelDeploymentStatus, plan: Option<&Plan>) -> MoveStep {
        if is_deleting(self.old) {
            MoveStep::Remove
        } else if is_draining(self.old) {
            MoveStep::Drain
        } else if self.is_unverified(former, plan) {
            MoveStep::Verify
        } else if answers(self.new) {
            MoveStep::Shift
        } else {
            MoveStep::Surge
        }
    }

    /// True if a gateway has yet to verify the new endpoint: as the plan has it, or as it was where none was made.
    fn is_unverified(&self, former: &ModelDeploymentStatus, plan: Option<&Plan>) -> bool {
        let endpoint = self.new.name_any();
        match plan.filter(|plan| plan.decision != Decision::Suspended) {
            Some(plan) => plan.waits.contains(&Wait::Verification { endpoint }),
            None => former.moves.iter().any(|known| known.endpoint == endpoint && known.step == MoveStep::Verify),
        }
    }

    /// The share of the requests that the new endpoint takes for now.
    fn share(&self, plan: Option<&Plan>) -> Option<Shifting> {
        plan?.waits.iter().find_map(|wait| match wait {
            Wait::Shift { endpoint, step } if *endpoint == self.new.name_any() => Some(*step),
            _ => None,
        })
    }

    fn deadline(&self, step: MoveStep) -> Option<Time> {
        let status = self.new.status.clone().unwrap_or_default();
        match step {
            MoveStep::Surge => startup::answer_by(self.new, &status).map(planning::api_time),
            MoveStep::Verify => startup::verify_by(self.new).map(planning::api_time),
            MoveStep::Drain => self.old.spec.deadline.clone(),
            MoveStep::Shift | MoveStep::Remove => None,
        }
    }

    fn message(&self, step: MoveStep, share: Option<Shifting>) -> String {
        let (new, old) = (self.new.name_any(), self.old.name_any());
        let new = EndpointAt { endpoint: &new, target: &self.new.spec.target };
        let old = EndpointAt { endpoint: &old, target: &self.old.spec.target };
        let message = match step {
            MoveStep::Surge => MoveMessage::Surge(new),
            MoveStep::Verify => MoveMessage::Verify(new),
            MoveStep::Shift => MoveMessage::Shift { new, old, percent: share.map(|share| share.percent) },
            MoveStep::Drain => MoveMessage::Drain(old),
            MoveStep::Remove => MoveMessage::Remove(old),
        };
        message.to_string()
    }
}

/// Time of the decision that an endpoint replaces another one.
fn began(endpoint: &InferenceEndpoint) -> Option<&Time> {
    endpoint.spec.promoted_at.as_ref().or(endpoint.metadata.creation_timestamp.as_ref())
}

/// The kind of a move, by the decision that is the reason of its record.
fn kind(reason: &str) -> MoveKind {
    let is = |decision: Decision| reason == decision.as_str();
    if is(Decision::TargetLost) || is(Decision::EndpointFailing) {
        MoveKind::Failover
    } else if is(Decision::MoveRequested) {
        MoveKind::Requested
    } else if is(Decision::FailedBack) {
        MoveKind::Failback
    } else if is(Decision::TargetEvicted) {
        MoveKind::Evacuation
    } else {
        MoveKind::Replacement
    }
}

fn is_deleting(endpoint: &InferenceEndpoint) -> bool {
    endpoint.metadata.deletion_timestamp.is_some()
}

fn is_draining(endpoint: &InferenceEndpoint) -> bool {
    endpoint.spec.state == EndpointState::Draining
}

fn answers(endpoint: &InferenceEndpoint) -> bool {
    let ready = endpoint.status.as_ref().and_then(|status| conditions::find(&status.conditions, conditions::READY));
    ready.is_some_and(|ready| ready.status == TRUE)
}

#[cfg(test)]
mod tests {
    use roadstead_model::{DeploymentId, Report, Summary, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn endpoint(name: &str, target: &str, created: &str, change: &Value) -> Arc<InferenceEndpoint> {
        let mut object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": target, "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
        });
        for part in ["metadata", "spec", "status"] {
            for (key, value) in change[part].as_object().into_iter().flatten() {
                object[part][key] = value.clone();
            }
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn old(change: &Value) -> Arc<InferenceEndpoint> {
        endpoint("old", "east", "2026-08-01T11:00:00Z", change)
    }

    fn new(reason: &str, ready: bool) -> Arc<InferenceEndpoint> {
        let status = if ready { "True" } else { "False" };
        let condition = json!([{"type": "Ready", "status": status, "reason": "R", "message": "",
                                "lastTransitionTime": "2026-08-01T12:00:30Z"}]);
        let first = ready.then_some("2026-08-01T12:00:30Z");
        let change = json!({
            "spec": {"replaces": "old", "reason": reason},
            "status": {"conditions": condition, "firstReadyTime": first, "startingSince": "2026-08-01T12:00:01Z"},
        });
        endpoint("new", "west", "2026-08-01T12:00:00Z", &change)
    }

    fn plan(decision: Decision, waits: Vec<Wait>) -> Plan {
        let report = Report {
            candidates: Vec::new(),
            omitted: [].into(),
            namespace_not_allowed: 0,
            largest_fit: None,
            time_can_help: true,
        };
        let deployment = DeploymentId { namespace: "team".to_owned(), name: "llama".to_owned() };
        let (allocations, actions, decided_at) = (Vec::new(), Vec::new(), Timestamp(0));
        let summary = Summary::Suspended;
        let recheck_at = None;
        Plan { deployment, revision: 1, decided_at, allocations, actions, decision, summary, waits, report, recheck_at }
    }

    fn of(endpoints: &[Arc<InferenceEndpoint>], waits: Vec<Wait>) -> Vec<MoveStatus> {
        moves(&ModelDeploymentStatus::default(), Some(&plan(Decision::PolicyViolated, waits)), endpoints)
    }

    fn verification() -> Vec<Wait> {
        vec![Wait::Verification { endpoint: "new".to_owned() }]
    }

    #[test]
    fn a_move_has_its_step_the_deadline_of_the_step_and_what_it_waits_for() {
        use MoveStep::{Drain, Remove, Shift, Surge, Verify};
        let told = |old, new, waits| {
            let of = of(&[old, new], waits);
            let [one] = of.as_slice() else { panic!("{of:?}") };
            (one.step, one.deadline.as_ref().map(|deadline| deadline.0.to_string()), one.message.clone())
        };
        let at = |time: &str| Some(format!("2026-08-01T{time}Z"));
        let (draining, deleting) = (
            json!({"spec": {"state": "Draining", "deadline": "2026-08-01T12:03:00Z"}}),
            json!({"spec": {"state": "Draining", "deadline": "2026-08-01T12:03:00Z"},
                   "metadata": {"deletionTimestamp": "2026-08-01T12:03:00Z"}}),
        );
        let cases = [
            (
                told(old(&json!({})), new("", false), vec![]),
                (Surge, at("12:01:01"), "waiting for new on west to become ready"),
            ),
            (
                told(old(&json!({})), new("", true), verification()),
                (Verify, at("12:01:30"), "waiting for a gateway to verify new on west"),
            ),
            (told(old(&json!({})), new("", true), vec![]), (Shift, None, "new on west and old on east take requests")),
            (
                told(old(&draining), new("", true), vec![]),
                (Drain, at("12:03:00"), "waiting for the requests in flight at old on east to end"),
            ),
            (
                told(old(&deleting), new("", true), vec![]),
                (Remove, None, "waiting for the target to confirm the removal of old on east"),
            ),
        ];
        for ((step, deadline, message), expected) in cases {
            assert_eq!((step, deadline, message.as_str()), expected);
        }
    }

    #[test]
    fn a_step_of_a_shift_has_its_share_and_its_end() {
        let step = Shifting { percent: 25, until: Timestamp(1_785_585_780) };
        let told = of(&[old(&json!({})), new("", true)], vec![Wait::Shift { endpoint: "new".to_owned(), step }]);
        assert_eq!((told[0].step, told[0].weight_percent), (MoveStep::Shift, Some(25)));
        assert_eq!(told[0].deadline.as_ref().unwrap().0.to_string(), "2026-08-01T12:03:00Z");
        assert_eq!(told[0].message, "new on west takes 25 % of the requests, old on east the rest");
    }

    #[test]
    fn the_kind_follows_from_the_reason() {
        for (reason, kind) in [
            ("TargetLost", MoveKind::Failover),
            ("EndpointFailing", MoveKind::Failover),
            ("MoveRequested", MoveKind::Requested),
            ("TargetEvicted", MoveKind::Evacuation),
            ("FailedBack", MoveKind::Failback),
            ("PolicyViolated", MoveKind::Replacement),
            ("SpecChanged", MoveKind::Replacement),
        ] {
            let told = of(&[old(&json!({})), new(reason, false)], vec![]);
            assert_eq!((told[0].kind, told[0].reason.as_str()), (kind, reason));
        }
    }

    #[test]
    fn nothing_moves_without_two_endpoints_or_once_the_new_one_is_withdrawn() {
        assert_eq!(of(&[new("TargetLost", true)], vec![]), [], "the old one is gone");
        let younger = endpoint("old", "east", "2026-08-01T12:30:00Z", &json!({}));
        assert_eq!(of(&[younger, new("TargetLost", true)], vec![]), [], "the name has come back");
        let withdrawn = json!({"spec": {"replaces": "old"}, "metadata": {"deletionTimestamp": "2026-08-01T12:03:00Z"}});
        let withdrawn = endpoint("new", "west", "2026-08-01T12:00:00Z", &withdrawn);
        assert_eq!(of(&[old(&json!({})), withdrawn], vec![]), []);
    }

    #[test]
    fn without_a_plan_the_step_stays_as_the_records_have_it() {
        let endpoints = [old(&json!({})), new("TargetLost", true)];
        let verifying = ModelDeploymentStatus { moves: of(&endpoints, verification()), ..Default::default() };
        assert_eq!(moves(&verifying, None, &endpoints)[0].step, MoveStep::Verify);
        let suspended = plan(Decision::Suspended, vec![]);
        assert_eq!(moves(&verifying, Some(&suspended), &endpoints)[0].step, MoveStep::Verify);
        let shifting = ModelDeploymentStatus { moves: of(&endpoints, vec![]), ..Default::default() };
        assert_eq!(moves(&shifting, None, &endpoints)[0].step, MoveStep::Shift);
    }

    #[test]
    fn the_latest_move_is_the_first() {
        let third = json!({"spec": {"replaces": "new", "reason": "PolicyViolated"}});
        let third = endpoint("third", "north", "2026-08-01T12:10:00Z", &third);
        let told = of(&[old(&json!({})), new("TargetLost", true), third], vec![]);
        assert_eq!(told.iter().map(|one| one.endpoint.as_str()).collect::<Vec<_>>(), ["third", "new"]);
    }
}
