//! From a decision to the record of it: the spec of an `InferenceEndpoint`.

use std::collections::BTreeSet;

use k8s_openapi::jiff::SignedDuration;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use roadstead_model::{Exhaust, Found, Keep, Placement, PodFields, Resources, Size, Timestamp};

use super::Planned;
use crate::api::v1alpha1::{
    self as api, DeploymentRef, EndpointAccelerator, EndpointState, ExhaustedStatus, InferenceEndpoint,
    InferenceEndpointSpec, ModelDeployment, ResolvedModel, ServingTarget, Template, TemplateNodes, limits, names,
    reasons,
};
use crate::controller::context::Context;
use crate::controller::convert;
use crate::controller::error::ActError;
use crate::kube_ext::cache::Key;

/// A refused offer is left alone for this long at first; it doubles with each further refusal.
const FIRST_EXHAUSTION_SECONDS: u32 = 300;
/// The longest that a refused offer is left alone.
const LAST_EXHAUSTION_SECONDS: u32 = 4 * 3600;

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
    let resource_name = convert::resource_of_record(&target, &placement.offer, &placement.accelerator.kind);
    let unnamed =
        || ActError::Stale { object: format!("offer {} of servingtarget {}", placement.offer, placement.target) };
    let name = name(&context.settings.install_id, &planned.request.id, placement);
    let spec = InferenceEndpointSpec {
        deployment_ref: reference(&planned.object),
        target: placement.target.clone(),
        cloud: target.spec.cloud.clone(),
        region: target.spec.region.clone(),
        offer: placement.offer.clone(),
        shape: placement.shape.clone(),
        accelerator: EndpointAccelerator {
            type_: placement.accelerator.kind.clone(),
            count: signed(placement.accelerator.count),
            resource_name: resource_name.ok_or_else(unnamed)?,
        },
        capacity_type: convert::api_capacity_type(placement.capacity_type),
        slot: signed(placement.slot),
        replicas: signed(placement.replicas),
        replica_hourly_cost: placement.replica_cost.map(|cost| cost.to_string()),
        hourly_cost: placement.hourly_cost.map(|cost| cost.to_string()),
        template: template(&planned.object, &placement.shape, nodes(&target, &placement.offer)),
        image_pull_secrets: planned.object.spec.serving.image_pull_secrets.clone(),
        provision_timeout_seconds: offer(&target, &placement.offer).and_then(|offer| offer.provision_timeout_seconds),
        state: EndpointState::Active,
        replaces: replaces.map(ToOwned::to_owned),
        reason: reason.to_owned(),
        deadline: None,
    };
    Ok(record(planned, &context.settings.install_id, name, spec))
}

/// The record of an endpoint that was found running.
///
/// # Errors
/// [`ActError::Stale`] where the target vanished since the decision.
pub fn adopted(
    context: &Context,
    planned: &Planned,
    found: &Found,
    drain_until: Option<Timestamp>,
) -> Result<InferenceEndpoint, ActError> {
    let shape = planned.request.shape(&found.shape).or_else(|| planned.request.shapes.first());
    let Some(shape) = shape else { return Err(ActError::Stale { object: planned.request.id.to_string() }) };
    let placement = Placement {
        target: found.target.clone(),
        offer: found.offer.clone(),
        shape: found.shape.clone(),
        accelerator: shape.accelerator.clone(),
        capacity_type: found.capacity_type,
        slot: found.slot,
        // More than a record can hold were made by hand there.
        replicas: found.replicas.min(limits::REPLICAS),
        replica_cost: None,
        hourly_cost: None,
    };
    let mut endpoint = new(context, planned, &placement, None, reasons::ADOPTED)?;
    if let Some(deadline) = drain_until {
        endpoint.spec.state = EndpointState::Draining;
        endpoint.spec.deadline = Some(convert::time(deadline));
    }
    Ok(endpoint)
}

