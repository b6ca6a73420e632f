//! Reasons of an endpoint's pods for not being ready: `containers` of running ones, `failed` of the others.

mod containers;
mod failed;
#[cfg(test)]
mod tests;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::refusal;
use roadstead_api::v1alpha1::{names, reasons};
use roadstead_provider::{ErrorClass, Trouble, TroubleKind};
use roadstead_runtime::text::{bounded, bounded_with};

/// The reason where no node has room.
const UNSCHEDULABLE: &str = "Unschedulable";

/// True if a pod holds nothing any more.
#[must_use]
pub fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// True if a pod is of the Deployment's newest template. What those of a former one say is of no use any more.
#[must_use]
pub fn is_current(pod: &Pod, deployment: &Deployment) -> bool {
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let newest = template.and_then(|metadata| metadata.labels.as_ref()?.get(names::LABEL_TEMPLATE));
    // Templates that were rendered before there was such a label have none, and neither have their pods.
    pod.labels().get(names::LABEL_TEMPLATE) == newest
}

/// The most telling trouble of these pods, if any has one. Pods that are ending are not asked.
#[must_use]
pub fn trouble<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<Trouble> {
    let mut pods: Vec<&Pod> = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    // Of several in the same trouble always the same one is named.
    pods.sort_by_key(|pod| pod.metadata.name.clone());
    let mut troubles: Vec<Trouble> = pods
        .iter()
        .filter(|pod| !is_over(pod))
        .filter_map(|pod| unschedulable(pod).or_else(|| containers::trouble(pod)))
        .collect();
    troubles.sort_by_key(|trouble| (weight(trouble.reason), trouble.since.as_ref().map(|since| since.0)));
    let (living, failed) = (troubles.into_iter().next(), failed::trouble(&pods));
    match (living, failed) {
        // Where their replacements find no room, that they failed is why.
        (Some(living), Some(failed)) if living.kind == TroubleKind::AwaitsRoom => {
            Some(Trouble { message: bounded(&format!("{}; {}", living.message, failed.message)), ..living })
        }
        (living, failed) => living.or(failed),
    }
}

/// Wait of these pods, if none of them has a failure.
#[must_use]
pub fn waits_for<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<String> {
    let waits = |pod: &Pod| pod.metadata.deletion_timestamp.is_none() && !is_over(pod);
    pods.into_iter().filter(|pod| waits(pod)).find_map(containers::waits_for)
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
    let kind = if quota { TroubleKind::Plain } else { TroubleKind::Refused };
    Some(Trouble { kind, class, reason, message, since: failure.last_transition_time.clone() })
}

/// Weight of a reason: failures that cannot pass without an edit come first.
fn weight(reason: &str) -> u8 {
    match reason {
        reasons::IMAGE_PULL_FAILED | reasons::CONTAINER_CONFIG_ERROR => 0,
        reasons::OUT_OF_MEMORY | reasons::CRASH_LOOP => 1,
        reasons::INJECTED_CONTAINER_FAILED => 2,
        reasons::INJECTED_CONTAINER_NOT_READY => 4,
        _ => 3,
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
        kind: TroubleKind::AwaitsRoom,
        class: ErrorClass::Transient,
        reason: UNSCHEDULABLE,
        message: bounded(&format!("pod {} cannot be scheduled: {said}", pod.name_any())),
        // The pod's age, not the condition's: the scheduler rewrites the condition as its message changes.
        since: pod.metadata.creation_timestamp.clone(),
    })
}
