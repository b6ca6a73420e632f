//! An endpoint behind a load balancer. No controller makes one here, so its answer is written by hand.

use anyhow::ensure;
use serde_json::json;

use super::stage::{SOON, Stage, condition, deployment};

pub fn uses_the_address_of_a_load_balancer(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    let before = stage.ready("llama")?;
    let endpoint = before["status"]["placements"][0]["endpoint"].as_str().unwrap_or_default().to_owned();

    // How a target exposes its endpoints changes their Services in place.
    let east = stage.ground.member("east")?;
    let expose = json!({"type": "LoadBalancer", "public": false, "loadBalancer": {"sourceRanges": ["198.18.0.0/15"]}});
    let change = json!({"spec": {"kubernetes": {"expose": expose}}}).to_string();
    stage.ground.hub.kubectl(&["patch", "servingtarget", "east", "--type=merge", "-p", &change])?;
    stage.until("the Service is a load balancer, for the given sources alone", SOON, || {
        let spec = east.get("svc", "roadstead", &endpoint)?["spec"].clone();
        let sources = &spec["loadBalancerSourceRanges"];
        ensure!(spec["type"] == "LoadBalancer" && *sources == json!(["198.18.0.0/15"]), "{spec}");
        Ok(())
    })?;
    stage.until("it waits for an address", SOON, || {
        let ready = condition(&stage.deployment("llama")?, "Ready");
        ensure!(ready["reason"] == "AwaitingAddress", "{ready}");
        Ok(())
    })?;
    let node = east.network().node();
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": node, "ipMode": "VIP"}]}}}).to_string();
    east.kubectl(&[
        "patch",
        "svc",
        &endpoint,
        "-n",
        "roadstead",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ])?;
    let after = stage.ready("llama")?;
    let url = after["status"]["placements"][0]["url"].clone();
    ensure!(url == format!("http://{node}:8000"), "{url}");
    ensure!(stage.ask("llama")?.status == 200);
    Ok(())
}
