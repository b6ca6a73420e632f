//! Which of several services serves: by price, by jurisdiction, and by what has room.

use anyhow::{Context, ensure};
use roadstead_clouds::faults::{AfterFailure, Effect};
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{
    HUGGING_FACE, LLAMA, SAGEMAKER, SIMULATED, aws_key, clouds, deployment, fault, held, held_at_hugging_face,
    hugging_face, hugging_face_key, overrides, sagemaker, simulated,
};
use super::stage::{LONG, ServiceStage, SimulatedCloud};

/// The words of SageMaker for a lack of machines.
const NO_MACHINES: &str =
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error.";

/// A hub with both services.
pub fn services(clouds: &Clouds, options: &[String]) -> anyhow::Result<ServiceStage> {
    let stage = ServiceStage::set(&[overrides(clouds), options.to_vec()].concat())?;
    for object in [aws_key(), hugging_face_key(), sagemaker(), hugging_face()] {
        stage.apply(&object)?;
    }
    for target in [SAGEMAKER, HUGGING_FACE] {
        stage.condition(target, "Ready", "True")?;
    }
    Ok(stage)
}

/// The verdict on a target and its cost for an hour.
fn verdict<'a>(status: &'a Value, target: &str) -> anyhow::Result<(&'a str, &'a str)> {
    let candidates = status["candidates"].as_array().context("no candidates")?;
    let of_target = candidates.iter().find(|candidate| candidate["target"] == target);
    let candidate = of_target.with_context(|| format!("{target} is no candidate: {candidates:?}"))?;
    let text = |field: &str| candidate[field].as_str().unwrap_or_default();
    Ok((text("verdict"), text("hourlyCost")))
}

#[test]
fn the_cheapest_allowed_of_three_places_serves_and_a_rule_turns_the_choice() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let cloud = SimulatedCloud::start()?;
    let stage = services(&clouds, std::slice::from_ref(&cloud.option))?;
    stage.apply(&simulated())?;
    stage.condition(SIMULATED, "Ready", "True")?;
    let mut anywhere = deployment(8);
    anywhere["spec"]["placement"] = json!({});
    stage.apply(&anywhere)?;
    let status = stage.served_on(LLAMA, SIMULATED.2)?;
    ensure!(verdict(&status, SIMULATED.2)? == ("Chosen", "40.00"), "{}", status["candidates"]);
    ensure!(verdict(&status, SAGEMAKER.2)? == ("Feasible", "63.30"), "{}", status["candidates"]);
    ensure!(verdict(&status, HUGGING_FACE.2)? == ("Feasible", "80.00"), "{}", status["candidates"]);

    stage.patch(LLAMA, &json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}))?;
    let status = stage.served_on(LLAMA, SAGEMAKER.2)?;
    ensure!(verdict(&status, SIMULATED.2)? == ("Rejected", "40.00"), "{}", status["candidates"]);
    ensure!(status["hourlyCost"] == "63.30" && held(&clouds) == [1, 1, 1], "{status}");

    let taint = json!({"spec": {"taints": [{"key": "contract", "value": "ended", "effect": "Evict"}]}});
    stage.patch(SAGEMAKER, &taint)?;
    let status = stage.served_on(LLAMA, HUGGING_FACE.2)?;
    ensure!(status["hourlyCost"] == "80.00", "{status}");
    ensure!(held(&clouds) == [0, 0, 0], "left at SageMaker: {:?}", held(&clouds));
    ensure!(held_at_hugging_face(&clouds) == 1, "{}", clouds.state(ServiceName::HuggingFace));
    Ok(())
}

#[test]
fn a_place_whose_machines_run_out_late_is_left_and_paid_once() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = services(&clouds, &[])?;
    let late = Effect::FailLate { after_seconds: 3, reason: NO_MACHINES.to_owned(), leaves: AfterFailure::Failed };
    clouds.add_fault(fault(ServiceName::SageMaker, "CreateEndpoint", None, late));
    stage.apply(&deployment(8))?;
    let status = stage.served_on(LLAMA, HUGGING_FACE.2)?;
    ensure!(status["hourlyCost"] == "80.00", "{status}");
    let (verdict, _) = verdict(&status, SAGEMAKER.2)?;
    ensure!(verdict == "Rejected", "{}", status["candidates"]);
    let message = status["candidates"].to_string();
    ensure!(
        message.contains("does not retry it before 20"),
        "it does not say until when the place is left alone: {message}"
    );
    wait("nothing half-made is left", LONG, || {
        ensure!(held(&clouds) == [0, 0, 0], "left at SageMaker: {:?}", held(&clouds));
        Ok(())
    })?;
    let tries = clouds.requests_after(0).into_iter().filter(|asked| asked.operation == "CreateEndpoint").count();
    ensure!(tries == 1, "it was tried {tries} times");
    Ok(())
}

#[test]
fn the_price_that_a_service_states_counts_where_the_target_has_none() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    // The first reading fails: another one follows soon.
    clouds.add_fault(fault(ServiceName::HuggingFace, "hardware", Some(1), Effect::Html { status: 502 }));
    let stage = ServiceStage::set(&overrides(&clouds))?;
    let mut target = hugging_face();
    let unpriced = target["spec"]["offers"][0].as_object_mut().context("an offer")?;
    unpriced.retain(|field, _| field != "hourlyPrice" && field != "maxInstances");
    for object in [hugging_face_key(), target] {
        stage.apply(&object)?;
    }
    let mut bounded = deployment(8);
    bounded["spec"]["placement"]["cost"] = json!({"maxHourlyCost": "90.00"});
    stage.apply(&bounded)?;
    let status = stage.served_on(LLAMA, HUGGING_FACE.2)?;
    ensure!(status["hourlyCost"] == "80.00", "{status}");
    wait("the next check of the target shows what the service states", LONG, || {
        let terms = stage.get(HUGGING_FACE)?["status"]["terms"].clone();
        let stated = (&terms[0]["hourlyPrice"], &terms[0]["quota"], &terms[0]["source"]);
        ensure!(stated == (&json!("80.00"), &json!(8), &json!("HuggingFace")), "{terms}");
        Ok(())
    })
}
