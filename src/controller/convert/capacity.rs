//! The free capacity of an offer in a target's status.

use std::collections::BTreeMap;

use roadstead_api::v1alpha1::{NodeCapacity, NodeRemark, OfferCapacity, limits};
use roadstead_explain as explain;
use roadstead_model as model;
use roadstead_runtime::text::bounded;

/// Free capacity of an offer, grouped by free accelerators on a node, with remarks on its nodes.
#[must_use]
pub fn capacity(offer: &model::Offer, members: &model::Members, usable: &[&model::Node]) -> OfferCapacity {
    let mut free: BTreeMap<std::cmp::Reverse<u32>, i32> = BTreeMap::new();
    for node in usable {
        *free.entry(std::cmp::Reverse(model::free_devices(offer, node, 0))).or_default() += 1;
    }
    let nodes = free
        .into_iter()
        .take(limits::NODE_GROUPS)
        .map(|(amount, count)| NodeCapacity { free: i32::try_from(amount.0).unwrap_or(i32::MAX), count })
        .collect();
    OfferCapacity { offer: offer.name.clone(), nodes, remarks: remarks(offer, members) }
}

/// Remarks on the nodes of an offer: excluded nodes, and used nodes that are unusual.
fn remarks(offer: &model::Offer, members: &model::Members) -> Vec<NodeRemark> {
    let remark = |reason: &str, nodes: u32, message: String| NodeRemark {
        reason: reason.to_owned(),
        nodes: i32::try_from(nodes).unwrap_or(i32::MAX),
        message: bounded(&message),
    };
    let excess = members.excess.map(|excess| remark("ExcessDevices", excess.nodes, explain::excess(&excess, offer)));
    let unknown = members
        .unknown
        .iter()
        .map(|(label, nodes)| remark("UnknownProduct", *nodes, explain::unknown_product(label, *nodes, offer)));
    // An autoscaler's nodes come when they are asked for.
    let none =
        members.no_nodes().filter(|_| !offer.autoscaled).map(|why| remark("NoNodes", 0, explain::no_nodes(why, offer)));
    let left_out = members
        .causes()
        .into_iter()
        .map(|(cause, nodes)| remark(cause.reason(), nodes, explain::left_out(cause, nodes, offer)));
    none.into_iter().chain(excess).chain(unknown).chain(left_out).take(limits::REMARKS).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff;
    use roadstead_api::v1alpha1::ServingTarget;
    use roadstead_provider::Inventory;
    use serde_json::json;

    use crate::controller::convert::target;

    use super::*;

    #[test]
    fn nodes_that_are_left_out_or_look_odd_are_told_with_their_number() {
        let declared: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Kubernetes",
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                            "capacityType": "Reserved"}],
            },
        }))
        .unwrap();
        let node = |name: &str, count: u32, labels: &[(&str, &str)]| model::Node {
            name: name.to_owned(),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            taints: Vec::new(),
            schedulable: true,
            allocatable_accelerators: [("nvidia.com/gpu".to_owned(), count)].into(),
            free_accelerators: [("nvidia.com/gpu".to_owned(), count)].into(),
            free: model::Resources::default(),
        };
        let nodes = vec![
            node("a", 8, &[]),
            node("b", 80, &[]),
            node("c", 8, &[("nvidia.com/gpu.product", "Tesla-T4")]),
            node("d", 8, &[("nvidia.com/gpu.product", "Tesla-T4\nReady=True")]),
        ];
        let inventory = Inventory { nodes: Some(nodes), ..Inventory::default() };
        let mut fleet = roadstead_planner::Fleet::new();
        fleet.upsert_target(target(&declared, None, Some(&inventory), jiff::Timestamp::UNIX_EPOCH));
        let (offer, members, usable) = fleet.members_of("east").next().unwrap();
        let told = capacity(offer, members, &usable);
        assert_eq!(told.nodes, [NodeCapacity { free: 8, count: 2 }], "eight of eighty, as an instance has");
        let remarks: Vec<_> = told.remarks.iter().map(|remark| (remark.reason.as_str(), remark.nodes)).collect();
        assert_eq!(remarks, [("ExcessDevices", 1), ("OtherAccelerator", 1), ("OtherAccelerator", 1)]);
        assert!(told.remarks.iter().all(|remark| !remark.message.contains('\n')));
    }
}
