//! Reads our tags back from a member's Deployment: how a rebuilt hub finds its endpoints again.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use roadstead_planner as planner;

use crate::api::v1alpha1::names;
use crate::controller::convert;

/// The endpoint that `deployment` serves; `None` where our tags are incomplete or do not give the name that it has.
///
/// What a member returns is untrusted: the name is computed from the tags again, and a mismatch is not ours to adopt.
#[must_use]
pub fn found(deployment: &Deployment) -> Option<planner::Found> {
    if deployment.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let labels = deployment.labels();
    let tags = deployment.annotations();
    let namespace = labels.get(names::LABEL_NAMESPACE)?;
    let name = labels.get(names::LABEL_DEPLOYMENT)?;
    let target = tags.get(names::ANNOTATION_TARGET)?;
    let shape = tags.get(names::ANNOTATION_SHAPE)?;
    let capacity_type = tags.get(names::ANNOTATION_CAPACITY_TYPE)?;
    let slot: u32 = tags.get(names::ANNOTATION_SLOT)?.parse().ok()?;
    let computed =
        names::endpoint_name(labels.get(names::LABEL_INSTALL_ID)?, namespace, name, target, shape, capacity_type, slot);
    if computed != deployment.name_any() {
        return None;
    }
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    Some(planner::Found {
        name: computed,
        deployment: planner::DeploymentId { namespace: namespace.clone(), name: name.clone() },
        target: target.clone(),
        offer: tags.get(names::ANNOTATION_OFFER)?.clone(),
        shape: shape.clone(),
        capacity_type: convert::capacity_type(capacity_type)?,
        slot,
        replicas: u32::try_from(replicas).unwrap_or(0),
        ready_replicas: u32::try_from(ready).unwrap_or(0),
        created_at: convert::timestamp(deployment.metadata.creation_timestamp.as_ref()),
    })
}
