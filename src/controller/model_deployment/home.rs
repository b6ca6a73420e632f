//! The target that a failover left. A pure function of the records and the last move.

use std::sync::Arc;

use kube::ResourceExt;

use roadstead_api::v1alpha1::{HomeStatus, InferenceEndpoint, LastMove, ModelDeploymentStatus, reasons};

/// The target to which failback returns: what the first of the latest failovers left. A deployment that serves where a
/// placement, a user or a failback put it is at home.
pub fn home(
    former: &ModelDeploymentStatus,
    serving: &[&Arc<InferenceEndpoint>],
    last_move: Option<&LastMove>,
) -> Option<HomeStatus> {
    let [serving] = serving else { return former.home.clone() };
    let failed_over = [reasons::TARGET_LOST, reasons::ENDPOINT_FAILING].contains(&serving.spec.reason.as_str());
    let left = || {
        let last = last_move.filter(|last| last.endpoint == serving.name_any())?;
        Some(HomeStatus { target: last.from.clone(), since: last.finished_at.clone() })
    };
    let home = former.home.clone().or_else(left).filter(|_| failed_over);
    home.filter(|home| home.target != serving.spec.target)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(target: &str, reason: &str) -> Arc<InferenceEndpoint> {
        let object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint", "metadata": {"name": format!("on-{target}")},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": target, "cloud": "c", "region": "r", "offer": "o",
                "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": reason,
                "template": {"engine": "vllm", "image": "i", "port": 1, "model": {"name": "m"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn last_move(from: &str, to: &str) -> LastMove {
        serde_json::from_value(json!({
            "endpoint": format!("on-{to}"), "replaces": format!("on-{from}"), "from": from, "to": to, "reason": "TargetLost",
            "startedAt": "2026-08-01T12:00:00Z", "finishedAt": "2026-08-01T12:01:00Z", "durationSeconds": 60, "stages": [],
        }))
        .unwrap()
    }

    fn target_of(home: Option<&HomeStatus>) -> Option<&str> {
        home.map(|home| home.target.as_str())
    }

    #[test]
    fn the_first_of_several_failovers_left_home() {
        let none = ModelDeploymentStatus::default();
        let first = home(&none, &[&endpoint("west", "TargetLost")], Some(&last_move("east", "west")));
        assert_eq!(target_of(first.as_ref()), Some("east"));
        assert_eq!(first.as_ref().unwrap().since.0.to_string(), "2026-08-01T12:01:00Z");
        let away = ModelDeploymentStatus { home: first, ..none };
        let second = home(&away, &[&endpoint("north", "EndpointFailing")], Some(&last_move("west", "north")));
        assert_eq!(target_of(second.as_ref()), Some("east"));
        assert_eq!(target_of(home(&away, &[], None).as_ref()), Some("east"), "nothing serves for now");
    }

    #[test]
    fn a_deployment_is_at_home_where_something_else_than_a_failover_put_it() {
        let home_status = HomeStatus { target: "east".to_owned(), since: last_move("east", "west").finished_at };
        let away = ModelDeploymentStatus { home: Some(home_status), ..Default::default() };
        for (target, reason) in [("north", "MoveRequested"), ("east", "FailedBack"), ("east", "TargetLost")] {
            assert_eq!(home(&away, &[&endpoint(target, reason)], None), None, "{target} {reason}");
        }
        let never = home(&ModelDeploymentStatus::default(), &[&endpoint("east", "InitialPlacement")], None);
        assert_eq!(never, None);
    }
}
