//! Not enough accelerators: pending with reasons and numbers; capacity appears; placed without a touch.

use anyhow::ensure;
use roadstead_ground::fake_node::FakeNode;
use roadstead_ground::ground::GPU;
use serde_json::{Value, json};

use super::stage::{SOON, Stage, candidate, condition, deployment, placed_on, tells};

/// The deployment may run on west alone.
fn on_west(spec: Value) -> Value {
    let mut spec = spec;
    spec["placement"] = json!({"clouds": {"allow": ["gcp"]}});
    spec
}

fn pending(stage: &Stage, parts: &[&str]) -> anyhow::Result<()> {
    stage.until("west is said to be too small", SOON, || {
        let object = stage.deployment("big")?;
        let west = candidate(&object, "west")?;
        ensure!(west["reason"] == "InsufficientCapacity", "{west}");
        tells(&west["message"], parts)?;
        ensure!(condition(&object, "Stalled").is_null(), "time can help, so it is not stalled");
        ensure!(condition(&object, "Reconciling")["status"] == "True");
        Ok(())
    })
}

fn placed_untouched(stage: &Stage) -> anyhow::Result<()> {
    let ready = stage.ready("big")?;
    ensure!(placed_on(&ready) == "west", "placed on {}", placed_on(&ready));
    ensure!(ready["metadata"]["generation"] == 1, "somebody touched the object");
    Ok(())
}

pub fn waits_for_free_accelerators(stage: &Stage) -> anyhow::Result<()> {
    let west = stage.ground.member("west")?;
    stage.only_accelerators("west", 1)?;
    stage.apply(&deployment("big", &on_west(json!({"replicas": 2}))))?;
    pending(stage, &["2", "1"])?;
    west.set_accelerators(GPU, 2)?;
    placed_untouched(stage)
}

pub fn waits_for_enough_accelerators_on_one_node(stage: &Stage) -> anyhow::Result<()> {
    let west = stage.ground.member("west")?;
    let one = json!({GPU: "1", "cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "10"});
    let mut nodes = Vec::new();
    for index in 0..7 {
        nodes.push(FakeNode::add(west, &format!("small-{index}"), &json!({}), &one)?);
    }
    stage.only_accelerators("west", 1)?;
    let shape = json!({"shapes": [{"name": "two", "accelerator": {"type": "H100", "count": 2}}]});
    stage.apply(&deployment("big", &on_west(json!({"serving": shape}))))?;
    pending(stage, &["8", "2 H100"])?;
    drop(nodes);
    west.set_accelerators(GPU, 2)?;
    placed_untouched(stage)
}

pub fn waits_for_free_memory(stage: &Stage) -> anyhow::Result<()> {
    let resources = json!({"resources": {"requests": {"memory": "10000Gi"}}});
    stage.apply(&deployment("big", &on_west(json!({"serving": resources}))))?;
    pending(stage, &["memory", "10000 GiB"])?;
    stage.edit("big", &json!({"spec": {"serving": {"resources": {"requests": {"memory": "64Mi"}}}}}))?;
    ensure!(placed_on(&stage.ready("big")?) == "west");
    Ok(())
}
