//! A pod's requests to its node, by the formula of the Kubernetes scheduler (`PodRequests` of
//! k8s.io/component-helpers).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use roadstead_api::v1alpha1::quantity;

/// Amounts by resource name: thousandths of a core for `cpu`, whole units for everything else.
pub type Amounts = BTreeMap<String, u64>;

/// Requests of a pod: those of its containers (the largest of wanted, allocated and actual during a resize), or its own
/// requests on pod level, if it has any, and its overhead.
///
/// Requests on pod level count as the spec has them: the types of the oldest supported Kubernetes do not hold the
/// resize of those.
#[must_use]
pub fn requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let statuses = Statuses::of(pod);
    let mut total = aggregate(spec, |container| statuses.allocated(container));
    greater(&mut total, aggregate(spec, |container| statuses.actual(container)));
    if !statuses.infeasible {
        greater(&mut total, aggregate(spec, wanted));
    }
    let pod_level = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    total.extend(amounts(pod_level).into_iter().filter(|(resource, _)| has_pod_level(resource)));
    add(&mut total, &amounts(spec.overhead.as_ref()));
    total
}

/// Amounts of a resource list. What cannot be read counts as nothing; the API server lets none in.
#[must_use]
pub fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> Amounts {
    let read = |resource: &str, amount: &Quantity| {
        if resource == "cpu" { quantity::millis(amount) } else { quantity::units(amount) }.unwrap_or(0)
    };
    quantities.into_iter().flatten().map(|(resource, amount)| (resource.clone(), read(resource, amount))).collect()
}

/// Adds amounts to others.
pub fn add(total: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        let sum = total.entry(resource.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

/// Raises each amount to that of `other`.
fn greater(total: &mut Amounts, other: Amounts) {
    for (resource, amount) in other {
        let largest = total.entry(resource).or_default();
        *largest = (*largest).max(amount);
    }
}

/// True if a request on pod level replaces those of the containers.
fn has_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

/// The containers of a pod together: those that run side by side, or the moment of its start that needs more.
///
/// An init container runs beside the restartable ones before it; those run on beside the containers.
fn aggregate(spec: &PodSpec, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &of(container));
    }
    let (mut restartable, mut start) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let asked = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut total, &asked);
            add(&mut restartable, &asked);
            greater(&mut start, restartable.clone());
        } else {
            let mut moment = restartable.clone();
            add(&mut moment, &asked);
            greater(&mut start, moment);
        }
    }
    greater(&mut total, start);
    total
}

