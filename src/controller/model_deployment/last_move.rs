//! The record of the latest replacement that has taken over: a pure function of persisted times.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use roadstead_api::v1alpha1::conditions::{self, find};
use roadstead_api::v1alpha1::{
    InferenceEndpoint, LastMove, ModelDeploymentStatus, MoveStage, PlacementRole, PlacementStatus, StageName, reasons,
};

/// The latest move once its endpoint is published; what `former` says until then. It changes only together with the
/// placements.
pub fn last_move(
    former: &ModelDeploymentStatus,
    placements: &[PlacementStatus],
    endpoints: &[Arc<InferenceEndpoint>],
) -> Option<LastMove> {
    let published = placements.iter().find_map(|placement| {
        let was = former.placements.iter().find(|known| known.endpoint == placement.endpoint);
        let record = find_record(endpoints, &placement.endpoint)?;
        let stood_by = was.is_some_and(|known| known.role == PlacementRole::Standby);
        if stood_by && placement.role != PlacementRole::Standby {
            // Its address was published long before.
            return move_to(record, endpoints, record.spec.promoted_at.as_ref()?);
        }
        let is_new = placement.url.is_some() && was.is_none_or(|known| known.url.is_none());
        let routed = placement.since.as_ref().filter(|_| is_new)?;
        move_to(record, endpoints, routed)
    });
    published.or_else(|| former.last_move.clone())
}

fn find_record<'a>(endpoints: &'a [Arc<InferenceEndpoint>], name: &str) -> Option<&'a InferenceEndpoint> {
    endpoints.iter().find(|endpoint| endpoint.name_any() == name).map(AsRef::as_ref)
}

fn move_to(endpoint: &InferenceEndpoint, all: &[Arc<InferenceEndpoint>], routed: &Time) -> Option<LastMove> {
    let replaced = find_record(all, endpoint.spec.replaces.as_deref()?)?;
    let stages = stages(endpoint, replaced, routed);
    let (started_at, finished_at) = (stages.first()?.at.clone(), stages.last()?.at.clone());
    Some(LastMove {
        endpoint: endpoint.name_any(),
        replaces: replaced.name_any(),
        from: replaced.spec.target.clone(),
        to: endpoint.spec.target.clone(),
        reason: endpoint.spec.reason.clone(),
        duration_seconds: finished_at.0.duration_since(started_at.0).as_secs(),
        started_at,
        finished_at,
        stages,
    })
}

