//! From a decision to the record of it: the spec of an `InferenceEndpoint`.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use roadstead_explain::deployment::{replicas_differ, shape_differs};
use roadstead_model::{Keep, Placement, PodFields};

use super::Planned;
use super::template::template;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{
    self as api, DeploymentRef, Dollars, EndpointAccelerator, EndpointState, InferenceEndpoint, InferenceEndpointSpec,
    ModelDeployment, ServingTarget, Template, TemplateNodes, names,
};
use roadstead_runtime::cache::Key;

/// The name of the endpoint that a placement makes.
#[must_use]
pub fn name(install_id: &str, id: &roadstead_model::DeploymentId, placement: &Placement) -> String {
    names::endpoint_name(
        install_id,
        &id.namespace,
        &id.name,
        &placement.target,
        &placement.shape,
        placement.capacity_type.as_str(),
        placement.slot,
    )
}

/// Checks that the offer of a placement still exists.
///
/// # Errors
/// [`ActError::Stale`] where it vanished since the decision.
pub fn check_offer(context: &Context, placement: &Placement) -> Result<(), ActError> {
    let Placement { target: name, offer: offer_name, .. } = placement;
    let stale = || ActError::Stale { object: format!("offer {offer_name} of servingtarget {name}") };
    let target = target(context, name)?;
    offer(&target, offer_name).map(drop).ok_or_else(stale)
}

/// The endpoint of a new placement.
///
/// # Errors
/// [`ActError::Stale`] where the target, the shape or the offer's resource vanished since the decision.
pub fn new(
    context: &Context,
    planned: &Planned,
    placement: &Placement,
    replaces: Option<&str>,
    reason: &str,
) -> Result<InferenceEndpoint, ActError> {
    let target = target(context, &placement.target)?;
    let resource_name = planning::resource_of_record(&target, &placement.offer, &placement.accelerator.kind);
    let unnamed =
        || ActError::Stale { object: format!("offer {} of servingtarget {}", placement.offer, placement.target) };
    let name = name(&context.settings.install_id, &planned.request.id, placement);
    let spec = InferenceEndpointSpec {
        deployment_ref: reference(&planned.object),
        target: placement.target.clone(),
        target_type: Some(target.spec.type_),
        cloud: target.spec.cloud.clone(),
        region: target.spec.region.clone(),
        offer: placement.offer.clone(),
        shape: placement.shape.clone(),
        accelerator: EndpointAccelerator {
            type_: placement.accelerator.kind.clone(),
            count: signed(placement.accelerator.count),
            resource_name: resource_name.ok_or_else(unnamed)?,
        },
        instance: planning::instance_of_record(&target, &placement.offer),
        capacity_type: planning::api_capacity_type(placement.capacity_type),
        slot: signed(placement.slot),
        replicas: signed(placement.replicas),
        replica_hourly_cost: placement.replica_cost.map(Dollars::from),
        hourly_cost: placement.hourly_cost.map(Dollars::from),
        template: template(
            &planned.object,
            Some(target.spec.type_),
            &placement.shape,
            nodes(&target, &placement.offer),
        ),
        image_pull_secrets: planned.object.spec.serving.image_pull_secrets.clone(),
        provision_timeout_seconds: offer(&target, &placement.offer).and_then(|offer| offer.provision_timeout_seconds),
        state: EndpointState::Active,
        replaces: replaces.map(ToOwned::to_owned),
        promoted_at: None,
        reason: reason.to_owned(),
        deadline: None,
    };
    Ok(record(planned, &context.settings.install_id, name, spec))
}

/// The spec of an endpoint that stays, as the plan wants it.
pub fn kept(planned: &Planned, endpoint: &InferenceEndpoint, keep: &Keep) -> InferenceEndpointSpec {
    let mut spec = endpoint.spec.clone();
    spec.replicas = signed(keep.replicas);
    spec.hourly_cost = keep.hourly_cost.map(Dollars::from);
    if let Some(cost) = keep.hourly_cost.filter(|_| keep.replicas > 0) {
        spec.replica_hourly_cost = Some(cost.share(1, u64::from(keep.replicas)).into());
    }
    if keep.pods == PodFields::FollowSpec {
        // The nodes stay those of its beginning: an edit of the offer's nodes is for new endpoints only.
        spec.template = template(&planned.object, spec.target_type, &spec.shape, spec.template.nodes.clone());
        spec.image_pull_secrets.clone_from(&planned.object.spec.serving.image_pull_secrets);
    }
    spec
}

