//! States of the containers of one pod: the engine first, then injected ones.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use crate::render::CONTAINER;
use roadstead_api::v1alpha1::reasons;
use roadstead_provider::{ErrorClass, Trouble, TroubleKind};
use roadstead_runtime::text::bounded;

/// Cure for a failing injected container.
const CURE: &str = "fix the injector, or have it skip this namespace of the member";

/// The trouble of the pod's engine, else that of a container which was injected.
pub fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let engine = engine(status).and_then(of_engine);
    let found = engine.or_else(|| injected(status).find_map(of_injected)).or_else(|| not_ready(status));
    found.map(|(class, reason, message)| Trouble {
        kind: TroubleKind::Plain,
        class,
        reason,
        message: bounded(&format!("pod {}: {message}", pod.name_any())),
        since: None,
    })
}

/// Wait of a pod without a failure, beside its engine.
pub fn waits_for(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let running = |state: &ContainerState| state.running.is_some() || state.waiting.is_some();
    let unfinished = |container: &&ContainerStatus| {
        !container.ready && container.started != Some(true) && container.state.as_ref().is_some_and(running)
    };
    if let Some(init) = status.init_container_statuses.iter().flatten().find(unfinished) {
        let name = &init.name;
        return Some(bounded(&format!(
            "pod {} waits for its init container {name}, which was injected on the member",
            pod.name_any()
        )));
    }
    let gated = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "Ready" && condition.reason.as_deref() == Some("ReadinessGatesNotReady")
    })?;
    let said = gated.message.as_deref().unwrap_or_default();
    Some(bounded(&format!("pod {} waits for readiness gates that were injected on the member: {said}", pod.name_any())))
}

/// End of a finished pod: by its engine, or by an injected container.
pub fn ended(status: &PodStatus) -> Option<(&'static str, String)> {
    let over = |container: &ContainerStatus| container.state.as_ref()?.terminated.clone();
    if let Some(engine) = engine(status)
        && let Some(last) = over(engine)
    {
        return Some(crash("the engine", Some(&last), engine.restart_count));
    }
    injected(status).find_map(|container| {
        let last = over(container).filter(|last| last.exit_code != 0)?;
        let (_, message) = crash(&named(container), Some(&last), container.restart_count);
        Some((reasons::INJECTED_CONTAINER_FAILED, format!("{message}; {CURE}")))
    })
}

/// The engine's container. By its name: those that others inject may come before it.
fn engine(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.iter().flatten().find(|container| container.name == CONTAINER)
}

/// The containers that are not ours, in the order in which they start.
fn injected(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let beside = status.container_statuses.iter().flatten().filter(|container| container.name != CONTAINER);
    status.init_container_statuses.iter().flatten().chain(beside)
}

fn named(container: &ContainerStatus) -> String {
    format!("container {}, which was injected on the member,", container.name)
}

fn of_engine(container: &ContainerStatus) -> Option<(ErrorClass, &'static str, String)> {
    fault(container, "the engine").map(|(reason, message)| (ErrorClass::Invalid, reason, message))
}

fn of_injected(container: &ContainerStatus) -> Option<(ErrorClass, &'static str, String)> {
    let (_, message) = fault(container, &named(container))?;
    Some((ErrorClass::Invalid, reasons::INJECTED_CONTAINER_FAILED, format!("{message}; {CURE}")))
}

/// The engine answers its probe, and what was injected beside it does not.
fn not_ready(status: &PodStatus) -> Option<(ErrorClass, &'static str, String)> {
    engine(status).filter(|engine| engine.ready)?;
    let runs = |container: &ContainerStatus| container.state.as_ref().is_some_and(|state| state.running.is_some());
    let container = injected(status).find(|container| !container.ready && runs(container))?;
    let message = format!("the engine is ready, but {} is not; {CURE}", named(container).trim_end_matches(','));
    Some((ErrorClass::Transient, reasons::INJECTED_CONTAINER_NOT_READY, message))
}

/// Failure of the container `name`.
fn fault(container: &ContainerStatus, name: &str) -> Option<(&'static str, String)> {
    let state = container.state.as_ref().filter(|_| !container.ready)?;
    if let Some(waiting) = &state.waiting {
        let said = waiting.message.as_deref().unwrap_or_default();
        return match waiting.reason.as_deref()? {
            "ImagePullBackOff"
            | "ErrImagePull"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => {
                let image = &container.image;
                Some((reasons::IMAGE_PULL_FAILED, format!("image {image} of {name} cannot be pulled: {said}")))
            }
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "PreCreateHookError"
            | "PreStartHookError"
            | "PostStartHookError" => {
                Some((reasons::CONTAINER_CONFIG_ERROR, format!("{name} cannot be started: {said}")))
            }
            "CrashLoopBackOff" => Some(again_and_again(container, name)),
            _ => None,
        };
    }
    if let Some(last) = &state.terminated {
        let failed = last.exit_code != 0 || container.name == CONTAINER;
        return failed.then(|| crash(name, Some(last), container.restart_count));
    }
    // It runs again, for the third time or after a lack of memory: that is still its trouble until it answers.
    let last = container.last_state.as_ref()?.terminated.as_ref()?;
    let often = container.restart_count >= 2 || is_oom(last);
    let starts = container.started != Some(true);
    (often && starts).then(|| again_and_again(container, name))
}

fn again_and_again(container: &ContainerStatus, name: &str) -> (&'static str, String) {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    crash(name, last, container.restart_count)
}

fn is_oom(last: &ContainerStateTerminated) -> bool {
    last.reason.as_deref() == Some("OOMKilled")
}

fn crash(name: &str, last: Option<&ContainerStateTerminated>, restarts: i32) -> (&'static str, String) {
    let times = if restarts == 1 { "1 restart".to_owned() } else { format!("{restarts} restarts") };
    match last {
        Some(last) if is_oom(last) => {
            (reasons::OUT_OF_MEMORY, format!("{name} was OOM-killed, {times}; request more memory"))
        }
        Some(last) => (reasons::CRASH_LOOP, format!("{name} ended with exit code {}, {times}", last.exit_code)),
        None => (reasons::CRASH_LOOP, format!("{name} exits repeatedly, {times}")),
    }
}