/// The spec of an endpoint that stays, as the plan wants it.
pub fn kept(planned: &Planned, endpoint: &InferenceEndpoint, keep: &Keep) -> InferenceEndpointSpec {
    let mut spec = endpoint.spec.clone();
    spec.replicas = signed(keep.replicas);
    spec.hourly_cost = keep.hourly_cost.map(|cost| cost.to_string());
    if let Some(cost) = keep.hourly_cost.filter(|_| keep.replicas > 0) {
        spec.replica_hourly_cost = Some(cost.share(1, u64::from(keep.replicas)).to_string());
    }
    if keep.pods == PodFields::FollowSpec {
        // The nodes stay those of its beginning: an edit of the offer's nodes is for new endpoints only.
        spec.template = template(&planned.object, &spec.shape, spec.template.nodes.clone());
        spec.image_pull_secrets.clone_from(&planned.object.spec.serving.image_pull_secrets);
    }
    spec
}

/// What the deployment asks for and the record of its endpoint does not have, field by field; empty if it has all of it.
pub fn missing(deployment: &ModelDeployment, endpoint: &InferenceEndpoint) -> Vec<String> {
    let (wanted, kept) = (deployment.spec.replicas, &endpoint.spec);
    let mut missing = Vec::new();
    if wanted != kept.replicas {
        missing.push(format!("replicas ({wanted} wanted, {} kept)", kept.replicas));
    }
    let serving = &deployment.spec.serving;
    let Some(shape) = serving.shapes.iter().find(|shape| shape.name == kept.shape) else {
        missing.push(format!("shape {}", kept.shape));
        return missing;
    };
    if (&shape.accelerator.type_, shape.accelerator.count) != (&kept.accelerator.type_, kept.accelerator.count) {
        missing.push(format!("accelerator of shape {}", kept.shape));
    }
    if serving.image_pull_secrets != kept.image_pull_secrets {
        missing.push("imagePullSecrets".to_owned());
    }
    let template = template(deployment, &kept.shape, kept.template.nodes.clone());
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

/// The target's refusals with one more; the time doubles with every refusal in a row.
///
/// The newest is always kept. Where no more can be recorded one by one, all that hold at its offer become one for all
/// deployments: what is forgotten would be tried at once, and refused, for ever.
#[must_use]
pub fn exhausted(former: &[ExhaustedStatus], refusal: &Exhaust, now: Timestamp) -> Vec<ExhaustedStatus> {
    let new = convert::exhausted_status(refusal, now, 0);
    let same = |entry: &ExhaustedStatus| {
        entry.offer == new.offer
            && entry.accelerator_count == new.accelerator_count
            && entry.only_for == new.only_for
            && entry.cpu == new.cpu
            && entry.memory == new.memory
            && entry.ephemeral_storage == new.ephemeral_storage
    };
    let holds = |entry: &ExhaustedStatus| entry.until.0.as_second() > now.0;
    let is_full = former.iter().filter(|entry| !same(entry) && holds(entry)).count() >= limits::EXHAUSTED;
    let goes_in = |entry: &ExhaustedStatus| same(entry) || (is_full && holds(entry) && entry.offer == new.offer);
    let (within, mut all): (Vec<_>, Vec<_>) = former.iter().cloned().partition(goes_in);
    let refusal = if is_full { for_all(refusal, &within) } else { refusal.clone() };
    let attempts = within.iter().map(|entry| entry.attempts).max().unwrap_or(0).saturating_add(1);
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    let seconds = FIRST_EXHAUSTION_SECONDS.saturating_mul(2_u32.pow(doublings)).min(LAST_EXHAUSTION_SECONDS);
    let keep_until = now.0 - SignedDuration::from_hours(24).as_secs();
    all.retain(|entry| entry.until.0.as_second() > keep_until);
    // More than the schema holds would be refused whole: those that hold longest are kept.
    all.sort_by_key(|entry| std::cmp::Reverse(entry.until.0));
    all.truncate(limits::EXHAUSTED - 1);
    all.push(convert::exhausted_status(&refusal, now.plus(seconds), attempts));
    all.sort_by_key(|entry| std::cmp::Reverse(entry.until.0));
    all
}

/// One refusal for all deployments, in place of this one and of those `within` it.
fn for_all(refusal: &Exhaust, within: &[ExhaustedStatus]) -> Exhaust {
    let sizes = within.iter().map(|entry| convert::exhausted(entry).size);
    let size = sizes.fold(refusal.size, |one, other| Size {
        accelerators: one.accelerators.min(other.accelerators),
        resources: Resources {
            cpu_millis: one.resources.cpu_millis.min(other.resources.cpu_millis),
            memory_bytes: one.resources.memory_bytes.min(other.resources.memory_bytes),
            ephemeral_storage_bytes: one.resources.ephemeral_storage_bytes.min(other.resources.ephemeral_storage_bytes),
        },
    });
    Exhaust { size, only_for: None, ..refusal.clone() }
}

fn record(planned: &Planned, install_id: &str, name: String, spec: InferenceEndpointSpec) -> InferenceEndpoint {
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

fn reference(deployment: &ModelDeployment) -> DeploymentRef {
    DeploymentRef { name: deployment.name_any(), uid: deployment.uid().unwrap_or_default() }
}

fn target(context: &Context, name: &str) -> Result<std::sync::Arc<ServingTarget>, ActError> {
    let stale = || ActError::Stale { object: format!("servingtarget {name}") };
    context.caches.targets.get(&Key::cluster(name)).ok_or_else(stale)
}

fn offer<'a>(target: &'a ServingTarget, name: &str) -> Option<&'a api::Offer> {
    target.spec.offers.iter().find(|offer| offer.name == name)
}

