//! A cluster as a member, told what a member can tell: pods that fail every moment, and admission that changes what it is
//! asked for. The hub is its own member; there is no kubelet, and no controller.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::credentials::{HUB, declare, kubeconfig};
use super::objects::deployment;
use super::rig::{LONG, Rig, TEAM, condition, wait};

/// The namespace on the member.
const NAMESPACE: &str = "roadstead";
const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// Makes the hub a member with one node, and places a deployment there; gives the name of its endpoint.
fn placed(rig: &Rig) -> anyhow::Result<String> {
    rig.start_operator()?;
    rig.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}))?;
    rig.kubectl(&["patch", "node", "n1", "-p", r#"{"spec":{"taints":[]}}"#])?;
    let room =
        json!({"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110", "nvidia.com/gpu": "8"});
    let ready = json!([{"type": "Ready", "status": "True", "reason": "Said", "message": ""}]);
    status(rig, "", &["node", "n1"], &json!({"allocatable": room, "capacity": room, "conditions": ready}))?;
    declare(rig, &kubeconfig(rig)?)?;
    rig.condition(&HUB, "Ready", "True")?;
    rig.apply(&deployment())?;
    wait("it is made on the member", LONG, || {
        let all = rig.get(&["deploy", "-n", NAMESPACE])?;
        let name = all["items"][0]["metadata"]["name"].as_str().context("no Deployment")?;
        Ok(name.to_owned())
    })
}

fn namespace(rig: &Rig) -> anyhow::Result<()> {
    rig.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
}

fn status(rig: &Rig, namespace: &str, what: &[&str], status: &Value) -> anyhow::Result<()> {
    let change = json!({"status": status}).to_string();
    let place = if namespace.is_empty() { vec![] } else { vec!["-n", namespace] };
    let args = [&["patch"], what, &place, &["--subresource=status", "--type=merge", "-p", &change]].concat();
    rig.kubectl(&args).map(drop)
}

/// Deletes the deployment and the target; nothing but this lets go of what waits for its pods.
fn left(rig: &Rig) -> anyhow::Result<()> {
    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"])?;
    wait("the deployment is gone", LONG, || {
        for deployment in rig.get(&["deploy", "-n", NAMESPACE])?["items"].as_array().into_iter().flatten() {
            let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
            if deployment["metadata"]["deletionTimestamp"].is_string() {
                let free = r#"{"metadata":{"finalizers":null}}"#;
                rig.kubectl(&["patch", "deploy", name, "-n", NAMESPACE, "--type=merge", "-p", free])?;
            }
        }
        let left = rig.get(&["mdep", "-n", TEAM])?;
        ensure!(left["items"] == json!([]), "left: {left}");
        Ok(())
    })?;
    rig.kubectl(&["delete", "servingtarget", "hub", "--timeout=60s"])?;
    rig.kubectl(&["delete", "node", "n1"]).map(drop)
}

/// Number of writes of each kind since the tape was rewound.
fn counts(rig: &Rig) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for write in rig.tape.writes() {
        let kinds = ["inferenceendpoints", "modeldeployments"];
        let of = |kind: &&str| write.path.split('/').any(|part| part == *kind);
        if let Some(kind) = kinds.into_iter().find(of) {
            *counts.entry(format!("{} {kind}", write.method)).or_default() += 1;
        }
    }
    counts
}

/// Number of writes of Deployments by verb, according to the server, including those without a change.
fn member_writes(rig: &Rig) -> anyhow::Result<BTreeMap<String, u64>> {
    let metrics = rig.kubectl(&["get", "--raw", "/metrics"])?;
    let mut counts = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| line.split(&format!("{name}=\"")).nth(1)?.split('"').next();
        let whole = label("resource") == Some("deployments") && label("subresource") == Some("");
        let verb = label("verb").unwrap_or_default().to_owned();
        if whole && label("dry_run") == Some("") && ["POST", "PUT", "PATCH", "APPLY"].contains(&verb.as_str()) {
            *counts.entry(verb).or_default() += line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(counts)
}

/// Sets the status of a Deployment as the member's controllers do, with this many ready replicas.
fn say_ready(rig: &Rig, name: &str, ready: i32) -> anyhow::Result<()> {
    let said = json!({
        "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": ready, "availableReplicas": ready,
    });
    status(rig, NAMESPACE, &["deploy", name], &said)
}

/// A pod of the endpoint that a node evicts at once.
fn evicted(rig: &Rig, name: &str, number: usize) -> anyhow::Result<()> {
    let labels = rig.get(&["deploy", name, "-n", NAMESPACE])?["spec"]["template"]["metadata"]["labels"].clone();
    let pod = format!("{name}-{number}");
    rig.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": NAMESPACE, "labels": labels},
        "spec": {"nodeName": "n1", "containers": [{"name": "engine", "image": "vllm:1"}]},
    }))?;
    let said = format!("The node was low on resource: ephemeral-storage. Container engine was using {number}Gi.");
    status(rig, NAMESPACE, &["pod", &pod], &json!({"phase": "Failed", "reason": "Evicted", "message": said}))
}

