//! A target's remarks on nodes that contradict its offer, and the node affinity of pods there.

use serde_json::{Value, json};

use crate::stage::{Stage, stage, until, until_looked};

const ATTENTION: &str = "NeedsAttention";

fn condition(stage: &Stage, type_: &str) -> Value {
    let conditions = stage.target()["status"]["conditions"].clone();
    let found = conditions.as_array().into_iter().flatten().find(|condition| condition["type"] == type_).cloned();
    found.unwrap_or_default()
}

#[test]
fn nodes_that_say_they_are_something_else_are_told_once_and_kept_from_pods() {
    let stage = stage();
    let eight = json!({"nvidia.com/gpu": "8"});
    stage.add_node("t4", &json!({"nvidia.com/gpu.product": "Tesla-T4"}), &eight, &json!([]));
    let shared = json!({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-SHARED"});
    stage.add_node("shared", &shared, &json!({"nvidia.com/gpu": "80"}), &json!([]));
    let taint = json!([{"key": "dedicated", "value": "ml", "effect": "NoSchedule"}]);
    stage.add_node("tainted", &json!({}), &eight, &taint);
    let operator = stage.operator(&[]);

    until("the target speaks of its nodes", || condition(&stage, ATTENTION)["status"] == "True", || operator.log());
    let told = condition(&stage, ATTENTION);
    assert_eq!(told["reason"], "NodesLeftOut");
    for part in [
        "1 node excluded: label nvidia.com/gpu.product=Tesla-T4 names T4, not H100",
        "label nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3-SHARED means shared devices",
        "1 node has taint dedicated=ml:NoSchedule: tolerate it in nodes.tolerations of offer p5",
    ] {
        assert!(told["message"].as_str().unwrap().contains(part), "{told}");
    }
    assert_eq!(condition(&stage, "Ready")["status"], "True");
    assert_eq!(stage.target()["status"]["capacity"][0]["nodes"], json!([{"free": 8, "count": 1}]));
    until("an event tells of it", || stage.was_told("NodesLeftOut", "Tesla-T4"), || operator.log());
    let version = stage.target()["metadata"]["resourceVersion"].clone();
    until_looked(5, &operator);
    assert_eq!(stage.target()["metadata"]["resourceVersion"], version, "settled means silent");

    stage.deploy("kept-away");
    stage.until_made(&["kept-away"], &operator);
    let made = stage.on_member(&stage.made_for("kept-away"));
    let terms =
        "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0";
    let requirements = made.pointer(terms).unwrap()["matchExpressions"].as_array().unwrap();
    let products = requirements.iter().find(|one| one["key"] == "nvidia.com/gpu.product").unwrap();
    assert!(products["operator"] == "NotIn" && products["values"].as_array().unwrap().contains(&"Tesla-T4".into()));

    for node in ["t4", "shared", "tainted"] {
        stage.remove_node(node);
    }
}
