//! Failed pods. The member replaces them, so without this report nothing would seem wrong.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::containers;
use roadstead_api::v1alpha1::reasons;
use roadstead_provider::{ErrorClass, Trouble, TroubleKind};
use roadstead_runtime::text::bounded;

/// Pods that failed longer than this before the newest one was made say nothing about now.
const RECENT: SignedDuration = SignedDuration::from_mins(10);
/// More are not counted: the number would be another one every time.
const COUNTED: usize = 20;

/// Why a pod failed.
struct PodFailure {
    class: ErrorClass,
    reason: &'static str,
    /// Cure.
    cure: String,
    /// Message of the member.
    said: String,
}

/// Why the last of these pods failed, and how many did so, of those that failed lately.
pub fn trouble(pods: &[&Pod]) -> Option<Trouble> {
    let newest = pods.iter().filter_map(|pod| created(pod)).max()?;
    let recent = |at: &Timestamp| newest.duration_since(*at) <= RECENT;
    let mut failures: Vec<(Timestamp, PodFailure)> =
        pods.iter().filter_map(|pod| Some((failed_at(pod)?, failure(pod)?))).filter(|(at, _)| recent(at)).collect();
    failures.sort_by_key(|(at, _)| *at);
    let (_, last) = failures.last()?;
    let times = failures.iter().filter(|(_, failure)| failure.reason == last.reason).count();
    let number = match times {
        1 => "1 pod failed".to_owned(),
        2..=COUNTED => format!("{times} pods failed"),
        _ => format!("more than {COUNTED} pods failed"),
    };
    let PodFailure { class, reason, cure, said } = last;
    let quoted = if said.is_empty() { String::new() } else { format!("; the last one: {said}") };
    let message = bounded(&format!("{number} within {} minutes: {cure}{quoted}", RECENT.as_mins()));
    Some(Trouble { kind: TroubleKind::Plain, class: *class, reason, message, since: None })
}

fn created(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Time of a pod's failure, as far as it is known; a pod that never ran failed at its creation.
fn failed_at(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let finished =
        containers.filter_map(|container| Some(container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0));
    let disrupted = disruption(status).and_then(|(_, at)| at);
    finished.chain(disrupted).max().or_else(|| created(pod))
}

/// Message and time of a disruption of a pod by the member.
fn disruption(status: &PodStatus) -> Option<(&str, Option<Timestamp>)> {
    let mut conditions = status.conditions.iter().flatten();
    let target = conditions.find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True")?;
    Some((target.reason.as_deref()?, target.last_transition_time.as_ref().map(|time| time.0)))
}

fn failure(pod: &Pod) -> Option<PodFailure> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Failed"))?;
    let said = status.message.clone().unwrap_or_default();
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_else(|| "unknown".to_owned());
    let failure = |class, reason, cure: String| Some(PodFailure { class, reason, cure, said: said.clone() });
    match (status.reason.as_deref().unwrap_or_default(), disruption(status).map(|(reason, _)| reason)) {
        ("Evicted", _) => failure(ErrorClass::Invalid, reasons::EVICTED, evicted(&said)),
        ("Terminated" | "Shutdown" | "NodeShutdown", _) => failure(
            ErrorClass::Transient,
            reasons::NODE_SHUTDOWN,
            format!("node {node} was shut down; their replacements wait for another node"),
        ),
        ("NodeLost", _) | (_, Some("DeletionByPodGC" | "DeletionByTaintManager")) => failure(
            ErrorClass::Transient,
            reasons::NODE_LOST,
            format!("node {node} was lost; their replacements wait for another node"),
        ),
        ("Preempting" | "Preempted", _) | (_, Some("PreemptionByScheduler" | "PreemptionByKubeScheduler")) => failure(
            ErrorClass::Transient,
            reasons::PREEMPTED,
            format!("pods of a higher priority took their place on node {node}; keep the offer's nodes for models"),
        ),
        ("DeadlineExceeded", _) => failure(
            ErrorClass::Invalid,
            reasons::DEADLINE_EXCEEDED,
            "a policy on the member sets activeDeadlineSeconds on pods; exempt this namespace".to_owned(),
        ),
        (reason, _) => ended(status, &said).or_else(|| {
            let reason = if reason.is_empty() { "without a reason" } else { reason };
            let cure = format!("node {node} refused or ended them ({reason}); check its kubelet and device plugin");
            failure(ErrorClass::Transient, reasons::NODE_REFUSED_POD, cure)
        }),
    }
}

/// A pod that is not started again when a container of it ends.
fn ended(status: &PodStatus, said: &str) -> Option<PodFailure> {
    let (reason, message) = containers::ended(status)?;
    Some(PodFailure { class: ErrorClass::Invalid, reason, cure: message, said: said.to_owned() })
}

/// Request to raise after an eviction, from the kubelet's message.
fn evicted(said: &str) -> String {
    let text = said.to_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let storage = is(&["ephemeral", "emptydir", "diskpressure", "local storage"]);
    let over_limit = is(&["exceed"]);
    match (storage, over_limit) {
        (true, true) => "evicted for using more ephemeral storage than their limit; raise \
                         spec.serving.resources.requests.ephemeral-storage and the limit that the deployment or the \
                         member's LimitRange sets"
            .to_owned(),
        (true, false) => "evicted because their node ran out of ephemeral storage; raise \
                          spec.serving.resources.requests.ephemeral-storage to the size of the model's files"
            .to_owned(),
        _ if is(&["memory"]) => "evicted because their node ran out of memory; raise \
                                 spec.serving.resources.requests.memory to what the engine needs"
            .to_owned(),
        _ if is(&["pid"]) => {
            "evicted because their node ran out of process ids; find the workload that starts so many".to_owned()
        }
        _ if is(&["inodes"]) => {
            "evicted because their node ran out of inodes; find the workload that creates so many files".to_owned()
        }
        _ => "evicted by their node; check the other pods there".to_owned(),
    }
}
