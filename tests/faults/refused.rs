//! A hub that refuses what the operator writes: the object says so at once, and what to correct.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::crash_sweep::begin;
use super::objects::deployment;
use super::rig::{LONG, Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// A policy on the hub refuses endpoints at first, then the Secrets of their keys: the deployment, which is new, tells of
/// each, once, and serves when the policy is gone.
pub fn writes_show_on_the_object_at_once(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, false)?;
    refuse(rig, &[("roadstead.dev", "v1alpha1", "inferenceendpoints"), ("", "v1", "secrets")])?;
    policy(rig, "ValidatingAdmissionPolicyBinding", &json!({"policyName": "no", "validationActions": ["Deny"]}))?;
    wait("the policy is in force", LONG, || {
        let probe = rig.kubectl(&["create", "secret", "generic", "probe", "-n", TEAM, "--dry-run=server"]);
        ensure!(probe.is_err(), "not yet");
        Ok(())
    })?;
    let result = told(rig);
    rig.kubectl(&["delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "no"])?;
    result?;
    rig.condition(&LLAMA, "Ready", "True")?;
    ensure!(events(rig)? == 2, "one event of each refusal, not {}", events(rig)?);
    Ok(())
}

fn told(rig: &Rig) -> anyhow::Result<()> {
    rig.apply(&deployment())?;
    says(rig, &LLAMA, "the hub refuses to create InferenceEndpoint team/llama-")?;
    let reconciling = condition(&rig.get(&LLAMA)?, "Reconciling").context("no condition Reconciling")?;
    ensure!(reconciling["status"] == "True" && reconciling["reason"] == "HubRefused", "{reconciling}");

    refuse(rig, &[("", "v1", "secrets")])?;
    let endpoint = wait("the endpoint is on record", LONG, || {
        let all = rig.get(&["iep", "-n", TEAM])?;
        Ok(all["items"][0]["metadata"]["name"].as_str().context("no endpoint")?.to_owned())
    })?;
    let refused = "the hub refuses to create Secret team/llama-";
    says(rig, &["iep", &endpoint, "-n", TEAM], refused)?;
    says(rig, &LLAMA, refused)
}

/// Has a policy on the hub refuse the creation of these resources.
fn refuse(rig: &Rig, resources: &[(&str, &str, &str)]) -> anyhow::Result<()> {
    let rule = |(group, version, resource): &(&str, &str, &str)| json!({"apiGroups": [group], "apiVersions": [version], "operations": ["CREATE"], "resources": [resource]});
    let rules: Vec<Value> = resources.iter().map(rule).collect();
    policy(
        rig,
        "ValidatingAdmissionPolicy",
        &json!({
            "matchConstraints": {"resourceRules": rules}, "failurePolicy": "Fail",
            "validations": [{"expression": "false", "message": "no more of these"}],
        }),
    )
}

fn policy(rig: &Rig, kind: &str, spec: &Value) -> anyhow::Result<()> {
    let api = "admissionregistration.k8s.io/v1";
    rig.apply(&json!({"apiVersion": api, "kind": kind, "metadata": {"name": "no"}, "spec": spec}))
}

/// Waits until the object says that the hub refuses, in which words, and what to correct.
fn says(rig: &Rig, object: &[&str], refused: &str) -> anyhow::Result<()> {
    wait(&format!("{object:?} says: {refused}"), LONG, || {
        let ready = condition(&rig.get(object)?, "Ready").context("no condition Ready")?;
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(ready["status"] == "False" && ready["reason"] == "HubRefused", "{ready}");
        ensure!(message.starts_with(refused) && message.contains("no more of these"), "{ready}");
        ensure!(
            message.ends_with("correct the quota, the admission policy or the operator's rights on the hub"),
            "{ready}"
        );
        Ok(())
    })
}

/// Events of refusals about the deployment.
fn events(rig: &Rig) -> anyhow::Result<usize> {
    let reasons = "jsonpath={range .items[?(@.regarding.kind==\"ModelDeployment\")]}{.reason}{\" \"}{end}";
    let all = rig.kubectl(&["get", "events.events.k8s.io", "-n", TEAM, "-o", reasons])?;
    Ok(all.split(' ').filter(|reason| *reason == "HubRefused").count())
}
