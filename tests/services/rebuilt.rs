//! A hub that is lost: its successor adopts what runs at the services, and lists what has no deployment any more.

use anyhow::{Context, ensure};
use roadstead_clouds::ServiceName;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::choice::services;
use super::places::{
    HUGGING_FACE, LLAMA, SAGEMAKER, aws_key, clouds, deployment, held, held_at_hugging_face, hugging_face,
    hugging_face_key, overrides, sagemaker,
};
use super::stage::{Key, LONG, ServiceStage, TEAM};

/// The deployment at Hugging Face.
const OTHER: Key = ("mdep", TEAM, "other");

fn other() -> Value {
    let mut other = deployment(8);
    other["metadata"]["name"] = json!(OTHER.2);
    other["spec"]["placement"]["targetSelector"] = json!({"matchLabels": {"place": HUGGING_FACE.2}});
    other
}

#[test]
fn what_runs_is_adopted_and_what_nobody_wants_is_listed_with_its_cost() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let hub = services(&clouds, &[])?;
    hub.apply(&deployment(8))?;
    hub.apply(&other())?;
    hub.served_on(LLAMA, SAGEMAKER.2)?;
    hub.served_on(OTHER, HUGGING_FACE.2)?;
    let uid = hub.get(("namespace", "", "kube-system"))?["metadata"]["uid"].clone();
    drop(hub);
    let before = clouds.requests_after(0).len();

    // The successor starts with the targets, and one of the two deployments.
    let takeover = format!("--takeover={}", uid.as_str().context("no UID")?);
    let hub =
        ServiceStage::set(&[overrides(&clouds), vec![takeover, "--orphan-interval-seconds=2".to_owned()]].concat())?;
    for object in [aws_key(), hugging_face_key(), sagemaker(), hugging_face(), deployment(8)] {
        hub.apply(&object)?;
    }
    hub.served_on(LLAMA, SAGEMAKER.2)?;
    let listed: Value = wait("the other one is listed", LONG, || {
        let report: Value = serde_json::from_str(&hub.roadstead(&["orphans", "-o", "json"])?)?;
        ensure!(report["orphans"][0]["target"] == HUGGING_FACE.2 && report["notSwept"] == json!([]), "{report}");
        Ok(report)
    })?;
    ensure!(listed["orphans"][1].is_null() && listed["hourlyCost"] == "80.00", "{listed}");

    hub.apply(&other())?;
    hub.served_on(OTHER, HUGGING_FACE.2)?;
    wait("nothing is listed", LONG, || {
        let report: Value = serde_json::from_str(&hub.roadstead(&["orphans", "-o", "json"])?)?;
        ensure!(report["orphans"] == json!([]), "{report}");
        Ok(())
    })?;
    let is_creation = |operation: &str| operation.starts_with("Create") || operation == "create";
    let made = clouds.requests_after(before).into_iter().find(|asked| is_creation(&asked.operation));
    ensure!(made.is_none(), "something was made again: {made:?}");
    ensure!(held(&clouds) == [1, 1, 1], "held: {:?}", held(&clouds));
    ensure!(held_at_hugging_face(&clouds) == 1, "{}", clouds.state(ServiceName::HuggingFace));
    Ok(())
}
