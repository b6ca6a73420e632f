//! From what was found running to the record of it: as it runs, not as the spec wants it now.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use roadstead_model::{self as model, Accelerator, Found, Placement, Runs, cost_of_found};

use super::template::environment;
use super::{Planned, build};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use roadstead_api::check::{CheckVerdict, Checker};
use roadstead_api::planning;
use roadstead_api::v1alpha1::{
    Dollars, EndpointState, EnvVar, InferenceEndpoint, InferenceEndpointSpec, ModelDeployment, ServingTarget,
    TargetType, limits, reasons,
};
use roadstead_provider::record::Record;

/// Compiles the rules of records once: a rebuilt hub adopts many endpoints.
static CHECKER: LazyLock<Checker> = LazyLock::new(Checker::new);

/// The record of an endpoint that was found running.
///
/// # Errors
/// [`ActError::Stale`] where the target vanished since the decision, or the found endpoint cannot be described.
pub fn record(
    context: &Context,
    planned: &Planned,
    found: &Found,
    state: model::EndpointState,
) -> Result<InferenceEndpoint, ActError> {
    let target = build::target(context, &found.target)?;
    let by_spec = || as_the_spec_has_it(context, planned, &target, found);
    let spec = found.runs.as_ref().and_then(|runs| as_it_runs(planned, &target, found, runs));
    let mut spec = spec.map_or_else(by_spec, Ok)?;
    match state {
        model::EndpointState::Standby => spec.state = EndpointState::Standby,
        model::EndpointState::Draining { deadline } => {
            spec.state = EndpointState::Draining;
            spec.deadline = Some(planning::time(deadline));
        }
        model::EndpointState::Active | model::EndpointState::Deleting => {}
    }
    Ok(build::record(planned, &context.settings.install_id, found.name.clone(), spec))
}

/// The running endpoint from its tags; `None` if they contain a value that a record cannot hold.
fn as_it_runs(planned: &Planned, target: &ServingTarget, found: &Found, runs: &Runs) -> Option<InferenceEndpointSpec> {
    let form: Record = serde_json::from_str(&runs.record).ok()?;
    let spec = spec(planned, target, found, with_named_secrets(form, &planned.object, target.spec.type_));
    is_valid(&found.name, &spec).then_some(spec)
}

/// Endpoint of a release without a description: with the current spec. Its pods restart if the spec was edited since.
fn as_the_spec_has_it(
    context: &Context,
    planned: &Planned,
    target: &ServingTarget,
    found: &Found,
) -> Result<InferenceEndpointSpec, ActError> {
    let shape = planned.request.shape(&found.shape).or_else(|| planned.request.shapes.first());
    let Some(shape) = shape else { return Err(ActError::Stale { object: planned.request.id.to_string() }) };
    let placement = Placement {
        target: found.target.clone(),
        offer: found.offer.clone(),
        shape: found.shape.clone(),
        accelerator: Accelerator {
            kind: shape.accelerator.kind.clone(),
            count: Some(found.accelerators).filter(|count| *count > 0).unwrap_or(shape.accelerator.count),
        },
        capacity_type: found.capacity_type,
        slot: found.slot,
        replicas: found.replicas,
        replica_cost: None,
        hourly_cost: None,
    };
    let new = build::new(context, planned, &placement, None, reasons::ADOPTED)?.spec;
    let InferenceEndpointSpec { accelerator, instance, template, image_pull_secrets, .. } = new;
    Ok(spec(planned, target, found, Record { accelerator, instance, template, image_pull_secrets }))
}

fn spec(planned: &Planned, target: &ServingTarget, found: &Found, form: Record) -> InferenceEndpointSpec {
    let offer = build::offer(target, &found.offer);
    let cost = offer.and_then(|offer| cost_of_found(found, &planning::offer(offer), planned.plan.decided_at));
    InferenceEndpointSpec {
        deployment_ref: build::reference(&planned.object),
        target: found.target.clone(),
        target_type: Some(target.spec.type_),
        cloud: target.spec.cloud.clone(),
        region: target.spec.region.clone(),
        offer: found.offer.clone(),
        shape: found.shape.clone(),
        accelerator: form.accelerator,
        instance: form.instance,
        capacity_type: planning::api_capacity_type(found.capacity_type),
        slot: build::signed(found.slot),
        // More than a record can hold were made by hand there.
        replicas: build::signed(found.replicas.min(limits::REPLICAS)),
        replica_hourly_cost: None,
        hourly_cost: cost.map(Dollars::from),
        template: form.template,
        image_pull_secrets: form.image_pull_secrets,
        provision_timeout_seconds: offer.and_then(|offer| offer.provision_timeout_seconds),
        state: EndpointState::Active,
        replaces: None,
        promoted_at: None,
        reason: reasons::ADOPTED.to_owned(),
        deadline: None,
    }
}

/// The form without the Secrets that the deployment does not name: a place may not choose which Secrets of the namespace
/// are copied to it.
fn with_named_secrets(mut form: Record, deployment: &ModelDeployment, type_: TargetType) -> Record {
    let template = &mut form.template;
    let named =
        |variable: &EnvVar| variable.secret_key_ref.as_ref().map(|secret| (secret.name.clone(), secret.key.clone()));
    let allowed: BTreeSet<_> = environment(&deployment.spec.serving, Some(type_)).iter().filter_map(named).collect();
    template.env.retain(|variable| named(variable).is_none_or(|secret| allowed.contains(&secret)));
    let credentials = &deployment.spec.model.credentials_secret_ref;
    if template.model.credentials_secret_ref != *credentials {
        template.model.credentials_secret_ref = None;
    }
    form.image_pull_secrets.retain(|secret| deployment.spec.serving.image_pull_secrets.contains(secret));
    form
}

/// True if the hub takes such a record: what a place returns may be anything.
fn is_valid(name: &str, spec: &InferenceEndpointSpec) -> bool {
    let Ok(object) = serde_json::to_value(InferenceEndpoint::new(name, spec.clone())) else { return false };
    matches!(CHECKER.check(&object), CheckVerdict::Checked { problems, .. } if problems.is_empty())
}
