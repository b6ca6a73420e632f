//! Updates in place that end the last replica: the gateways stop using the endpoint first. Pure.
//!
//! The announcement is in the status before the route says so, and the update begins only after the gateways have applied the route
//! and nothing is in flight, or at the deadline.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::controller::traffic::drained::AtRoute;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{InferenceEndpoint, InferenceEndpointStatus, Interruption};
use roadstead_provider::Present;

/// Next step of an update that is due.
#[derive(Debug, Clone, PartialEq)]
pub enum UpdateStep {
    /// The update is written.
    Write,
    /// The interruption is announced.
    Announce(Interruption),
    /// Requests are in flight, or gateways have not applied the route.
    Await,
}

/// The step of the update that the endpoint's target is due.
pub fn step(
    endpoint: &InferenceEndpoint,
    status: &InferenceEndpointStatus,
    present: &Present,
    route: AtRoute,
    now: Timestamp,
) -> UpdateStep {
    if !present.interrupts || status.first_ready_time.is_none() || endpoint.spec.replicas == 0 {
        return UpdateStep::Write;
    }
    match &status.interruption {
        None if !route.is_used => UpdateStep::Write,
        None => {
            let seconds = endpoint.spec.template.drain_timeout_seconds.max(0);
            let deadline = now.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(now);
            UpdateStep::Announce(Interruption {
                since: planning::api_time(now),
                deadline: planning::api_time(deadline),
            })
        }
        Some(known) if route.is_drained || known.deadline.0 <= now => UpdateStep::Write,
        Some(_) => UpdateStep::Await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::test_present;

    fn endpoint(replicas: i32) -> InferenceEndpoint {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint", "metadata": {"name": "llama-x", "namespace": "team"},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": replicas, "reason": "InitialPlacement",
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 30},
            },
        }))
        .unwrap()
    }

    fn present(interrupts: bool) -> Present {
        Present { in_sync: false, interrupts, replicas: 1, ready_replicas: 1, ..test_present::present() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_interruption_is_announced_and_the_update_waits_for_the_drain_or_the_deadline() {
        let used = AtRoute { is_used: true, is_drained: false };
        let ready = InferenceEndpointStatus { first_ready_time: Some(planning::api_time(at(1))), ..Default::default() };
        let known = Interruption { since: planning::api_time(at(100)), deadline: planning::api_time(at(130)) };
        let step = |status: &InferenceEndpointStatus, route, second| {
            step(&endpoint(1), status, &present(true), route, at(second))
        };
        assert_eq!(step(&ready, used, 100), UpdateStep::Announce(known.clone()));
        let announced = InferenceEndpointStatus { interruption: Some(known), ..ready.clone() };
        assert_eq!(step(&announced, used, 129), UpdateStep::Await);
        assert_eq!(step(&announced, used, 130), UpdateStep::Write, "the deadline");
        let drained = AtRoute { is_drained: true, ..used };
        assert_eq!(step(&announced, drained, 101), UpdateStep::Write);
        assert_eq!(step(&ready, AtRoute { is_used: false, is_drained: false }, 100), UpdateStep::Write, "no gateway");
        assert_eq!(step(&InferenceEndpointStatus::default(), used, 100), UpdateStep::Write, "it never was ready");
    }

    #[test]
    fn an_update_beside_a_spare_accelerator_waits_for_nothing() {
        let used = AtRoute { is_used: true, is_drained: false };
        let ready = InferenceEndpointStatus { first_ready_time: Some(planning::api_time(at(1))), ..Default::default() };
        assert_eq!(step(&endpoint(1), &ready, &present(false), used, at(100)), UpdateStep::Write);
        assert_eq!(step(&endpoint(0), &ready, &present(true), used, at(100)), UpdateStep::Write);
    }
}
