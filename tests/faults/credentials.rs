//! Credentials that cannot be used: said by their field, and nothing that they confirmed before stays true.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::rig::{LONG, Rig, condition, wait};

/// The target that is the hub itself.
pub const HUB: [&str; 2] = ["servingtarget", "hub"];

/// Declares the hub as a member, with this kubeconfig.
pub fn declare(rig: &Rig, kubeconfig: &str) -> anyhow::Result<()> {
    rig.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "roadstead"}}))?;
    rotate(rig, kubeconfig)?;
    rig.apply(&json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "hub"},
        "spec": {
            "cloud": "azure", "region": "germanywestcentral", "type": "Kubernetes", "allowedNamespaces": {},
            "kubernetes": {
                "connection": {"kubeconfigSecretRef": {"name": "hub", "key": "kubeconfig"}},
                "expose": {"type": "NodePort", "public": true},
            },
            "offers": [{
                "name": "h100", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                "capacityType": "OnDemand", "hourlyPrice": "99.00",
            }],
        },
    }))
}

/// Puts another kubeconfig into the Secret of that target.
pub fn rotate(rig: &Rig, kubeconfig: &str) -> anyhow::Result<()> {
    let metadata = json!({"name": "hub", "namespace": "roadstead-system"});
    let data = json!({"kubeconfig": kubeconfig});
    rig.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}))
}

/// The administrator's kubeconfig as a Secret may hold it: without paths.
pub fn kubeconfig(rig: &Rig) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(rig.server.kubeconfig())?;
    let path = rig.server.dir().join("ca.crt");
    let authority = data_encoding::BASE64.encode(&std::fs::read(&path)?);
    let path = format!("certificate-authority: {}", path.display());
    Ok(text.replace(&path, &format!("certificate-authority-data: {authority}")))
}

/// A token with a line break never reaches a header, whenever it comes; and no condition outlives what confirmed it.
pub fn a_token_with_a_line_break_is_said_and_confirms_nothing(rig: &Rig) -> anyhow::Result<()> {
    let good = kubeconfig(rig)?;
    let with = |token: &str| good.replace("token: ground-administrator", &format!("token: \"{token}\""));
    let (broken, ends_with_break) = (with("canary-ground\\nadministrator"), with("ground-administrator\\n"));

    declare(rig, &broken)?;
    refused(rig)?;
    rotate(rig, &ends_with_break)?;
    rig.condition(&HUB, "Ready", "True")?;
    rotate(rig, &broken)?;
    refused(rig)?;

    // What was true when the last process ended is not confirmed by the next.
    rotate(rig, &good)?;
    rig.condition(&HUB, "CredentialsValid", "True")?;
    rig.stop_operator();
    rotate(rig, &broken)?;
    rig.start_operator()?;
    refused(rig)?;
    rig.stop_operator();
    rig.start_operator()?;
    rig.quiet()?;
    refused(rig)?;

    let metrics = rig.http_get(rig.operator.listen, "/metrics")?;
    let panics = metrics.lines().filter(|line| line.starts_with("controller_runtime_reconcile_panics_total"));
    ensure!(panics.clone().all(|line| line.ends_with(" 0")), "{:?}", panics.collect::<Vec<_>>());
    rotate(rig, &good)?;
    rig.condition(&HUB, "Ready", "True").map(drop)
}

/// Waits until the target says which field cannot be used, and nothing of what stands in it.
fn refused(rig: &Rig) -> anyhow::Result<()> {
    wait("the credentials are refused", LONG, || {
        let hub: Value = rig.get(&HUB)?;
        let says = |type_| condition(&hub, type_).with_context(|| format!("no {type_} in {}", hub["status"]));
        let (ready, valid, reachable) = (says("Ready")?, says("CredentialsValid")?, says("Reachable")?);
        ensure!(ready["status"] == "False" && ready["reason"] == "KubeconfigInvalid", "{ready}");
        ensure!(valid["status"] == "False" && reachable["status"] == "Unknown", "{valid} {reachable}");
        let message = ready["message"].as_str().unwrap_or_default();
        ensure!(message.contains("users[].user.token") && !hub["status"].to_string().contains("canary"), "{message}");
        Ok(())
    })
}