/// Fields that the deployment asks for and the serving endpoints' records lack; empty if they have all of them.
pub fn missing(deployment: &ModelDeployment, serving: &[&Arc<InferenceEndpoint>]) -> Vec<String> {
    let kept = serving.iter().fold(0, |sum: i32, endpoint| sum.saturating_add(endpoint.spec.replicas));
    let wanted = deployment.spec.replicas;
    let replicas = (wanted != kept).then(|| replicas_differ(wanted, kept));
    let mut missing: Vec<String> = replicas.into_iter().collect();
    for field in serving.iter().flat_map(|endpoint| missing_in_pods(deployment, &endpoint.spec)) {
        if !missing.contains(&field) {
            missing.push(field);
        }
    }
    missing
}

/// Fields of each replica that the deployment asks for and the record lacks.
fn missing_in_pods(deployment: &ModelDeployment, kept: &InferenceEndpointSpec) -> Vec<String> {
    let mut missing = Vec::new();
    let serving = &deployment.spec.serving;
    let Some(shape) = serving.shapes.iter().find(|shape| shape.name == kept.shape) else {
        missing.push(shape_differs(&kept.shape, true));
        return missing;
    };
    if (&shape.accelerator.type_, shape.accelerator.count) != (&kept.accelerator.type_, kept.accelerator.count) {
        missing.push(shape_differs(&kept.shape, false));
    }
    if serving.image_pull_secrets != kept.image_pull_secrets {
        missing.push("imagePullSecrets".to_owned());
    }
    let template = template(deployment, kept.target_type, &kept.shape, kept.template.nodes.clone());
    if template != kept.template {
        missing.extend(differing(&template, &kept.template));
    }
    missing
}

/// The names of the fields in which two templates differ.
fn differing(one: &Template, other: &Template) -> Vec<String> {
    let fields = |template| serde_json::to_value(template).unwrap_or_default();
    let (one, other) = (fields(one), fields(other));
    let names = one.as_object().into_iter().chain(other.as_object()).flat_map(serde_json::Map::keys);
    let names: BTreeSet<&String> = names.filter(|name| one.get(*name) != other.get(*name)).collect();
    names.into_iter().cloned().collect()
}

/// The object that records a placement.
pub fn record(planned: &Planned, install_id: &str, name: String, spec: InferenceEndpointSpec) -> InferenceEndpoint {
    let mut endpoint = InferenceEndpoint::new(&name, spec);
    let labels = [
        (names::LABEL_DEPLOYMENT.to_owned(), planned.request.id.name.clone()),
        (names::LABEL_INSTALL_ID.to_owned(), install_id.to_owned()),
    ];
    endpoint.metadata = ObjectMeta {
        name: Some(name),
        namespace: Some(planned.request.id.namespace.clone()),
        labels: Some(labels.into()),
        finalizers: Some(vec![names::FINALIZER_ENDPOINT.to_owned()]),
        owner_references: planned.object.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    endpoint
}

/// A record's reference to its deployment.
pub fn reference(deployment: &ModelDeployment) -> DeploymentRef {
    DeploymentRef { name: deployment.name_any(), uid: deployment.uid().unwrap_or_default() }
}

/// The target of this name.
///
/// # Errors
/// [`ActError::Stale`] where it vanished since the decision.
pub fn target(context: &Context, name: &str) -> Result<Arc<ServingTarget>, ActError> {
    let stale = || ActError::Stale { object: format!("servingtarget {name}") };
    context.caches.targets.get(&Key::cluster(name)).ok_or_else(stale)
}

/// The offer of this name.
pub fn offer<'a>(target: &'a ServingTarget, name: &str) -> Option<&'a api::Offer> {
    target.spec.offers.iter().find(|offer| offer.name == name)
}

fn nodes(target: &ServingTarget, offer_name: &str) -> TemplateNodes {
    offer(target, offer_name).map_or_else(TemplateNodes::default, |offer| TemplateNodes {
        selector: offer.nodes.selector.clone(),
        tolerations: offer.nodes.tolerations.clone(),
    })
}

/// A number as the API has it.
pub fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
