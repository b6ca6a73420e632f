//! Free resources of each node, from a member's nodes and pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use kube::ResourceExt;
use roadstead_model as model;

use super::pods::is_over;
use super::requests::{Amounts, add, amounts, requests};

/// Resources that every node has and that are no accelerators.
const COMMON: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pods"];

/// The planner's form of the member's nodes: free resources are allocatable ones less the requests of every bound pod.
#[must_use]
pub fn planner_nodes(nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> Vec<model::Node> {
    let mut used: BTreeMap<&str, Amounts> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !is_over(pod)) {
        if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
            add(used.entry(node).or_default(), &requests(pod));
        }
    }
    let nothing = Amounts::new();
    nodes.iter().map(|node| planner_node(node, used.get(node.name_any().as_str()).unwrap_or(&nothing))).collect()
}

fn planner_node(node: &Node, used: &Amounts) -> model::Node {
    let status = node.status.as_ref();
    let allocatable = amounts(status.and_then(|status| status.allocatable.as_ref()));
    let free = |resource: &str| {
        let used = used.get(resource).copied().unwrap_or(0);
        allocatable.get(resource).copied().unwrap_or(0).saturating_sub(used)
    };
    let devices = || allocatable.keys().filter(|resource| !is_common(resource));
    let count = |amount: u64| u32::try_from(amount).unwrap_or(u32::MAX);
    model::Node {
        name: node.name_any(),
        labels: node.labels().clone(),
        taints: taints(node),
        schedulable: is_schedulable(node),
        allocatable_accelerators: devices()
            .map(|device| (device.clone(), count(allocatable.get(device).copied().unwrap_or(0))))
            .collect(),
        free_accelerators: devices().map(|device| (device.clone(), count(free(device)))).collect(),
        free: model::Resources {
            cpu_millis: free("cpu"),
            memory_bytes: free("memory"),
            ephemeral_storage_bytes: free("ephemeral-storage"),
        },
    }
}

/// The accelerators that one pod of this spec is given.
#[must_use]
pub fn devices_of(spec: &PodSpec) -> u32 {
    let limits = spec.containers.iter().filter_map(|container| container.resources.as_ref()?.limits.as_ref());
    let devices = limits.flat_map(|limits| amounts(Some(limits))).filter(|(resource, _)| !is_common(resource));
    u32::try_from(devices.fold(0, |sum: u64, (_, amount)| sum.saturating_add(amount))).unwrap_or(u32::MAX)
}

fn is_common(resource: &str) -> bool {
    COMMON.contains(&resource) || resource.starts_with("hugepages-")
}

fn is_schedulable(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready =
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && !cordoned
}

fn taints(node: &Node) -> Vec<model::Taint> {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    taints
        .into_iter()
        .flatten()
        .filter_map(|taint| {
            let effect = match taint.effect.as_str() {
                "NoSchedule" => model::Effect::NoSchedule,
                "NoExecute" => model::Effect::NoExecute,
                "PreferNoSchedule" => model::Effect::PreferNoSchedule,
                _ => return None,
            };
            Some(model::Taint { key: taint.key.clone(), value: taint.value.clone().unwrap_or_default(), effect })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(extra: &Value) -> Arc<Node> {
        let mut node = json!({
            "metadata": {"name": "n"},
            "spec": {},
            "status": {
                "allocatable": {"cpu": "8", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "110", "nvidia.com/gpu": "8"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        node["spec"] = extra.clone();
        Arc::new(serde_json::from_value(node).unwrap())
    }

    fn pod(phase: &str, spec: &Value) -> Arc<Pod> {
        let mut pod = json!({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": phase}});
        pod["spec"]["nodeName"] = json!("n");
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn container(requests: &Value) -> Value {
        json!({"name": "c", "resources": {"requests": requests}})
    }

    fn only(nodes: &[Arc<Node>], pods: &[Arc<Pod>]) -> model::Node {
        planner_nodes(nodes, pods).remove(0)
    }

    #[test]
    fn what_is_free_is_what_no_live_pod_asks_for() {
        let asks = container(&json!({"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "2"}));
        let pods = [
            pod("Running", &json!({"containers": [asks, asks], "overhead": {"cpu": "100m"}})),
            pod("Succeeded", &json!({"containers": [asks]})),
        ];
        let node = only(&[node(&json!({}))], &pods);
        assert_eq!(node.free_accelerators["nvidia.com/gpu"], 4);
        assert_eq!(node.allocatable_accelerators["nvidia.com/gpu"], 8);
        assert_eq!(node.free.cpu_millis, 8000 - 1100);
        assert_eq!(node.free.memory_bytes, 62 << 30);
        assert!(!node.free_accelerators.contains_key("pods"));
    }

    #[test]
    fn cordoned_nodes_and_taints_are_seen() {
        let node =
            only(&[node(&json!({"unschedulable": true, "taints": [{"key": "k", "effect": "NoSchedule"}]}))], &[]);
        assert!(!node.schedulable);
        assert_eq!(node.taints.len(), 1);
    }
}
