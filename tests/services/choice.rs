//! Which of several services serves: by price, by jurisdiction, and by what has room.

use std::cell::RefCell;
use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use k8s_openapi::jiff::Timestamp;
use roadstead_clouds::faults::{AfterFailure, Effect};
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{
    HUGGING_FACE, LLAMA, SAGEMAKER, SIMULATED, THROUGHPUT, aws_key, clouds, deployment, deployment_of_units, fault,
    held, held_at_hugging_face, hugging_face, hugging_face_key, overrides, sagemaker, simulated, throughput,
};
use super::stage::{LONG, ServiceStage, SimulatedCloud, TEAM, cents, serves_on};

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

/// The candidate with this offer at a target.
fn candidate<'a>(status: &'a Value, target: &str) -> anyhow::Result<&'a Value> {
    let candidates = status["candidates"].as_array().context("no candidates")?;
    let of_target = candidates.iter().find(|candidate| candidate["target"] == target && !candidate["offer"].is_null());
    of_target.with_context(|| format!("{target} is no candidate: {candidates:?}"))
}

/// The verdict on a target and its cost for an hour.
fn verdict<'a>(status: &'a Value, target: &str) -> anyhow::Result<(&'a str, &'a str)> {
    let candidate = candidate(status, target)?;
    let text = |field: &str| candidate[field].as_str().unwrap_or_default();
    Ok((text("verdict"), text("hourlyCost")))
}

/// The reason of the verdict on a target.
fn message<'a>(status: &'a Value, target: &str) -> anyhow::Result<&'a str> {
    candidate(status, target)?["message"].as_str().context("no message")
}

/// The simulated target, which stands for a cluster here (those of the end-to-end tests are real): a node has sixteen accelerators and
/// costs 80 dollars.
fn large_nodes() -> Value {
    let mut target = simulated();
    target["spec"]["offers"][0]["accelerator"]["count"] = json!(16);
    target["spec"]["offers"][0]["hourlyPrice"] = json!("80.00");
    target
}

/// The target at Bedrock, where two model units, which the deployment needs, cost 90 dollars.
fn dear_units() -> Value {
    let mut target = throughput();
    target["spec"]["offers"][0]["hourlyPrice"] = json!("90.00");
    target
}

#[test]
fn the_cheapest_allowed_of_three_places_serves_and_a_rule_turns_the_choice() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let cloud = SimulatedCloud::start()?;
    let stage = services(&clouds, std::slice::from_ref(&cloud.option))?;
    for target in [large_nodes(), dear_units()] {
        stage.apply(&target)?;
    }
    for target in [SIMULATED, THROUGHPUT] {
        stage.condition(target, "Ready", "True")?;
    }
    let mut anywhere = deployment_of_units();
    anywhere["spec"]["placement"] = json!({});
    stage.apply(&anywhere)?;
    let status = stage.served_on(LLAMA, SIMULATED.2)?;
    // Half a node, an instance, another one, and two units.
    ensure!(verdict(&status, SIMULATED.2)? == ("Chosen", "40.00"), "{}", status["candidates"]);
    ensure!(verdict(&status, SAGEMAKER.2)? == ("Feasible", "63.30"), "{}", status["candidates"]);
    ensure!(verdict(&status, HUGGING_FACE.2)? == ("Feasible", "80.00"), "{}", status["candidates"]);
    ensure!(verdict(&status, THROUGHPUT.2)? == ("Feasible", "90.00"), "{}", status["candidates"]);
    for (target, words) in [
        (SAGEMAKER, "costs $63.30/h, $23.30/h more than the chosen place"),
        (HUGGING_FACE, "costs $80.00/h, $40.00/h more than the chosen place"),
        (THROUGHPUT, "costs $90.00/h, $50.00/h more than the chosen place"),
    ] {
        ensure!(message(&status, target.2)?.contains(words), "{}", status["candidates"]);
    }
    ensure!(message(&status, SIMULATED.2)?.contains("$40.00/h"), "{}", status["candidates"]);
    let shown = stage.roadstead(&["status", LLAMA.2, "-n", TEAM])?;
    ensure!(shown.contains("cost: $40.00/h for 1 endpoint"), "{shown}");

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

/// Times of the requests to create an endpoint at SageMaker, as they are signed: `20260801T120000Z`.
fn tries(clouds: &Clouds) -> Vec<String> {
    let creations = clouds.requests_after(0).into_iter().filter(|asked| asked.operation == "CreateEndpoint");
    let dates = creations.flat_map(|asked| asked.headers).filter(|(name, _)| name == "x-amz-date");
    dates.map(|(_, date)| date).collect()
}

/// Time until which the message says that the place is left alone.
fn left_alone_until(message: &str) -> anyhow::Result<Timestamp> {
    let (_, time) = message.split_once("does not retry it before ").with_context(|| format!("no time: {message}"))?;
    let time = time.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-:".contains(letter)).next();
    Ok(time.unwrap_or_default().parse()?)
}