fn stages(endpoint: &InferenceEndpoint, replaced: &InferenceEndpoint, routed: &Time) -> Vec<MoveStage> {
    let status = endpoint.status.as_ref();
    let is_failover = [reasons::TARGET_LOST, reasons::ENDPOINT_FAILING].contains(&endpoint.spec.reason.as_str());
    let failing_since = replaced.status.as_ref().and_then(|status| status.failing_since.clone());
    let created = status.and_then(|status| find(&status.conditions, conditions::CREATED));
    let promoted = endpoint.spec.promoted_at.clone();
    let is_new = promoted.is_none();
    let stages = [
        (StageName::Detected, failing_since.filter(|_| is_failover)),
        (StageName::Decided, promoted.or_else(|| endpoint.metadata.creation_timestamp.clone())),
        (StageName::Created, created.map(|created| created.last_transition_time.clone()).filter(|_| is_new)),
        (StageName::Ready, status.and_then(|status| status.first_ready_time.clone()).filter(|_| is_new)),
        (StageName::Routed, Some(routed.clone())),
    ];
    stages.into_iter().filter_map(|(name, at)| Some(MoveStage { name, at: at? })).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn endpoint(name: &str, target: &str, spec: &Value, status: &Value) -> Arc<InferenceEndpoint> {
        let mut object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": name, "creationTimestamp": "2026-08-01T12:01:02Z"},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": target, "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1,
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
            "status": status,
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn records(reason: &str) -> Vec<Arc<InferenceEndpoint>> {
        let created = json!([{"type": "Created", "status": "True", "reason": "Created", "message": "",
                              "lastTransitionTime": "2026-08-01T12:01:03Z"}]);
        vec![
            endpoint(
                "old",
                "east",
                &json!({"reason": "InitialPlacement"}),
                &json!({"failingSince": "2026-08-01T12:00:00Z"}),
            ),
            endpoint(
                "new",
                "west",
                &json!({"reason": reason, "replaces": "old"}),
                &json!({"conditions": created, "firstReadyTime": "2026-08-01T12:01:40Z"}),
            ),
        ]
    }

    fn placement(endpoint: &str, url: Option<&str>) -> PlacementStatus {
        serde_json::from_value(json!({
            "endpoint": endpoint, "target": "west", "cloud": "aws", "region": "us-west-2", "shape": "s", "offer": "o",
            "capacityType": "OnDemand", "replicas": 1, "readyReplicas": 1, "url": url,
            "since": url.map(|_| "2026-08-01T12:01:41Z"),
        }))
        .unwrap()
    }

    #[test]
    fn a_standby_that_takes_over_was_created_and_ready_before() {
        use StageName::{Decided, Detected, Routed};
        let mut records = records("TargetLost");
        let standby = Arc::make_mut(&mut records[1]);
        standby.spec.promoted_at = Some(Time("2026-08-01T12:01:30Z".parse().unwrap()));
        let with_role = |role| PlacementStatus { role, ..placement("new", Some("http://new")) };
        let former =
            ModelDeploymentStatus { placements: vec![with_role(PlacementRole::Standby)], ..Default::default() };
        assert_eq!(last_move(&former, &[with_role(PlacementRole::Standby)], &records), None);
        let told = last_move(&former, &[with_role(PlacementRole::Replacement)], &records).unwrap();
        assert_eq!(told.stages.iter().map(|stage| stage.name).collect::<Vec<_>>(), [Detected, Decided, Routed]);
        assert_eq!(told.duration_seconds, 90);
    }

    #[test]
    fn a_failover_is_measured_from_the_first_failed_probe_to_the_published_address() {
        use StageName::{Created, Decided, Detected, Ready, Routed};
        let published = [placement("new", Some("http://198.18.0.2:8000"))];
        let told = last_move(&ModelDeploymentStatus::default(), &published, &records("TargetLost")).unwrap();
        assert_eq!((told.from.as_str(), told.to.as_str(), told.reason.as_str()), ("east", "west", "TargetLost"));
        assert_eq!(told.duration_seconds, 101);
        let names: Vec<StageName> = told.stages.iter().map(|stage| stage.name).collect();
        assert_eq!(names, [Detected, Decided, Created, Ready, Routed]);
        assert!(told.stages.is_sorted_by_key(|stage| stage.at.0));
    }

    #[test]
    fn another_replacement_begins_with_its_decision() {
        let published = [placement("new", Some("http://198.18.0.2:8000"))];
        let told = last_move(&ModelDeploymentStatus::default(), &published, &records("PolicyViolated")).unwrap();
        assert_eq!(told.stages.first().unwrap().name, StageName::Decided);
        assert_eq!(told.duration_seconds, 39);
    }

    #[test]
    fn a_move_is_told_once_it_is_published_and_stays_until_the_next_one() {
        let records = records("TargetLost");
        let none = ModelDeploymentStatus::default();
        assert_eq!(last_move(&none, &[placement("new", None)], &records), None, "clients do not use it yet");
        let published = vec![placement("new", Some("http://198.18.0.2:8000"))];
        let told = last_move(&none, &published, &records);
        let later = ModelDeploymentStatus { placements: published.clone(), last_move: told.clone(), ..none };
        assert_eq!(last_move(&later, &published, &records[1..]), told, "the replaced endpoint is gone");
    }
}
