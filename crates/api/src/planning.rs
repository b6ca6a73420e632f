//! The kinds in the planner's types: what controllers and drivers both translate.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff;
use roadstead_model::{self as model, Price, Rate, Timestamp};

use crate::v1alpha1::{self as api, CapacityType, Dollars, ReplicaResources, ServingTarget, quantity};

/// A time as the planner counts it. One before the epoch, as only a member invents it, is the beginning of time.
#[must_use]
pub fn now(time: jiff::Timestamp) -> Timestamp {
    Timestamp(time.as_second().max(0))
}

/// An object's time as the planner counts it; a missing one is the beginning of time.
#[must_use]
pub fn timestamp(time: Option<&Time>) -> Timestamp {
    time.map_or(Timestamp::default(), |time| now(time.0))
}

/// The planner's time in the format of an object.
#[must_use]
pub fn time(timestamp: Timestamp) -> Time {
    // No API server takes a year before 0 or after 9999 into a status.
    Time(jiff::Timestamp::from_second(timestamp.0.max(0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// Time in the format of an object: without fractions of seconds, as the server stores it.
#[must_use]
pub fn api_time(time: jiff::Timestamp) -> Time {
    self::time(now(time))
}

/// The capacity type of this name.
#[must_use]
pub fn capacity_type(name: &str) -> Option<model::CapacityType> {
    [model::CapacityType::Reserved, model::CapacityType::OnDemand, model::CapacityType::Spot]
        .into_iter()
        .find(|capacity_type| capacity_type.as_str() == name)
}

/// The capacity type as the planner names it.
#[must_use]
pub fn planner_capacity_type(capacity_type: CapacityType) -> model::CapacityType {
    match capacity_type {
        CapacityType::Reserved => model::CapacityType::Reserved,
        CapacityType::OnDemand => model::CapacityType::OnDemand,
        CapacityType::Spot => model::CapacityType::Spot,
    }
}

/// The capacity type in the API.
#[must_use]
pub fn api_capacity_type(capacity_type: model::CapacityType) -> CapacityType {
    match capacity_type {
        model::CapacityType::Reserved => CapacityType::Reserved,
        model::CapacityType::OnDemand => CapacityType::OnDemand,
        model::CapacityType::Spot => CapacityType::Spot,
    }
}

/// A selector of labels.
#[must_use]
pub fn selector(selector: &api::LabelSelector) -> model::LabelSelector {
    let operator = |operator| match operator {
        api::LabelOperator::In => model::Operator::In,
        api::LabelOperator::NotIn => model::Operator::NotIn,
        api::LabelOperator::Exists => model::Operator::Exists,
        api::LabelOperator::DoesNotExist => model::Operator::DoesNotExist,
    };
    model::LabelSelector {
        match_labels: selector.match_labels.clone(),
        match_expressions: selector
            .match_expressions
            .iter()
            .map(|requirement| model::Requirement {
                key: requirement.key.clone(),
                operator: operator(requirement.operator),
                values: requirement.values.iter().cloned().collect(),
            })
            .collect(),
    }
}

/// Tolerations of nodes or of targets.
#[must_use]
pub fn tolerations(tolerations: &[api::Toleration]) -> Vec<model::Toleration> {
    let effect = |name: &str| match name {
        "NoPlacement" => Some(model::Effect::NoPlacement),
        "Evict" => Some(model::Effect::Evict),
        "NoSchedule" => Some(model::Effect::NoSchedule),
        "NoExecute" => Some(model::Effect::NoExecute),
        "PreferNoSchedule" => Some(model::Effect::PreferNoSchedule),
        _ => None,
    };
    tolerations
        .iter()
        .map(|toleration| model::Toleration {
            key: Some(toleration.key.clone()).filter(|key| !key.is_empty()),
            operator: match toleration.operator {
                api::TolerationOperator::Equal => model::TolerationOperator::Equal,
                api::TolerationOperator::Exists => model::TolerationOperator::Exists,
            },
            value: toleration.value.clone(),
            effect: effect(&toleration.effect),
        })
        .collect()
}

/// Requests of one replica; validation guarantees that the quantities are readable.
#[must_use]
pub fn resources(resources: &ReplicaResources) -> model::Resources {
    let get = |name: &str| resources.request(name);
    let units = |name: &str| get(name).map_or(0, |amount| quantity::units(amount).unwrap_or(u64::MAX));
    model::Resources {
        cpu_millis: get("cpu").map_or(0, |amount| quantity::millis(amount).unwrap_or(u64::MAX)),
        memory_bytes: units("memory"),
        ephemeral_storage_bytes: units("ephemeral-storage"),
    }
}

/// A number that validation has bounded below by 0.
#[must_use]
pub fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// Accelerators of one type on one instance or replica.
#[must_use]
pub fn accelerator(accelerator: &api::Accelerator) -> model::Accelerator {
    model::Accelerator { kind: accelerator.type_.clone(), count: count(accelerator.count) }
}

/// The planner's form of an offer. An offer without a known resource has none: validation refuses its target.
#[must_use]
pub fn offer(offer: &api::Offer) -> model::Offer {
    let resource_name = resource_name(offer).unwrap_or_default();
    model::Offer {
        name: offer.name.clone(),
        instance_type: offer.instance_type.clone(),
        accelerator: Some(accelerator(&offer.accelerator)),
        capacity_type: planner_capacity_type(offer.capacity_type),
        price: offer.hourly_price.as_ref().map(price),
        max_instances: offer.max_instances.map(count),
        sold_out: false,
        autoscaled: offer.provision_timeout_seconds.is_some(),
        node_selector: node_selector(&offer.nodes.selector),
        node_tolerations: node_tolerations(&resource_name, &offer.nodes.tolerations),
        resource_name,
    }
}

/// The price that a target's spec declares for an instance. One that is not an amount stays a price: an offer without any
/// may be free.
fn price(declared: &Dollars) -> Price {
    match declared.amount() {
        Ok(amount) => Price::per_instance_hour(amount),
        Err(_) => Price::of_spec(Rate::Unreadable),
    }
}

/// The recorded offer of an endpoint, as far as it selects nodes.
#[must_use]
pub fn offer_of_record(spec: &api::InferenceEndpointSpec) -> model::Offer {
    let (nodes, resource_name) = (&spec.template.nodes, &spec.accelerator.resource_name);
    model::Offer {
        name: spec.offer.clone(),
        instance_type: String::new(),
        accelerator: Some(model::Accelerator {
            kind: spec.accelerator.type_.clone(),
            count: count(spec.accelerator.count),
        }),
        capacity_type: planner_capacity_type(spec.capacity_type),
        price: None,
        max_instances: None,
        sold_out: false,
        autoscaled: false,
        node_selector: node_selector(&nodes.selector),
        node_tolerations: node_tolerations(resource_name, &nodes.tolerations),
        resource_name: resource_name.clone(),
    }
}

fn node_selector(labels: &BTreeMap<String, String>) -> model::LabelSelector {
    model::LabelSelector { match_labels: labels.clone(), ..model::LabelSelector::default() }
}

/// The offer's own, and the customary taint of nodes with accelerators, which every endpoint tolerates.
fn node_tolerations(resource_name: &str, declared: &[api::Toleration]) -> Vec<model::Toleration> {
    let customary = model::Toleration {
        key: Some(resource_name.to_owned()),
        operator: model::TolerationOperator::Exists,
        value: String::new(),
        effect: Some(model::Effect::NoSchedule),
    };
    let mut all = tolerations(declared);
    all.push(customary);
    all
}

/// The Kubernetes resource of an offer's accelerators: its own word, or the catalogue's. It is never guessed.
#[must_use]
pub fn resource_name(offer: &api::Offer) -> Option<String> {
    let known = || model::catalogue::accelerator(&offer.accelerator.type_).map(|info| info.resource_name.to_owned());
    offer.nodes.resource_name.clone().or_else(known)
}

/// Stands for the accelerators of Azure ML, which shows no nodes.
const AZURE_ML_RESOURCE: &str = "azureml.roadstead.dev/accelerator";
/// Stands for the units of Azure OpenAI, which shows no nodes.
const AZURE_OPENAI_RESOURCE: &str = "azureopenai.roadstead.dev/unit";
/// Stands for the accelerators of Baseten, which shows no nodes.
const BASETEN_RESOURCE: &str = "baseten.roadstead.dev/accelerator";
/// Stands for the accelerators of Bedrock, which shows no nodes.
const BEDROCK_RESOURCE: &str = "bedrock.roadstead.dev/accelerator";
/// Stands for the accelerators of `DigitalOcean`, which shows no nodes.
const DIGITAL_OCEAN_RESOURCE: &str = "digitalocean.roadstead.dev/accelerator";
/// Stands for the accelerators of Hugging Face, which shows no nodes.
const HUGGING_FACE_RESOURCE: &str = "huggingface.roadstead.dev/accelerator";
/// Stands for the accelerators of `SageMaker`, which shows no nodes.
const SAGEMAKER_RESOURCE: &str = "sagemaker.roadstead.dev/accelerator";
/// Stands for the accelerators of a simulated place, which has no nodes.
const SIMULATED_RESOURCE: &str = "simulated.roadstead.dev/accelerator";
/// Stands for the accelerators of Vertex AI, which shows no nodes.
const VERTEX_AI_RESOURCE: &str = "vertexai.roadstead.dev/accelerator";

/// The instance that an endpoint's record names; `None` where the offer is gone.
#[must_use]
pub fn instance_of_record(target: &ServingTarget, offer_name: &str) -> Option<api::EndpointInstance> {
    let offer = target.spec.offers.iter().find(|offer| offer.name == offer_name)?;
    Some(api::EndpointInstance { type_: offer.instance_type.clone(), accelerators: offer.accelerator.count })
}

/// The resource that an endpoint's record names: that of its offer, or by the type where the offer is gone.
#[must_use]
pub fn resource_of_record(target: &ServingTarget, offer_name: &str, type_: &str) -> Option<String> {
    let offer = target.spec.offers.iter().find(|offer| offer.name == offer_name);
    let known = || model::catalogue::accelerator(type_).map(|info| info.resource_name.to_owned());
    let without_nodes = || match target.spec.type_ {
        api::TargetType::AzureML => Some(AZURE_ML_RESOURCE.to_owned()),
        api::TargetType::AzureOpenAI => Some(AZURE_OPENAI_RESOURCE.to_owned()),
        api::TargetType::Baseten => Some(BASETEN_RESOURCE.to_owned()),
        api::TargetType::Bedrock => Some(BEDROCK_RESOURCE.to_owned()),
        api::TargetType::DigitalOcean => Some(DIGITAL_OCEAN_RESOURCE.to_owned()),
        api::TargetType::HuggingFace => Some(HUGGING_FACE_RESOURCE.to_owned()),
        api::TargetType::Kubernetes | api::TargetType::OpenAICompatible => None,
        api::TargetType::SageMaker => Some(SAGEMAKER_RESOURCE.to_owned()),
        api::TargetType::Simulated => Some(SIMULATED_RESOURCE.to_owned()),
        api::TargetType::VertexAI => Some(VERTEX_AI_RESOURCE.to_owned()),
    };
    offer.and_then(resource_name).or_else(known).or_else(without_nodes)
}

#[cfg(test)]
mod tests {
    use roadstead_model::{Unpriced, hourly_cost};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unreadable_price_is_unknown_and_never_free() {
        for price in ["9999999", "1.0000001", "free", ""] {
            let declared: api::Offer = serde_json::from_value(json!({
                "name": "a", "instanceType": "a", "accelerator": {"type": "H100", "count": 8},
                "capacityType": "Reserved", "hourlyPrice": price,
            }))
            .unwrap();
            let cost = hourly_cost(&offer(&declared), 2, 1, Timestamp::default());
            assert_eq!(cost, Err(Unpriced::Unreadable), "{price:?}");
        }
    }

    #[test]
    fn a_time_that_a_member_invents_is_one_that_a_status_can_hold() {
        for invented in ["-009999-01-02T01:59:59Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            let parsed: jiff::Timestamp = invented.parse().unwrap();
            assert_eq!(timestamp(Some(&Time(parsed))), Timestamp::default(), "{invented}");
        }
        for seconds in [i64::MIN, -1, i64::MAX] {
            assert_eq!(time(Timestamp(seconds)).0, jiff::Timestamp::UNIX_EPOCH, "{seconds}");
        }
        let last: jiff::Timestamp = "9999-12-30T00:00:00Z".parse().unwrap();
        assert_eq!(time(timestamp(Some(&Time(last)))).0, last);
    }

    #[test]
    fn no_resource_is_guessed() {
        let named = |type_: &str, nodes: serde_json::Value| {
            let declared: api::Offer = serde_json::from_value(json!({
                "name": "o", "instanceType": "i", "accelerator": {"type": type_, "count": 8},
                "capacityType": "Reserved", "nodes": nodes,
            }))
            .unwrap();
            resource_name(&declared)
        };
        assert_eq!(named("MI355X", json!({})).as_deref(), Some("amd.com/gpu"));
        assert_eq!(named("mi355x", json!({})), None);
        assert_eq!(named("MI999X", json!({"resourceName": "amd.com/gpu"})).as_deref(), Some("amd.com/gpu"));
    }

    #[test]
    fn what_has_a_limit_and_no_request_asks_for_its_limit() {
        let read = |text| resources(&serde_json::from_value(text).unwrap());
        let asked = read(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}));
        assert_eq!((asked.cpu_millis, asked.memory_bytes, asked.ephemeral_storage_bytes), (1_000, 1 << 30, 0));
    }
}
