//! A target that many deployments have lost: the health of their endpoints and the records of their replacements are written
//! before what their statuses say of it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::controller::context::Context;
use crate::controller::newcomers::LULL;
use roadstead_api::v1alpha1::InferenceEndpoint;

/// The longest after the last step of a failover until the status of its deployment is written.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// Time until a status that gives way is looked at again.
const PAUSE: Duration = Duration::from_secs(2);

/// Time for which the status of a deployment with these endpoints gives way to a burst.
pub fn wait(context: &Context, endpoints: &[Arc<InferenceEndpoint>]) -> Option<Duration> {
    let records = || context.newcomers.were_a_crowd(LULL, context.clock.now());
    let (since, is_crowd) = match FailoverProgress::of(endpoints)? {
        FailoverProgress::Fails(since) => (since, records() || context.queues.endpoints.was_crowded(LULL)),
        FailoverProgress::IsReplaced(since) => (since, records()),
    };
    (is_crowd && context.clock.wall().duration_since(since) < PATIENCE).then_some(PAUSE)
}

/// The last step of the failovers of a deployment, with its time.
enum FailoverProgress {
    /// An endpoint fails.
    Fails(Timestamp),
    /// Its replacement is on record.
    IsReplaced(Timestamp),
}

impl FailoverProgress {
    /// Nothing where no endpoint fails, and where a replacement has answered: its address is published at once.
    fn of(endpoints: &[Arc<InferenceEndpoint>]) -> Option<Self> {
        let failing: Vec<_> = endpoints.iter().filter_map(|one| Some((one, failing_since(one)?))).collect();
        let since = failing.iter().map(|(_, since)| *since).max()?;
        let is_failing = |name: &String| failing.iter().any(|(one, _)| one.name_any() == *name);
        let replaces = |one: &&Arc<InferenceEndpoint>| one.spec.replaces.as_ref().is_some_and(is_failing);
        let replacements = endpoints.iter().filter(replaces);
        if replacements.clone().any(|one| one.status.as_ref().is_some_and(|told| told.first_ready_time.is_some())) {
            return None;
        }
        let recorded = replacements.filter_map(|one| Some(one.metadata.creation_timestamp.as_ref()?.0)).max();
        Some(recorded.map_or(Self::Fails(since), Self::IsReplaced))
    }
}

fn failing_since(endpoint: &InferenceEndpoint) -> Option<Timestamp> {
    endpoint.status.as_ref()?.failing_since.as_ref().map(|since| since.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::test_context::context;
    use roadstead_runtime::cache::Key;
    use serde_json::{Value, json};

    fn endpoint(replaces: Option<&str>, created: Timestamp, status: &Value) -> Arc<InferenceEndpoint> {
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
                "metadata": {"name": if replaces.is_some() { "m-y" } else { "m-x" }, "namespace": "team", "creationTimestamp": created.to_string()},
                "spec": {
                    "deploymentRef": {"name": "m", "uid": "m"}, "target": "east", "cloud": "c", "region": "r", "offer": "o",
                    "shape": "s", "capacityType": "OnDemand", "slot": 0, "replicas": 1, "replaces": replaces,
                    "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                    "reason": "TargetLost",
                    "template": {"engine": "custom", "image": "i:1", "port": 1, "model": {"name": "m"},
                                 "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
                },
                "status": status,
            }))
            .unwrap(),
        )
    }

    /// True if the status of a deployment gives way to `crowd` others whose replacement is due. Its endpoint fails for so many
    /// seconds, and its replacement is so old.
    fn gives_way(crowd: usize, fails_for: Option<i64>, replaced_for: Option<i64>) -> bool {
        gives_way_beside(crowd, fails_for, replaced_for, false)
    }

    /// The same where the replacement may have answered.
    fn gives_way_beside(crowd: usize, fails_for: Option<i64>, replaced_for: Option<i64>, ready: bool) -> bool {
        let context = context();
        let before = |seconds| context.clock.wall() - SignedDuration::from_secs(seconds);
        let status =
            fails_for.map_or_else(|| json!({}), |seconds| json!({"failingSince": before(seconds).to_string()}));
        let answered = json!({"firstReadyTime": before(0).to_string()});
        let replacement = if ready { answered } else { json!({}) };
        let mut endpoints = vec![endpoint(None, before(1_000), &status)];
        endpoints.extend(replaced_for.map(|seconds| endpoint(Some("m-x"), before(seconds), &replacement)));
        for number in 0..crowd {
            context.newcomers.came(Key::new("team", format!("d{number}")), context.clock.now());
        }
        wait(&context, &endpoints).is_some()
    }

    #[tokio::test]
    async fn a_status_gives_way_to_a_burst_for_some_seconds_after_each_step_of_a_failover() {
        assert!(gives_way(16, Some(1), None), "many have failed");
        assert!(!gives_way(15, Some(1), None), "they are a few");
        assert!(!gives_way(16, Some(30), None), "it is time to say so");
        assert!(gives_way(16, Some(30), Some(1)), "it was just replaced");
        assert!(!gives_way(16, Some(60), Some(30)));
        assert!(!gives_way(16, None, Some(1)), "a move of another kind");
        assert!(!gives_way_beside(16, Some(30), Some(1), true), "the replacement answers");
    }
}
