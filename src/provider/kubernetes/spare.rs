//! Is there room for one more replica? Decides how a changed template is rolled out.

use roadstead_planner as planner;

use crate::api::v1alpha1::InferenceEndpointSpec;
use crate::controller::convert;
use crate::provider::Facts;

/// Whether some node of the endpoint's offer has room for one more replica; unknown counts as no.
#[must_use]
pub fn has_spare(facts: Option<&Facts>, spec: &InferenceEndpointSpec) -> bool {
    if spec.replicas == 0 {
        return true;
    }
    let resources = convert::resources(&spec.template.resources);
    let count = u32::try_from(spec.accelerator.count).unwrap_or(u32::MAX);
    let tolerations = convert::tolerations(&spec.template.nodes.tolerations);
    let fits = |node: &planner::Node| {
        let selected = spec.template.nodes.selector.iter().all(|(key, value)| node.labels.get(key) == Some(value));
        let free = node.free_accelerators.get(&spec.accelerator.resource_name).copied().unwrap_or(0);
        let kept_away =
            planner::first_untolerated(&other_taints(node, &spec.accelerator.resource_name), &tolerations).is_some();
        selected && node.schedulable && free >= count && resources.within(&node.free) && !kept_away
    };
    facts.and_then(|facts| facts.nodes.as_ref()).is_some_and(|nodes| nodes.iter().any(fits))
}

/// The node's taints without the customary one of its accelerators, which every endpoint tolerates.
fn other_taints(node: &planner::Node, resource_name: &str) -> Vec<planner::Taint> {
    node.taints.iter().filter(|taint| taint.key != resource_name).cloned().collect()
}