fn nodes(target: &ServingTarget, offer_name: &str) -> TemplateNodes {
    offer(target, offer_name).map_or_else(TemplateNodes::default, |offer| TemplateNodes {
        selector: offer.nodes.selector.clone(),
        tolerations: offer.nodes.tolerations.clone(),
    })
}

/// The pod fields: the deployment's, with the shape's arguments before the user's own.
fn template(deployment: &ModelDeployment, shape: &str, nodes: TemplateNodes) -> Template {
    let model = &deployment.spec.model;
    let serving = &deployment.spec.serving;
    let shape_args = serving.shapes.iter().find(|one| one.name == shape).map(|shape| shape.args.clone());
    Template {
        engine: serving.engine,
        image: serving.image.clone(),
        args: shape_args.into_iter().flatten().chain(serving.args.iter().cloned()).collect(),
        env: serving.env.clone(),
        port: serving.port,
        resources: serving.resources.clone(),
        model: ResolvedModel {
            source: model.source.clone(),
            revision: model.revision.clone(),
            name: model.name.clone().unwrap_or_else(|| deployment.name_any()),
            credentials_secret_ref: model.credentials_secret_ref.clone(),
        },
        custom: serving.custom.clone(),
        nodes,
        startup_timeout_seconds: serving.startup_timeout_seconds,
        drain_timeout_seconds: serving.drain_timeout_seconds,
    }
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use roadstead_model::DeploymentId;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn refusal(offer: &str, deployment: usize, accelerators: u32) -> Exhaust {
        Exhaust {
            target: "east".to_owned(),
            offer: offer.to_owned(),
            size: Size { accelerators, resources: Resources { cpu_millis: 1_000, ..Resources::default() } },
            only_for: Some(DeploymentId { namespace: "team".to_owned(), name: format!("d{deployment}") }),
            reason: "AdmissionRefused".to_owned(),
        }
    }

    /// Refusals of the numbered deployments, each the seventh in a row, which hold for `seconds` more.
    fn former(offer: &str, deployments: std::ops::Range<usize>, seconds: u32) -> Vec<ExhaustedStatus> {
        let entry = |deployment| convert::exhausted_status(&refusal(offer, deployment, 1), NOW.plus(seconds), 7);
        deployments.map(entry).collect()
    }

    fn holds_for(entries: &[ExhaustedStatus], offer: &str, deployment: usize, now: Timestamp) -> bool {
        let id = format!("team/d{deployment}");
        entries.iter().any(|entry| {
            entry.offer == offer
                && entry.until.0.as_second() > now.0
                && entry.only_for.as_ref().is_none_or(|only_for| *only_for == id)
        })
    }

    #[test]
    fn a_refusal_is_recorded_for_its_deployment_and_grows() {
        let once = exhausted(&[], &refusal("o", 1, 1), NOW);
        assert_eq!((once[0].only_for.as_deref(), once[0].attempts), (Some("team/d1"), 1));
        assert_eq!(once[0].until.0.as_second(), NOW.plus(300).0);
        let twice = exhausted(&once, &refusal("o", 1, 1), NOW.plus(300));
        assert_eq!((twice.len(), twice[0].attempts, twice[0].until.0.as_second()), (1, 2, NOW.plus(900).0));
        let other = exhausted(&twice, &refusal("o", 2, 1), NOW.plus(300));
        assert_eq!(other.len(), 2);
        assert!(!holds_for(&other, "o", 3, NOW.plus(300)), "others may go there");
    }

    #[test]
    fn a_refusal_is_kept_however_many_hold_longer() {
        let full = former("o", 0..limits::EXHAUSTED, 4 * 3600);
        let now = exhausted(&full, &refusal("o", 500, 1), NOW);
        assert!(holds_for(&now, "o", 500, NOW));
        assert!((0..limits::EXHAUSTED).all(|deployment| holds_for(&now, "o", deployment, NOW)), "nobody is let back");
        assert!(holds_for(&now, "o", 501, NOW), "more of them cannot be told apart");
        // Some of a full list are of another offer.
        let mut mixed = former("o", 0..100, 4 * 3600);
        mixed.extend(former("p", 100..limits::EXHAUSTED, 4 * 3600));
        let now = exhausted(&mixed, &refusal("p", 500, 1), NOW);
        assert!(now.len() <= limits::EXHAUSTED);
        assert!((0..100).all(|deployment| holds_for(&now, "o", deployment, NOW)));
        assert!(!holds_for(&now, "o", 100, NOW) && holds_for(&now, "p", 500, NOW));
    }

    #[test]
    fn refusals_of_ever_more_deployments_at_several_offers_come_to_rest() {
        let (mut entries, mut tries) = (Vec::new(), 0);
        for round in 0..3 {
            for deployment in 0..300 {
                for offer in ["o", "p", "q"] {
                    if !holds_for(&entries, offer, deployment, NOW) {
                        let accelerators = u32::try_from(deployment % 200).unwrap() + 1;
                        entries = exhausted(&entries, &refusal(offer, deployment, accelerators), NOW);
                        tries += 1;
                        assert!(entries.len() <= limits::EXHAUSTED, "as the schema has it");
                        assert!(holds_for(&entries, offer, deployment, NOW), "{round} {deployment} {offer}");
                    }
                }
            }
        }
        assert!(tries < 3 * 300, "{tries} tries");
    }

    #[test]
    fn what_ended_makes_room_first() {
        let mut entries = former("o", 0..limits::EXHAUSTED - 1, 4 * 3600);
        entries.extend(former("o", 200..201, 0));
        let now = exhausted(&entries, &refusal("o", 500, 1), NOW);
        assert_eq!(now.len(), limits::EXHAUSTED);
        assert!(!holds_for(&now, "o", 600, NOW), "the list was not full of what holds");
        assert!(holds_for(&now, "o", 500, NOW) && holds_for(&now, "o", 0, NOW));
    }
}
