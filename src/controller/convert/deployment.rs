//! A `ModelDeployment` as the planner's request.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use roadstead_api::planning::{accelerator, count, planner_capacity_type, resources, selector, timestamp, tolerations};
use roadstead_api::v1alpha1::validate::Problem;
use roadstead_api::v1alpha1::{
    self as api, CostObjective, Dollars, FailbackPolicy, FailoverPolicy, ModelDeployment, OmittedSetting, limits, names,
};
use roadstead_model::{self as model, Timestamp};
use roadstead_runtime::cache::Key;

/// The return to the target that a failover left, if there is one and the deployment wants it.
fn failback(deployment: &ModelDeployment) -> Option<model::Failback> {
    let wanted = &deployment.spec.failover.failback;
    let home = deployment.status.as_ref()?.home.as_ref().filter(|_| wanted.policy != FailbackPolicy::Never)?;
    Some(model::Failback {
        home: home.target.clone(),
        left_at: timestamp(Some(&home.since)),
        stabilization_seconds: count(wanted.stabilization_seconds),
        only_if_cheaper: wanted.policy == FailbackPolicy::WhenCheaper,
    })
}

/// The planner's name of a deployment.
#[must_use]
pub fn deployment_id(key: &Key) -> model::DeploymentId {
    model::DeploymentId { namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Rank of a deployment in the planning order; an unknown one comes first, because it needs no plan.
#[must_use]
pub fn queue_key(key: &Key, deployment: Option<&ModelDeployment>) -> model::QueueKey {
    let (priority, created) = deployment.map_or((i32::MAX, Timestamp::default()), |deployment| {
        (deployment.spec.priority, timestamp(deployment.metadata.creation_timestamp.as_ref()))
    });
    model::QueueKey::new(priority, created, deployment_id(key))
}

fn problem(field: &str, error: impl std::fmt::Display) -> Problem {
    Problem { field: field.to_owned(), message: error.to_string() }
}

fn patterns(field: &str, texts: Option<&Vec<String>>) -> Result<Option<Vec<model::Pattern>>, Problem> {
    let parse = |text: &String| model::Pattern::parse(text).map_err(|error| problem(field, error));
    texts.map(|texts| texts.iter().map(parse).collect()).transpose()
}

/// The request of a deployment, whose namespace has `namespace_labels`.
///
/// # Errors
/// The [`Problem`] with the first field that cannot be read.
pub fn deployment(
    deployment: &ModelDeployment,
    namespace_labels: BTreeMap<String, String>,
) -> Result<model::Deployment, Problem> {
    let spec = &deployment.spec;
    let cost = &spec.placement.cost;
    let max_hourly_cost = cost.max_hourly_cost.as_ref().map(Dollars::amount).transpose();
    let place_without = deployment.annotations().get(names::ANNOTATION_PLACE_WITHOUT);
    Ok(model::Deployment {
        id: deployment_id(&Key::of(deployment)),
        uid: deployment.uid().unwrap_or_default(),
        generation: deployment.metadata.generation.unwrap_or(0),
        decided: deployment.status.as_ref().map(decided).unwrap_or_default(),
        priority: spec.priority,
        created_at: timestamp(deployment.metadata.creation_timestamp.as_ref()),
        namespace_labels,
        engine: spec.serving.engine.as_str().to_owned(),
        source: spec.model.source.clone(),
        settings: settings(spec),
        replicas: count(spec.replicas),
        resources: resources(&spec.serving.resources),
        shapes: spec
            .serving
            .shapes
            .iter()
            .map(|shape| model::Shape {
                name: shape.name.clone(),
                accelerator: accelerator(&shape.accelerator),
                tokens_per_second: shape.tokens_per_second.and_then(|tokens| u64::try_from(tokens).ok()),
            })
            .collect(),
        rules: rules(&spec.placement)?,
        objective: match cost.objective {
            CostObjective::HourlyCost => model::Objective::HourlyCost,
            CostObjective::CostPerMillionTokens => model::Objective::CostPerMillionTokens,
        },
        max_hourly_cost: max_hourly_cost.map_err(|error| problem("spec.placement.cost.maxHourlyCost", error))?,
        hosted_ceiling: spec.failover.hosted_ceiling(),
        drain_timeout_seconds: count(spec.serving.drain_timeout_seconds),
        failover_after_seconds: match spec.failover.policy {
            FailoverPolicy::Automatic => Some(count(spec.failover.toleration_seconds)),
            FailoverPolicy::Disabled => None,
        },
        failback: failback(deployment),
        place_without: place_without
            .into_iter()
            .flat_map(|targets| targets.split(','))
            .map(|target| target.trim().to_owned())
            .collect(),
        move_to: deployment.annotations().get(names::ANNOTATION_MOVE_TO).map(|target| target.trim().to_owned()),
        suspended: spec.suspend,
        removes_first: spec.migration.order == api::MigrationOrder::RemoveThenReplace,
        divisible: false,
        spread: spec.placement.spread.as_ref().map(spread),
        standby_replicas: count(spec.failover.standby.replicas),
    })
}

/// The settings of the engine that a deployment has, each with the types of targets where it leaves them out.
fn settings(spec: &api::ModelDeploymentSpec) -> BTreeMap<model::EngineSetting, BTreeSet<String>> {
    let serving = &spec.serving;
    let left_out = |setting: OmittedSetting| {
        let omitting = serving.overrides.iter().filter(move |one| one.omits(setting));
        omitting.map(|one| one.type_.name()).collect()
    };
    [
        (!serving.args.is_empty(), model::EngineSetting::Args, OmittedSetting::Args),
        (!serving.env.is_empty(), model::EngineSetting::Env, OmittedSetting::Env),
        (spec.model.revision.is_some(), model::EngineSetting::Revision, OmittedSetting::Revision),
    ]
    .into_iter()
    .filter(|(is_set, ..)| *is_set)
    .map(|(_, setting, omitted)| (setting, left_out(omitted)))
    .collect()
}

const _: () =
    assert!(limits::PLACEMENTS == model::MAX_PUBLISHED, "truncated entries would be reported as changed on every sync");

const fn spread(spread: &api::Spread) -> model::SpreadRule {
    let topology = match spread.topology {
        api::SpreadTopology::Region => model::Topology::Region,
        api::SpreadTopology::Cloud => model::Topology::Cloud,
        api::SpreadTopology::Target => model::Topology::Target,
    };
    model::SpreadRule { topology, min_domains: spread.min_domains.unsigned_abs() }
}

/// The decision that a deployment's status publishes.
fn decided(status: &api::ModelDeploymentStatus) -> model::Decided {
    let published = |placement: &api::PlacementStatus| model::Published {
        role: match placement.role {
            api::PlacementRole::Serving => model::Role::Serving,
            api::PlacementRole::Replacement => model::Role::Replacement,
            api::PlacementRole::Standby => model::Role::Standby,
        },
        replicas: count(placement.replicas),
    };
    model::Decided {
        revision: u64::try_from(status.revision).unwrap_or(0),
        generation: status.observed_generation.max(0),
        allocations: status
            .placements
            .iter()
            .map(|placement| (placement.endpoint.clone(), published(placement)))
            .collect(),
    }
}

fn rules(placement: &api::PlacementRules) -> Result<model::Rules, Problem> {
    let regions = placement.regions.clone().unwrap_or_default();
    let set = |list: &Vec<String>| list.iter().cloned().collect::<BTreeSet<_>>();
    let prefer = regions.prefer.iter().map(|preference| {
        let region = preference.region.as_deref().map(model::Pattern::parse).transpose();
        Ok(model::Preference {
            name: preference.name.clone(),
            cloud: preference.cloud.clone(),
            region: region.map_err(|error| problem("spec.placement.regions.prefer", error))?,
            premium_percent: count(preference.premium_percent),
        })
    });
    Ok(model::Rules {
        target_selector: placement.target_selector.as_ref().map(selector).unwrap_or_default(),
        clouds: placement.clouds.as_ref().and_then(|clouds| clouds.allow.as_ref()).map(set),
        allow_regions: patterns("spec.placement.regions.allow", regions.allow.as_ref())?,
        deny_regions: patterns("spec.placement.regions.deny", regions.deny.as_ref())?.unwrap_or_default(),
        prefer: prefer.collect::<Result<_, Problem>>()?,
        jurisdictions: placement.jurisdictions.as_ref().map(set),
        capacity_types: placement.capacity_types.iter().copied().map(planner_capacity_type).collect(),
        target_tolerations: tolerations(&placement.target_tolerations),
    })
}
