//! The pod template: the one container, its probes, and the way it ends.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvFromSource, EnvVar, EnvVarSource,
    HTTPGetAction, Lifecycle, LifecycleHandler, LocalObjectReference, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretEnvSource, SecretKeySelector, SecurityContext, SleepAction, Toleration,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use roadstead_model as model;
use roadstead_provider::launch::{CACHE_PATH, Launch, launch};

use super::service::PORT_NAME;
use super::{Identity, copied_name};
use roadstead_api::planning;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ReplicaResources, Template, TolerationOperator, names};

/// The name of the engine's container.
pub const CONTAINER: &str = "engine";
/// Longest time that a terminating pod still accepts requests, until every load balancer has noticed.
const LINGER_SECONDS: i32 = 15;
/// Time that an engine needs to end after its last answer.
const TEARDOWN_SECONDS: i32 = 15;
/// Period of the start-up probe: a failover waits for its answer.
const STARTUP_PERIOD_SECONDS: i32 = 2;

/// Characters of the hash that pods carry.
const HASH_CHARS: usize = 16;

/// Hash of the template of the endpoint's pods. Pods carry it as a label, which distinguishes them from those of an
/// older template.
#[must_use]
pub fn pod_template(identity: &Identity<'_>, hash: &str) -> PodTemplateSpec {
    let spec = &identity.endpoint.spec;
    let template = &spec.template;
    let linger = LINGER_SECONDS.min(template.drain_timeout_seconds);
    let mut labels = identity.labels();
    labels.insert(names::LABEL_TEMPLATE.to_owned(), hash.chars().take(HASH_CHARS).collect());
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: annotations(), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            containers: vec![container(identity, linger)],
            image_pull_secrets: pull_secrets(identity),
            affinity: affinity(spec),
            node_selector: Some(template.nodes.selector.clone()).filter(|selector| !selector.is_empty()),
            tolerations: Some(tolerations(template, &spec.accelerator.resource_name)),
            security_context: Some(PodSecurityContext {
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    ..SeccompProfile::default()
                }),
                ..PodSecurityContext::default()
            }),
            termination_grace_period_seconds: Some(i64::from(
                linger + template.drain_timeout_seconds + TEARDOWN_SECONDS,
            )),
            volumes: Some(vec![memory_volume("shm"), disk_volume("cache")]),
            ..PodSpec::default()
        }),
    }
}

/// A build with the feature `render-canary` renders another template: the upgrade test must be able to fail.
fn annotations() -> Option<BTreeMap<String, String>> {
    cfg!(feature = "render-canary").then(|| [("roadstead.dev/canary".to_owned(), "true".to_owned())].into())
}

fn container(identity: &Identity<'_>, linger: i32) -> Container {
    let spec = &identity.endpoint.spec;
    let template = &spec.template;
    let launch = launch(template);
    Container {
        name: CONTAINER.to_owned(),
        image: Some(template.image.clone()),
        command: Some(launch.command.clone()).filter(|command| !command.is_empty()),
        args: Some(launch.args.clone()).filter(|args| !args.is_empty()),
        env: Some(env(identity, &launch)),
        env_from: env_from(identity),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.to_owned()),
            container_port: template.port,
            protocol: Some("TCP".to_owned()),
            ..ContainerPort::default()
        }]),
        resources: Some(resources(template, &spec.accelerator.resource_name, spec.accelerator.count)),
        startup_probe: Some(Probe {
            period_seconds: Some(STARTUP_PERIOD_SECONDS),
            failure_threshold: Some((template.startup_timeout_seconds / STARTUP_PERIOD_SECONDS).max(1)),
            ..probe(&launch.readiness_path)
        }),
        readiness_probe: Some(Probe {
            period_seconds: Some(2),
            failure_threshold: Some(3),
            ..probe(&launch.readiness_path)
        }),
        liveness_probe: Some(Probe {
            period_seconds: Some(10),
            failure_threshold: Some(6),
            ..probe(&launch.liveness_path)
        }),
        lifecycle: (linger > 0).then(|| Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: i64::from(linger) }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![mount("shm", "/dev/shm"), mount("cache", CACHE_PATH)]),
        ..Container::default()
    }
}