/// The cost that a deployment shows, in cents, if it is that of each of its endpoints once.
fn counted_once(status: &Value) -> anyhow::Result<Option<u64>> {
    if status["hourlyCost"].is_null() {
        return Ok(None);
    }
    let all = || ["placements", "releasing"].into_iter().flat_map(|list| status[list].as_array().into_iter().flatten());
    let parts = all().map(|part| cents(&part["hourlyCost"])).collect::<anyhow::Result<Vec<u64>>>()?;
    let names: BTreeSet<&str> = all().filter_map(|part| part["endpoint"].as_str()).collect();
    let sum = cents(&status["hourlyCost"])?;
    let is_once = names.len() == parts.len() && parts.iter().sum::<u64>() == sum;
    // An error would be waited for.
    assert!(is_once, "{sum} cents are not the cost of each endpoint once: {status}");
    Ok(Some(sum))
}

#[test]
fn a_place_whose_machines_run_out_late_is_left_until_a_stated_time_and_paid_once() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = services(&clouds, &[])?;
    let late = Effect::FailLate { after_seconds: 3, reason: NO_MACHINES.to_owned(), leaves: AfterFailure::Failed };
    clouds.add_fault(fault(ServiceName::SageMaker, "CreateEndpoint", None, late));
    let begin = Timestamp::now();
    stage.apply(&deployment(8))?;
    let seen = RefCell::new(BTreeSet::new());
    let status = wait("it serves at the next place", LONG, || {
        let object = stage.get(LLAMA)?;
        seen.borrow_mut().extend(counted_once(&object["status"])?);
        ensure!(serves_on(&object, HUGGING_FACE.2), "{}", object["status"]);
        Ok(object["status"].clone())
    })?;
    ensure!(status["hourlyCost"] == "80.00", "{status}");
    let seen = seen.into_inner();
    ensure!(seen.is_superset(&BTreeSet::from([6330, 8000])), "only these costs were seen, in cents: {seen:?}");
    wait("nothing half-made is left", LONG, || {
        ensure!(held(&clouds) == [0, 0, 0], "left at SageMaker: {:?}", held(&clouds));
        Ok(())
    })?;
    let billed = clouds.state(ServiceName::SageMaker)[0]["billedInstanceSeconds"].clone();
    ensure!(billed == 0, "SageMaker billed {billed} s of what never ran");
    let billed = clouds.state(ServiceName::HuggingFace)["billedReplicaSeconds"].as_i64().context("no bill")?;
    let passed = Timestamp::now().as_second() - begin.as_second();
    ensure!(billed <= passed, "Hugging Face billed {billed} s in {passed} s");

    // With nowhere else to go, it waits for the stated time.
    let until = left_alone_until(message(&status, SAGEMAKER.2)?)?;
    ensure!(verdict(&status, SAGEMAKER.2)?.0 == "Rejected" && until > Timestamp::now(), "{}", status["candidates"]);
    clouds.set_faults(Vec::new());
    let taint = json!({"spec": {"taints": [{"key": "contract", "value": "ended", "effect": "Evict"}]}});
    stage.patch(HUGGING_FACE, &taint)?;
    wait("both places are rejected", LONG, || {
        let status = stage.get(LLAMA)?["status"].clone();
        let rejected = |target: &str| verdict(&status, target).is_ok_and(|(verdict, _)| verdict == "Rejected");
        ensure!(rejected(SAGEMAKER.2) && rejected(HUGGING_FACE.2), "{}", status["candidates"]);
        ensure!(left_alone_until(message(&status, SAGEMAKER.2)?)? == until, "{}", status["candidates"]);
        Ok(())
    })?;
    ensure!(tries(&clouds).len() == 1, "it was tried before {until}: {:?}", tries(&clouds));

    // Minutes are shortened to seconds.
    let mut exhausted = stage.get(SAGEMAKER)?["status"]["exhausted"].clone();
    let sooner = Timestamp::from_second(Timestamp::now().as_second() + 5)?;
    exhausted[0]["until"] = json!(sooner.to_string());
    let shortened = json!({"status": {"exhausted": exhausted}}).to_string();
    stage.kubectl(&[
        "patch",
        "servingtarget",
        SAGEMAKER.2,
        "--subresource=status",
        "--type=merge",
        "-p",
        &shortened,
    ])?;
    stage.served_on(LLAMA, SAGEMAKER.2)?;
    let (tries, earliest) = (tries(&clouds), sooner.strftime("%Y%m%dT%H%M%SZ").to_string());
    ensure!(tries.len() == 2 && tries[1] >= earliest, "tried at {tries:?}, and left alone until {earliest}");
    ensure!(held(&clouds) == [1, 1, 1], "held: {:?}", held(&clouds));
    Ok(())
}

#[test]
fn a_place_that_cannot_run_the_image_is_left_before_anything_is_made() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = services(&clouds, &[])?;
    // Without it, the image is not in ECR.
    stage.patch(SAGEMAKER, &json!({"spec": {"sageMaker": {"imageMirrors": null}}}))?;
    stage.apply(&deployment(8))?;
    let status = stage.served_on(LLAMA, HUGGING_FACE.2)?;
    ensure!(verdict(&status, SAGEMAKER.2)? == ("Rejected", "63.30"), "{}", status["candidates"]);
    let made = clouds.requests_after(0).into_iter().filter(|asked| asked.operation.starts_with("CreateModel")).count();
    ensure!(made == 1, "beside the claim, {} things were made at SageMaker", made - 1);
    ensure!(held(&clouds) == [0, 0, 0], "left at SageMaker: {:?}", held(&clouds));
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
