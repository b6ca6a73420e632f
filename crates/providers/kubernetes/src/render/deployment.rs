//! The Deployment that runs an endpoint's replicas.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Identity;
use roadstead_api::v1alpha1::names;

/// Rollout of a changed template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollout {
    /// A new pod first: needs one spare set of accelerators.
    Surge,
    /// An old pod goes first: a full pool would wait for ever otherwise.
    InPlace,
}

/// Kubernetes' own judgement of a stuck rollout comes this long after ours.
const PROGRESS_MARGIN_SECONDS: i32 = 60;

/// The Deployment around a rendered template.
#[must_use]
pub fn deployment(
    identity: &Identity<'_>,
    template: PodTemplateSpec,
    rendered: String,
    hash: String,
    record: Option<String>,
    rollout: Rollout,
) -> Deployment {
    let spec = &identity.endpoint.spec;
    let mut metadata = identity.metadata(identity.name());
    if let Some(annotations) = &mut metadata.annotations {
        annotations.insert(names::ANNOTATION_TEMPLATE.to_owned(), rendered);
        annotations.insert(names::ANNOTATION_TEMPLATE_HASH.to_owned(), hash);
        annotations.extend(record.map(|record| (names::ANNOTATION_RECORD.to_owned(), record)));
    }
    let provision = spec.provision_timeout_seconds.unwrap_or(0);
    let deadline =
        provision.saturating_add(spec.template.startup_timeout_seconds).saturating_add(PROGRESS_MARGIN_SECONDS);
    Deployment {
        metadata,
        spec: Some(DeploymentSpec {
            replicas: Some(spec.replicas),
            selector: LabelSelector { match_labels: Some(identity.selector()), ..LabelSelector::default() },
            strategy: Some(strategy(rollout)),
            progress_deadline_seconds: Some(deadline),
            revision_history_limit: Some(2),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn strategy(rollout: Rollout) -> DeploymentStrategy {
    let (surge, unavailable) = match rollout {
        Rollout::Surge => (1, 0),
        Rollout::InPlace => (0, 1),
    };
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(surge)),
            max_unavailable: Some(IntOrString::Int(unavailable)),
        }),
    }
}
