//! The rollout of a changed template: the nodes' room for its pods decides.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodTemplateSpec};
use kube::ResourceExt;
use roadstead_model as model;

use super::render::Rollout;
use roadstead_api::planning;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_provider::Inventory;

/// A new pod first where a node has room for it, and where ending an old pod would free no place for a new one: the old
/// pods then serve while the new one waits. Else an old pod goes first.
#[must_use]
pub fn rollout(inventory: Option<&Inventory>, endpoint: &InferenceEndpoint, template: &PodTemplateSpec) -> Rollout {
    let places = Places::of(endpoint, template);
    let surges = endpoint.spec.replicas == 0
        || has_spare(inventory, endpoint, &places)
        || !frees_a_place(inventory, &endpoint.name_any(), &places);
    if surges { Rollout::Surge } else { Rollout::InPlace }
}

/// True if some node has room for one more replica; unknown counts as no.
fn has_spare(inventory: Option<&Inventory>, endpoint: &InferenceEndpoint, places: &Places<'_>) -> bool {
    let resources = planning::resources(&endpoint.spec.template.resources);
    let fits =
        |node: &model::Node| places.has(&node.free_accelerators) && resources.within(&node.free) && places.takes(node);
    inventory.and_then(|inventory| inventory.nodes.as_ref()).is_some_and(|nodes| nodes.iter().any(fits))
}

/// True if some pod of the endpoint holds a place that a new one may take; unknown counts as yes.
fn frees_a_place(inventory: Option<&Inventory>, name: &str, places: &Places<'_>) -> bool {
    let Some(inventory) = inventory else { return true };
    let (Some(nodes), Some(bound)) = (&inventory.nodes, inventory.bound.get(name)) else { return true };
    let takes = |node: &model::Node| places.has(&node.allocatable_accelerators) && places.takes(node);
    bound.is_empty() || bound.keys().any(|bound| nodes.iter().find(|node| node.name == *bound).is_none_or(takes))
}

/// The nodes that a member's scheduler gives to pods of a template.
struct Places<'a> {
    offer: model::Offer,
    required: Option<&'a NodeSelector>,
}

impl<'a> Places<'a> {
    fn of(endpoint: &InferenceEndpoint, template: &'a PodTemplateSpec) -> Self {
        let affinity = template.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
        Self {
            offer: planning::offer_of_record(&endpoint.spec),
            required: affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref()),
        }
    }

    /// True if these are enough devices for one replica.
    fn has(&self, devices: &BTreeMap<String, u32>) -> bool {
        devices.get(&self.offer.resource_name).copied().unwrap_or(0) >= self.offer.accelerators()
    }

    fn takes(&self, node: &model::Node) -> bool {
        node.schedulable
            && self.offer.node_selector.matches(&node.labels)
            && model::first_untolerated(&node.taints, &self.offer.node_tolerations).is_none()
            && self.required.is_none_or(|required| {
                let mut terms = required.node_selector_terms.iter().filter_map(label_selector);
                terms.any(|term| term.matches(&node.labels))
            })
    }
}

/// A term of an affinity; `None` where it says what no template of Roadstead says.
fn label_selector(term: &NodeSelectorTerm) -> Option<model::LabelSelector> {
    if term.match_fields.as_ref().is_some_and(|fields| !fields.is_empty()) {
        return None;
    }
    let expressions = term.match_expressions.as_deref().filter(|expressions| !expressions.is_empty())?;
    let requirement = |expression: &NodeSelectorRequirement| {
        let operator = match expression.operator.as_str() {
            "In" => model::Operator::In,
            "NotIn" => model::Operator::NotIn,
            "Exists" => model::Operator::Exists,
            "DoesNotExist" => model::Operator::DoesNotExist,
            _ => return None,
        };
        let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
        Some(model::Requirement { key: expression.key.clone(), operator, values })
    };
    let match_expressions = expressions.iter().map(requirement).collect::<Option<Vec<_>>>()?;
    Some(model::LabelSelector { match_expressions, ..model::LabelSelector::default() })
}
