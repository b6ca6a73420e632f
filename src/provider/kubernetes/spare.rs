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
    let offer = convert::offer_of_record(spec);
    let members = planner::Membership::of(&spec.cloud, &offer);
    let fits = |node: &planner::Node| {
        let free = node.free_accelerators.get(&offer.resource_name).copied().unwrap_or(0);
        free >= offer.accelerator.count && resources.within(&node.free) && members.takes(node)
    };
    facts.and_then(|facts| facts.nodes.as_ref()).is_some_and(|nodes| nodes.iter().any(fits))
}
