//! Points that need attention on a target that works: a missing right to read, an incomplete inventory, names that are probably slips, and nodes that
//! are left out or unusual. They follow from the spec and from the capacity in the status, so they change only with these.

use roadstead_explain::TargetMessage;
use roadstead_explain::target::offer_remark;

use roadstead_api::v1alpha1::validate::Problem;
use roadstead_api::v1alpha1::{OfferCapacity, ServingTarget, advice, limits, reasons};

/// Remarks on nodes that pass by themselves.
const PASSING: &str = "NotSchedulable";
/// Remarks on nodes that are used all the same.
const USED: [&str; 2] = ["ExcessDevices", "UnknownProduct"];

/// Reason and message, if there is a remark.
#[must_use]
pub fn attention(
    target: &ServingTarget,
    capacity: &[OfferCapacity],
    cut: Option<&str>,
    refusal: Option<&str>,
) -> Option<(&'static str, String)> {
    if let Some(refusal) = refusal {
        let message = TargetMessage::ReadRefused(refusal).to_string();
        return Some((reasons::READ_REFUSED, limits::message(&message)));
    }
    if let Some(cut) = cut {
        let message = TargetMessage::InventoryIncomplete(cut).to_string();
        return Some((reasons::INVENTORY_INCOMPLETE, limits::message(&message)));
    }
    let advice = advice::serving_target(target);
    let remarks: Vec<_> = capacity
        .iter()
        .filter(|known| target.spec.offers.iter().any(|offer| offer.name == known.offer))
        .flat_map(|known| known.remarks.iter().map(|remark| (known.offer.as_str(), remark)))
        .filter(|(_, remark)| remark.reason != PASSING)
        .collect();
    let reason = if !advice.is_empty() {
        reasons::SPELLING_DIFFERS
    } else if remarks.iter().any(|(_, remark)| !USED.contains(&remark.reason.as_str())) {
        reasons::NODES_LEFT_OUT
    } else if !remarks.is_empty() {
        reasons::NODES_DIFFER
    } else {
        return None;
    };
    let advice = advice.iter().map(Problem::to_string);
    let sentences: Vec<String> =
        advice.chain(remarks.iter().map(|(offer, remark)| offer_remark(offer, &remark.message))).collect();
    Some((reason, limits::message(&TargetMessage::Attention(&sentences).to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(cloud: &str) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": cloud, "region": "us-east-1", "type": "Kubernetes",
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8}, "capacityType": "Reserved"}],
            },
        }))
        .unwrap()
    }

    fn told(cloud: &str, remarks: &Value) -> Option<(&'static str, String)> {
        let capacity: OfferCapacity = serde_json::from_value(json!({"offer": "o", "remarks": remarks})).unwrap();
        attention(&target(cloud), &[capacity], None, None)
    }

    #[test]
    fn what_passes_by_itself_needs_nobody() {
        assert_eq!(told("aws", &json!([])), None);
        assert_eq!(told("aws", &json!([{"reason": "NotSchedulable", "nodes": 3, "message": "m"}])), None);
    }

    #[test]
    fn slips_and_nodes_are_told_with_their_offer_and_a_bound() {
        let out = json!([{"reason": "OtherAccelerator", "nodes": 1, "message": "1 node left out"}]);
        assert_eq!(told("aws", &out), Some((reasons::NODES_LEFT_OUT, "offer o: 1 node left out".to_owned())));
        let odd = json!([{"reason": "ExcessDevices", "nodes": 1, "message": "1 node has 80"}]);
        assert_eq!(told("aws", &odd).map(|(reason, _)| reason), Some(reasons::NODES_DIFFER));
        let (reason, message) = told("AWS", &out).unwrap();
        assert_eq!(reason, reasons::SPELLING_DIFFERS);
        assert!(
            message.starts_with("spec.cloud: \"AWS\" is spelled aws") && message.ends_with("1 node left out"),
            "{message}"
        );
        let many: Vec<Value> =
            (0..8).map(|n| json!({"reason": "Tainted", "nodes": n, "message": "x".repeat(400)})).collect();
        let (_, message) = told("aws", &json!(many)).unwrap();
        assert!(message.chars().count() <= limits::MESSAGE, "{}", message.len());
    }

    #[test]
    fn an_offer_that_is_gone_is_not_spoken_of() {
        let gone: OfferCapacity = serde_json::from_value(
            json!({"offer": "gone", "remarks": [{"reason": "Tainted", "nodes": 1, "message": "m"}]}),
        )
        .unwrap();
        assert_eq!(attention(&target("aws"), &[gone], None, None), None);
    }

    #[test]
    fn an_inventory_that_was_cut_is_told_before_everything_else() {
        let (reason, message) = attention(&target("AWS"), &[], Some("too much is listed"), None).unwrap();
        assert_eq!(reason, reasons::INVENTORY_INCOMPLETE);
        assert!(message.starts_with("too much is listed; new ModelDeployments wait"), "{message}");
    }

    #[test]
    fn a_missing_right_to_read_is_told_first() {
        let (reason, message) = attention(&target("AWS"), &[], Some("cut"), Some("Example List: no")).unwrap();
        assert_eq!(reason, reasons::READ_REFUSED);
        assert!(message.starts_with("Example List: no; "), "{message}");
    }
}