/// Pods are evicted again and again: the reason, the number and the cure are said, and few writes say so.
pub fn evictions_are_told_in_few_writes(rig: &Rig) -> anyhow::Result<()> {
    namespace(rig)?;
    let name = placed(rig)?;
    rig.quiet()?;
    rig.tape.rewind(None);
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < Duration::from_secs(14) {
        evicted(rig, &name, number)?;
        say_ready(rig, &name, 0)?;
        number += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let counts = counts(rig);
    eprintln!("  {number} evictions: {counts:?}");
    for (kind, count) in &counts {
        ensure!(*count <= 4, "{number} evictions took {count} times {kind}");
    }
    let endpoint = rig.get(&["iep", &name, "-n", TEAM])?;
    for object in [endpoint, rig.get(&LLAMA)?] {
        let ready = condition(&object, "Ready").context("no condition")?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(ready["reason"] == "Evicted", "{ready}");
        ensure!(message.contains("failed within 10 minutes") && message.contains("ephemeral-storage"), "{ready}");
    }
    rig.kubectl(&["delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0"])?;
    flapping(rig, &name)?;
    left(rig)
}

/// Replicas that are ready and lost again every moment are real news each time; even so the writes are bounded.
fn flapping(rig: &Rig, name: &str) -> anyhow::Result<()> {
    rig.tape.rewind(None);
    let start = Instant::now();
    let mut turns = 0;
    while start.elapsed() < Duration::from_secs(20) {
        say_ready(rig, name, if turns % 2 == 0 { 2 } else { 0 })?;
        turns += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let counts = counts(rig);
    eprintln!("  {turns} turns: {counts:?}");
    ensure!(counts.values().all(|count| *count <= 14), "{turns} turns took {counts:?}");
    Ok(())
}

/// A policy on the member changes the image of whatever is written: nothing is written again, the change is named once,
/// and what is changed by hand is put right.
pub fn admission_is_accepted_and_settled_is_silent(rig: &Rig) -> anyhow::Result<()> {
    namespace(rig)?;
    let rules = json!([{
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
    }]);
    let image = "/spec/template/spec/containers/0/image";
    let patch = format!(r#"[JSONPatch{{op: "replace", path: "{image}", value: "mirror.example/engine:1"}}]"#);
    let policy = |kind: &str, spec: Value| {
        let api = "admissionregistration.k8s.io/v1";
        rig.apply(&json!({"apiVersion": api, "kind": kind, "metadata": {"name": "mirror"}, "spec": spec}))
    };
    policy(
        "MutatingAdmissionPolicy",
        json!({
            "matchConstraints": {"resourceRules": rules}, "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
        }),
    )?;
    policy("MutatingAdmissionPolicyBinding", json!({"policyName": "mirror"}))?;
    wait("the policy is in force", LONG, || {
        let args = ["create", "deployment", "probe", "--image=a", "-n", NAMESPACE, "--dry-run=server", "-o", "yaml"];
        ensure!(rig.kubectl(&args)?.contains("mirror.example"), "not yet");
        Ok(())
    })?;
    let result = under_admission(rig);
    rig.kubectl(&["delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", "mirror"])?;
    result?;
    left(rig)
}

/// A policy on the member refuses Services alone: the Deployment, which was made before, is on record all the same.
pub fn refused_services_do_not_hide_what_runs(rig: &Rig) -> anyhow::Result<()> {
    namespace(rig)?;
    let policy = |kind: &str, spec: Value| {
        let api = "admissionregistration.k8s.io/v1";
        rig.apply(&json!({"apiVersion": api, "kind": kind, "metadata": {"name": "no-services"}, "spec": spec}))
    };
    let rules =
        json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}]);
    let no = json!([{"expression": "false", "message": "no Services here"}]);
    policy(
        "ValidatingAdmissionPolicy",
        json!({"matchConstraints": {"resourceRules": rules}, "failurePolicy": "Fail", "validations": no}),
    )?;
    policy("ValidatingAdmissionPolicyBinding", json!({"policyName": "no-services", "validationActions": ["Deny"]}))?;
    wait("the policy is in force", LONG, || {
        let args = ["create", "service", "clusterip", "probe", "--tcp=80", "-n", NAMESPACE, "--dry-run=server"];
        ensure!(rig.kubectl(&args).is_err(), "not yet");
        Ok(())
    })?;
    let result = without_services(rig);
    rig.kubectl(&["delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "no-services"])?;
    result?;
    left(rig)
}

fn without_services(rig: &Rig) -> anyhow::Result<()> {
    let name = placed(rig)?;
    let uid = rig.get(&["deploy", &name, "-n", NAMESPACE])?["metadata"]["uid"].clone();
    wait("the record names what was made", LONG, || {
        let status = rig.get(&["iep", &name, "-n", TEAM])?["status"].clone();
        let ready = condition(&json!({"status": status}), "Ready").context("no condition")?;
        ensure!(ready["reason"] == "AdmissionRefused" && status["externalID"]["uid"] == uid, "{status}");
        Ok(())
    })?;
    // What runs beside the refusal is billed.
    say_ready(rig, &name, 0)?;
    wait("it shows what it costs", LONG, || {
        let cost = rig.get(&["iep", &name, "-n", TEAM])?["spec"]["hourlyCost"].clone();
        let status = rig.get(&["mdep", "llama", "-n", TEAM])?["status"].clone();
        ensure!(cost.is_string() && status["hourlyCost"] == cost, "{cost}: {status}");
        Ok(())
    })
}

fn under_admission(rig: &Rig) -> anyhow::Result<()> {
    let before = member_writes(rig)?;
    let name = placed(rig)?;
    rig.quiet()?;
    let on_member = || -> anyhow::Result<Value> { rig.get(&["deploy", &name, "-n", NAMESPACE]) };
    for round in 0..5 {
        let at = json!({"metadata": {"annotations": {"roadstead.dev/requestedAt": round.to_string()}}}).to_string();
        rig.kubectl(&["patch", "mdep", "llama", "-n", TEAM, "--type=merge", "-p", &at])?;
        rig.quiet()?;
    }
    rig.stop_operator();
    rig.start_operator()?;
    rig.quiet()?;
    let mut written = member_writes(rig)?;
    for (verb, count) in &mut written {
        *count -= before.get(verb).copied().unwrap_or_default();
    }
    written.retain(|_, count| *count > 0);
    ensure!(written == BTreeMap::from([("POST".to_owned(), 1)]), "it was written again and again: {written:?}");
    ensure!(on_member()?["metadata"]["generation"] == 1, "pods were started anew");

    let endpoint = rig.get(&["iep", &name, "-n", TEAM])?;
    let told = condition(&endpoint, "ChangedByAdmission").context("it is not told")?;
    let message = told["message"].as_str().unwrap_or_default();
    ensure!(message.contains("spec.template.spec.containers[engine].image"), "{told}");
    let events = rig.kubectl(&["get", "events.events.k8s.io", "-n", TEAM, "-o", "jsonpath={.items[*].reason}"])?;
    let times = events.split(' ').filter(|reason| *reason == "ChangedByAdmission").count();
    ensure!(times == 1, "told {times} times: {events}");

    rig.kubectl(&["scale", "deploy", &name, "-n", NAMESPACE, "--replicas=5"])?;
    wait("what was scaled by hand is put right", LONG, || {
        let spec = on_member()?["spec"].clone();
        ensure!(spec["replicas"] == 2, "{}", spec["replicas"]);
        let image = &spec["template"]["spec"]["containers"][0]["image"];
        ensure!(image == "mirror.example/engine:1", "{image}");
        Ok(())
    })
}
