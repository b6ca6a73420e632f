//! What the pods of an endpoint say about why it is not ready.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use super::refusal;
use crate::api::v1alpha1::reasons;
use crate::provider::{ErrorClass, Trouble};
use crate::text::{bounded, bounded_with};

/// Whether a pod holds nothing any more.
#[must_use]
pub fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The most telling trouble of these pods, if any has one. Pods that are ending are not asked.
#[must_use]
pub fn trouble<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<Trouble> {
    let mut troubles: Vec<Trouble> = pods
        .into_iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none() && !is_over(pod))
        .filter_map(|pod| unschedulable(pod).or_else(|| waiting(pod)))
        .collect();
    troubles.sort_by_key(|trouble| (weight(trouble.reason), trouble.since.as_ref().map(|since| since.0)));
    troubles.into_iter().next()
}

/// Pods that the member does not even let be made: no quota is left, or its admission refuses them.
#[must_use]
pub fn refused(deployment: &Deployment) -> Option<Trouble> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure =
        conditions.iter().find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")?;
    let said = failure.message.as_deref().unwrap_or("the member gives no reason");
    let class = refusal::class_of_pods(said);
    let quota = class == ErrorClass::QuotaExceeded;
    let reason = if quota { reasons::QUOTA_EXCEEDED } else { reasons::PODS_REFUSED };
    let message = bounded_with(&format!("the target's cluster refuses the pods: {said}"), refusal::cure(said));
    Some(Trouble { class, reason, message, since: failure.last_transition_time.clone() })
}

/// What cannot pass by itself comes first.
fn weight(reason: &str) -> u8 {
    match reason {
        reasons::IMAGE_PULL_FAILED | reasons::CONTAINER_CONFIG_ERROR => 0,
        reasons::OUT_OF_MEMORY | reasons::CRASH_LOOP => 1,
        _ => 2,
    }
}

fn unschedulable(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    // A pod behind a scheduling gate is not refused yet.
    if scheduled.reason.as_deref() != Some("Unschedulable") {
        return None;
    }
    let said = scheduled.message.as_deref().unwrap_or("the scheduler gives no reason");
    Some(Trouble {
        class: ErrorClass::Transient,
        reason: Trouble::UNSCHEDULABLE,
        message: bounded(&format!("pod {} cannot be scheduled: {said}", pod.name_any())),
        // The pod's age, not the condition's: the scheduler rewrites the condition as its message changes.
        since: pod.metadata.creation_timestamp.clone(),
    })
}

fn waiting(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let container = status.container_statuses.as_ref()?.iter().find(|container| !container.ready)?;
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let said = waiting.message.as_deref().unwrap_or_default();
    let (class, reason, message) = match waiting.reason.as_deref()? {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => (
            ErrorClass::Invalid,
            reasons::IMAGE_PULL_FAILED,
            format!("image {} cannot be pulled: {said}", container.image),
        ),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            (ErrorClass::Invalid, reasons::CONTAINER_CONFIG_ERROR, format!("the container cannot be started: {said}"))
        }
        "CrashLoopBackOff" => crash(container),
        _ => return None,
    };
    let message = bounded(&format!("pod {}: {message}", pod.name_any()));
    Some(Trouble { class, reason, message, since: None })
}

fn crash(container: &ContainerStatus) -> (ErrorClass, &'static str, String) {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let times = container.restart_count;
    match last {
        Some(last) if last.reason.as_deref() == Some("OOMKilled") => {
            let message = format!("the engine was killed for lack of memory, {times} restarts; ask for more memory");
            (ErrorClass::Invalid, reasons::OUT_OF_MEMORY, message)
        }
        Some(last) => {
            let message = format!("the engine ended with exit code {}, {times} restarts", last.exit_code);
            (ErrorClass::Invalid, reasons::CRASH_LOOP, message)
        }
        None => (ErrorClass::Invalid, reasons::CRASH_LOOP, format!("the engine keeps ending, {times} restarts")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status,
        }))
        .unwrap()
    }

    fn container(state: &Value, last: &Value) -> Value {
        json!({"containerStatuses": [{
            "name": "engine", "image": "vllm:1", "imageID": "", "ready": false, "restartCount": 4,
            "state": state, "lastState": last,
        }]})
    }

    fn told(status: &Value) -> (&'static str, String) {
        let trouble = trouble([&pod(status)]).unwrap();
        (trouble.reason, trouble.message)
    }

    #[test]
    fn each_kind_of_trouble_has_its_reason_and_number() {
        let (reason, message) = told(&json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes\nare available"},
        ]}));
        assert_eq!(
            (reason, message.as_str()),
            (Trouble::UNSCHEDULABLE, "pod p cannot be scheduled: 0/3 nodes are available")
        );
        let waiting = |reason: &str| json!({"waiting": {"reason": reason, "message": "no such host"}});
        assert_eq!(told(&container(&waiting("ImagePullBackOff"), &json!({}))).0, "ImagePullFailed");
        assert_eq!(told(&container(&waiting("CreateContainerConfigError"), &json!({}))).0, "ContainerConfigError");
        let killed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
        assert_eq!(told(&container(&waiting("CrashLoopBackOff"), &killed)).0, "OutOfMemory");
        let ended = json!({"terminated": {"reason": "Error", "exitCode": 3}});
        let (reason, message) = told(&container(&waiting("CrashLoopBackOff"), &ended));
        assert_eq!((reason, message.as_str()), ("CrashLoop", "pod p: the engine ended with exit code 3, 4 restarts"));
    }

    #[test]
    fn a_pod_that_starts_has_no_trouble() {
        assert_eq!(trouble([&pod(&json!({}))]), None);
        assert_eq!(trouble([&pod(&container(&json!({"waiting": {"reason": "ContainerCreating"}}), &json!({})))]), None);
        assert_eq!(trouble([&pod(&container(&json!({"running": {}}), &json!({})))]), None);
    }

    #[test]
    fn a_member_that_makes_no_pods_is_quoted_and_an_exceeded_quota_is_told_apart() {
        let told = |message: &str| {
            let deployment: Deployment = serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message},
            ]}}))
            .unwrap();
            let trouble = refused(&deployment).unwrap();
            assert!(trouble.message.contains(message), "{}", trouble.message);
            (trouble.class, trouble.reason)
        };
        let quota = "pods \"llama-x\" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8";
        assert_eq!(told(quota), (ErrorClass::QuotaExceeded, "QuotaExceeded"));
        assert_eq!(told("violates PodSecurity \"restricted\""), (ErrorClass::Refused, "PodsRefused"));
        assert_eq!(told("failed calling webhook \"v\""), (ErrorClass::Transient, "PodsRefused"));
        assert_eq!(refused(&Deployment::default()), None);
    }

    #[test]
    fn what_cannot_pass_by_itself_is_told_first() {
        let unschedulable = pod(&json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
        ]}));
        let no_image = pod(&container(&json!({"waiting": {"reason": "ErrImagePull"}}), &json!({})));
        assert_eq!(trouble([&unschedulable, &no_image]).unwrap().reason, "ImagePullFailed");
    }
}