fn wanted(container: &Container) -> Amounts {
    amounts(container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

/// The kubelet's report of a pod's containers.
struct Statuses<'a> {
    containers: Vec<&'a ContainerStatus>,
    /// The node can never satisfy the resize: only the current resources count.
    infeasible: bool,
}

impl<'a> Statuses<'a> {
    fn of(pod: &'a Pod) -> Self {
        let Some(status) = &pod.status else { return Self { containers: Vec::new(), infeasible: false } };
        let lists = [&status.container_statuses, &status.init_container_statuses];
        let conditions = status.conditions.iter().flatten();
        let pending = conditions.into_iter().find(|condition| condition.type_ == "PodResizePending");
        Self {
            containers: lists.into_iter().flatten().flatten().collect(),
            infeasible: pending.is_some_and(|pending| pending.reason.as_deref() == Some("Infeasible")),
        }
    }

    fn find(&self, container: &Container) -> Option<&'a ContainerStatus> {
        self.containers.iter().find(|status| status.name == container.name).copied()
    }

    /// Resources that the kubelet has allocated to the container.
    fn allocated(&self, container: &Container) -> Amounts {
        match self.find(container).and_then(|status| status.allocated_resources.as_ref()) {
            Some(allocated) => amounts(Some(allocated)),
            None if self.infeasible => Amounts::new(),
            None => wanted(container),
        }
    }

    /// Resources in force for the container.
    fn actual(&self, container: &Container) -> Amounts {
        let status = self.find(container);
        match status.and_then(|status| status.resources.as_ref()?.requests.as_ref()) {
            Some(requests) => amounts(Some(requests)),
            None => self.allocated(container),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A container that asks for this many cores.
    fn container(name: &str, cpu: u32) -> Value {
        json!({"name": name, "resources": {"requests": {"cpu": cpu.to_string()}}})
    }

    /// An init container that runs on.
    fn restartable(name: &str, cpu: u32) -> Value {
        let mut container = container(name, cpu);
        container["restartPolicy"] = json!("Always");
        container
    }

    fn status(name: &str, allocated: &Value, actual: &Value) -> Value {
        let mut status = json!({"name": name, "image": "", "imageID": "", "ready": true, "restartCount": 0});
        if !allocated.is_null() {
            status["allocatedResources"] = allocated.clone();
        }
        if !actual.is_null() {
            status["resources"] = json!({"requests": actual});
        }
        status
    }

    fn asked(spec: &Value, status: &Value) -> Amounts {
        let mut spec = spec.clone();
        if spec.get("containers").is_none() {
            spec["containers"] = json!([]);
        }
        requests(&serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec, "status": status})).unwrap())
    }

    fn cpu(spec: &Value, status: &Value) -> u64 {
        asked(spec, status).get("cpu").copied().unwrap_or(0) / 1_000
    }

    #[test]
    fn init_containers_count_with_the_restartable_ones_before_them() {
        let one = || container("c", 1);
        for (init, containers, expected, what) in [
            (json!([container("i", 4)]), json!([one()]), 4, "a larger init container"),
            (json!([container("i", 2)]), json!([container("a", 2), container("b", 3)]), 5, "larger containers"),
            (json!([restartable("r", 1)]), json!([one()]), 2, "a restartable one runs beside"),
            (
                json!([container("i", 5), restartable("a", 1), restartable("b", 2), restartable("c", 3)]),
                json!([one()]),
                7,
                "all restartable ones run beside",
            ),
            (
                json!([
                    container("i", 5),
                    restartable("a", 1),
                    restartable("b", 2),
                    container("j", 5),
                    restartable("c", 3)
                ]),
                json!([one()]),
                8,
                "an init container and those before it",
            ),
            (
                json!([restartable("r", 10), container("i", 200)]),
                json!([container("c", 100)]),
                210,
                "the start is more",
            ),
        ] {
            assert_eq!(cpu(&json!({"initContainers": init, "containers": containers}), &json!({})), expected, "{what}");
        }
    }

    #[test]
    fn requests_on_pod_level_replace_those_of_the_containers_and_overhead_is_added() {
        let containers =
            json!([{"name": "c", "resources": {"requests": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "2"}}}]);
        let pod = |requests: Value| json!({"containers": containers, "resources": {"requests": requests}});
        let found = asked(&pod(json!({"cpu": "8", "memory": "64Gi", "hugepages-2Mi": "4Mi"})), &json!({}));
        assert_eq!((found["cpu"], found["memory"], found["hugepages-2Mi"]), (8_000, 64 << 30, 4 << 20));
        assert_eq!(found["nvidia.com/gpu"], 2, "devices are asked for by containers alone");
        let found = asked(&pod(json!({"memory": "64Gi"})), &json!({}));
        assert_eq!((found["cpu"], found["memory"]), (2_000, 64 << 30));
        let found = asked(&pod(json!({"nvidia.com/gpu": "8", "ephemeral-storage": "1Gi"})), &json!({}));
        assert_eq!((found["nvidia.com/gpu"], found.get("ephemeral-storage")), (2, None), "not supported on pod level");
        let bare =
            json!({"containers": [{"name": "c"}], "resources": {"requests": {"cpu": "8"}}, "overhead": {"cpu": "1"}});
        assert_eq!(cpu(&bare, &json!({})), 9);
    }

    #[test]
    fn a_resized_pod_counts_with_the_most_of_wanted_allocated_and_actual() {
        let spec = |cpu: u32| json!({"containers": [container("c", cpu)]});
        let infeasible = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        let deferred = json!([{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]);
        let null = Value::Null;
        let cores = |cpu: u32| json!({"cpu": cpu.to_string()});
        for (wanted, allocated, actual, conditions, expected, what) in [
            (4, null.clone(), cores(2), &null, 4, "resized up, no status yet"),
            (2, cores(4), cores(4), &null, 4, "resized down, still in force"),
            (4, null.clone(), cores(2), &infeasible, 2, "infeasible: what is there"),
            (6, cores(4), cores(2), &infeasible, 4, "infeasible while another is in progress"),
            (6, cores(4), cores(4), &deferred, 6, "deferred: the node keeps room for it"),
        ] {
            let status = json!({"containerStatuses": [status("c", &allocated, &actual)], "conditions": conditions});
            assert_eq!(cpu(&spec(wanted), &status), expected, "{what}");
        }
        let running = json!({
            "initContainerStatuses": [status("r", &Value::Null, &cores(2))], "conditions": infeasible,
        });
        assert_eq!(cpu(&json!({"initContainers": [restartable("r", 4)]}), &running), 2, "a restartable init container");
    }

    #[test]
    fn the_most_is_taken_of_sums_and_for_each_resource() {
        let two = json!({"containers": [container("a", 1), container("b", 2)]});
        let status_of_two = json!({"containerStatuses": [
            status("a", &json!({"cpu": "2"}), &Value::Null), status("b", &json!({"cpu": "1"}), &Value::Null),
        ]});
        assert_eq!(cpu(&two, &status_of_two), 3, "not the sum of the most of each container");
        let spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "30m", "memory": "20M", "ephemeral-storage": "10G"}}}]});
        let status = json!({"containerStatuses": [status(
            "c",
            &json!({"cpu": "20m", "memory": "10M", "ephemeral-storage": "30G"}),
            &json!({"cpu": "10m", "memory": "30M", "ephemeral-storage": "20G"}),
        )]});
        let found = asked(&spec, &status);
        assert_eq!((found["cpu"], found["memory"], found["ephemeral-storage"]), (30, 30_000_000, 30_000_000_000));
    }
}