/// Keeps the scheduler from nodes that say they are something else than the offer, for the planner does not count them.
fn affinity(spec: &InferenceEndpointSpec) -> Option<Affinity> {
    let offer = planning::offer_of_record(spec);
    let kept_from = model::Membership::of(&spec.cloud, &offer).keeps_from();
    let requirement = |(key, values): (&str, Vec<&str>)| NodeSelectorRequirement {
        key: key.to_owned(),
        operator: if values.is_empty() { "DoesNotExist" } else { "NotIn" }.to_owned(),
        values: Some(values.into_iter().map(ToOwned::to_owned).collect())
            .filter(|values: &Vec<String>| !values.is_empty()),
    };
    let requirements: Vec<_> = kept_from.into_iter().map(requirement).collect();
    if requirements.is_empty() {
        return None;
    }
    let term = NodeSelectorTerm { match_expressions: Some(requirements), ..NodeSelectorTerm::default() };
    let required = NodeSelector { node_selector_terms: vec![term] };
    Some(Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(required),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    })
}

/// The kubelet has no API key, so its probes ask the health path; the operator itself asks for the model.
fn probe(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(PORT_NAME.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn env(identity: &Identity<'_>, launch: &Launch) -> Vec<EnvVar> {
    let endpoint = identity.name();
    let from_secret = |variable: &str, secret: String, key: &str| EnvVar {
        name: variable.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret,
                key: key.to_owned(),
                ..SecretKeySelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let plain =
        |name: &str, value: &str| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() };
    let given = &identity.endpoint.spec.template.env;
    let is_given = |name: &str| given.iter().any(|variable| variable.name == name);
    // The key is Roadstead's to give: nothing may put another in its place.
    let key = from_secret(launch.key_variable, names::key_secret(&endpoint), names::API_KEY);
    let own = launch.env.iter().filter(|(name, _)| !is_given(name)).map(|(name, value)| plain(name, value));
    let users = given.iter().filter(|variable| variable.name != launch.key_variable).map(|variable| {
        match &variable.secret_key_ref {
            Some(reference) => from_secret(&variable.name, copied_name(&endpoint, &reference.name), &reference.key),
            None => plain(&variable.name, variable.value.as_deref().unwrap_or_default()),
        }
    });
    // A variable may refer, as $(NAME), to those before it alone: to Roadstead's, then to the user's in their order.
    std::iter::once(key).chain(own).chain(users).collect()
}

/// Every key of the credentials becomes an environment variable.
fn env_from(identity: &Identity<'_>) -> Option<Vec<EnvFromSource>> {
    let reference = identity.endpoint.spec.template.model.credentials_secret_ref.as_ref()?;
    Some(vec![EnvFromSource {
        secret_ref: Some(SecretEnvSource {
            name: copied_name(&identity.name(), &reference.name),
            ..SecretEnvSource::default()
        }),
        ..EnvFromSource::default()
    }])
}

fn pull_secrets(identity: &Identity<'_>) -> Option<Vec<LocalObjectReference>> {
    let names = &identity.endpoint.spec.image_pull_secrets;
    (!names.is_empty()).then(|| {
        let copied = |name: &str| LocalObjectReference { name: copied_name(&identity.name(), name) };
        names.iter().map(|reference| copied(&reference.name)).collect()
    })
}

fn resources(template: &Template, resource_name: &str, accelerators: i32) -> ResourceRequirements {
    let accelerators = (resource_name.to_owned(), Quantity(accelerators.to_string()));
    let ReplicaResources { mut requests, mut limits } = template.resources.clone();
    requests.insert(accelerators.0.clone(), accelerators.1.clone());
    limits.insert(accelerators.0, accelerators.1);
    ResourceRequirements { requests: Some(requests), limits: Some(limits), ..ResourceRequirements::default() }
}

/// The offer's own tolerations, and that of the taint which clouds put on nodes with accelerators.
fn tolerations(template: &Template, resource_name: &str) -> Vec<Toleration> {
    let customary = Toleration {
        key: Some(resource_name.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    };
    let declared = template.nodes.tolerations.iter().map(|toleration| Toleration {
        key: Some(toleration.key.clone()).filter(|key| !key.is_empty()),
        operator: Some(
            match toleration.operator {
                TolerationOperator::Equal => "Equal",
                TolerationOperator::Exists => "Exists",
            }
            .to_owned(),
        ),
        value: Some(toleration.value.clone()).filter(|value| !value.is_empty()),
        effect: Some(toleration.effect.clone()).filter(|effect| !effect.is_empty()),
        ..Toleration::default()
    });
    std::iter::once(customary).chain(declared).collect()
}

fn memory_volume(name: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: Some("Memory".to_owned()), ..EmptyDirVolumeSource::default() }),
        ..Volume::default()
    }
}

fn disk_volume(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}
