//! Managed services beside clusters behind one address. The services are a process of their own.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_clouds::ServiceName;
use roadstead_clouds::sagemaker::ACCOUNT;
use roadstead_clouds::vertex_ai::PROJECT;
use roadstead_ground::ground::SYSTEM;
use roadstead_ground::load::{Load, Mix, Service};
use serde_json::{Value, json};

use super::clouds::{CloudProcess, TOKEN_SECONDS};
use super::gateway::{A_WHILE, LIMIT, address_of};
use super::stage::{SOON, Stage, condition, deployment, on_member, placed_on};

/// A few callers: what counts is that none of them fails.
const MIX: Mix = Mix { streams: 4, tokens: 10, askers: 4, pause: Duration::from_millis(200) };
/// From the partition to the endpoint at the service: detection, toleration, one probe, and its creation.
const MOVED: Duration = Duration::from_secs(90);
/// The operation of Vertex AI's fake by which a request reaches a model.
const AT_VERTEX_AI: &str = "Invoke";
/// The same of SageMaker's.
const AT_SAGEMAKER: &str = "CallWithBearerToken";

/// Starts the fakes, and lets the operator and the gateway reach them.
fn connect(stage: &Stage) -> anyhow::Result<CloudProcess> {
    let clouds = CloudProcess::start(&stage.ground.hub.network().host())?;
    let (operator, gateway) = clouds.values()?;
    stage.ground.install_gateway_with(&operator, &gateway)?;
    Ok(clouds)
}

/// A target for one accelerator at an hourly price.
fn target(name: &str, (cloud, region): (&str, &str), service: &Value, offer: (&str, &str)) -> Value {
    let mut spec = json!({
        "cloud": cloud, "region": region, "allowedNamespaces": {},
        "offers": [{
            "name": "one", "instanceType": offer.0, "accelerator": {"type": "H100", "count": 1},
            "capacityType": "OnDemand", "hourlyPrice": offer.1, "maxInstances": 4,
        }],
    });
    for (field, value) in service.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
        "metadata": {"name": name, "labels": {"place": name}}, "spec": spec,
    })
}

/// Vertex AI in the Netherlands: cheaper than every cluster but the one in the east.
fn netherlands() -> Value {
    let mirrors = json!([{"source": "localhost/", "mirror": format!("europe-west4-docker.pkg.dev/{PROJECT}/images/")}]);
    let service = json!({"type": "VertexAI", "vertexAI": {"project": PROJECT, "imageMirrors": mirrors}});
    target("netherlands", ("gcp", "europe-west4"), &service, ("a3-highgpu-1g", "6.50"))
}

/// SageMaker in Ireland.
fn ireland() -> Value {
    let mirrors = json!([{"source": "localhost/", "mirror": format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/")}]);
    let role = format!("arn:aws:iam::{ACCOUNT}:role/containers");
    let parameters = json!({"accountID": ACCOUNT, "executionRoleARN": role, "imageMirrors": mirrors});
    let service = json!({"type": "SageMaker", "sageMaker": parameters});
    target("ireland", ("aws", "eu-west-1"), &service, ("ml.p5.4xlarge", "6.80"))
}

/// Endpoints, and models that are deployed at them, which Vertex AI has; without the claim of the place.
fn at_vertex_ai(clouds: &CloudProcess) -> anyhow::Result<(usize, usize)> {
    let state = clouds.state(ServiceName::VertexAi)?;
    let endpoints = state[0]["endpoints"].as_array().cloned().unwrap_or_default();
    let own = endpoints.iter().filter(|endpoint| !endpoint["name"].to_string().contains("claim"));
    let deployed = own.clone().filter_map(|endpoint| endpoint["deployed"].as_array()).map(Vec::len).sum();
    Ok((own.count(), deployed))
}

/// Waits until a deployment serves on this target alone, with nothing left to remove.
fn serves_alone(stage: &Stage, name: &str, target: &str, limit: Duration) -> anyhow::Result<Value> {
    stage.until(&format!("{name} serves on {target} alone"), limit, || {
        let object = stage.deployment(name)?;
        let status = &object["status"];
        let alone = status["placements"][1].is_null() && status["releasing"].is_null();
        ensure!(placed_on(&object) == target && alone, "{status}");
        ensure!(condition(&object, "Ready")["status"] == "True", "{status}");
        Ok(object)
    })
}

/// Waits for a failover to Vertex AI, whose endpoint answers at the same address.
fn service_takes_over(stage: &Stage, service: &Service) -> anyhow::Result<()> {
    let object = stage.until("Vertex AI serves", MOVED, || {
        let object = stage.deployment("llama")?;
        let ready = condition(&object, "Ready");
        ensure!(placed_on(&object) == "netherlands" && ready["status"] == "True", "{}", object["status"]);
        let answer = service.chat("Ahoy?")?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(object)
    })?;
    eprintln!("  {}", object["status"]["lastMove"]);
    Ok(())
}

pub fn fails_over_to_a_service_and_returns(stage: &Stage) -> anyhow::Result<()> {
    let clouds = connect(stage)?;
    stage.apply(&netherlands())?;
    stage.condition("servingtarget", "", "netherlands", "Ready", "True", SOON)?;
    let failback = json!({"policy": "Always", "stabilizationSeconds": 10});
    stage.apply(&deployment("llama", &json!({"failover": {"tolerationSeconds": 10, "failback": failback}})))?;
    let before = stage.ready("llama")?;
    ensure!(placed_on(&before) == "east", "{}", before["status"]);
    let service = address_of(stage, "llama", "default")?;
    let east = stage.ground.member("east")?;

    let start = Instant::now();
    east.network().partition()?;
    let moved = service_takes_over(stage, &service);
    eprintln!("  Vertex AI served {:.1} s after the member was cut off", start.elapsed().as_secs_f64());
    // The load begins when what was in flight on the lost member is over, and must not notice the way back.
    let load = moved.and_then(|()| Load::start(service, MIX));
    east.network().heal()?;
    let load = load?;
    let held = at_vertex_ai(&clouds)?;
    ensure!(held == (1, 1), "at Vertex AI: {held:?}");

    let after = serves_alone(stage, "llama", "east", LIMIT)?;
    eprintln!("  it was back {:.1} s after the partition began", start.elapsed().as_secs_f64());
    let held = at_vertex_ai(&clouds)?;
    ensure!(held == (0, 0), "its removal was confirmed, and at Vertex AI is left: {held:?}");
    ensure!(after["status"]["hourlyCost"] == before["status"]["hourlyCost"], "{}", after["status"]);
    std::thread::sleep(A_WHILE);
    let count = load.end()?;
    ensure!(count.failures.is_empty(), "{} failed, the first: {}", count.failures.len(), count.failures[0]);
    ensure!(count.by_pod.len() == 2, "the service and the member answered: {:?}", count.by_pod);
    ensure!(on_member(east)?.len() == 1, "not one copy");
    leave(stage, &["llama"], &["netherlands"])
}

pub fn renews_tokens_while_the_operator_is_away(stage: &Stage) -> anyhow::Result<()> {
    let clouds = connect(stage)?;
    stage.apply(&netherlands())?;
    stage.apply(&ireland())?;
    let mut loads = Vec::new();
    for (name, target) in [("llama", "netherlands"), ("mistral", "ireland")] {
        stage.condition("servingtarget", "", target, "Ready", "True", SOON)?;
        let only = json!({"placement": {"targetSelector": {"matchLabels": {"place": target}}}});
        stage.apply(&deployment(name, &only))?;
        ensure!(placed_on(&stage.ready(name)?) == target);
        loads.push(Load::start(address_of(stage, name, "default")?, MIX)?);
    }
    let operator = |replicas: &str| {
        stage.ground.hub.kubectl(&["scale", "deployment/roadstead", "-n", SYSTEM, "--replicas", replicas])
    };
    operator("0")?;
    let gone = stage.until("the operator has ended", SOON, || {
        ensure!(stage.ground.hub.names(&["pod"], SYSTEM)?.is_empty(), "it runs");
        Ok(())
    });
    let before = [clouds.credentials(AT_VERTEX_AI)?, clouds.credentials(AT_SAGEMAKER)?];
    std::thread::sleep(Duration::from_secs((2 * TOKEN_SECONDS).into()));
    let after = [clouds.credentials(AT_VERTEX_AI)?, clouds.credentials(AT_SAGEMAKER)?];
    operator("2")?;
    gone?;
    for (before, after) in before.iter().zip(&after) {
        let renewed = after.iter().filter(|token| !before.contains(token)).count();
        eprintln!("  {renewed} new tokens in two lives of one");
        ensure!(renewed >= 2, "{renewed} new tokens");
    }
    for load in loads {
        let count = load.end()?;
        ensure!(count.failures.is_empty(), "{} failed, the first: {}", count.failures.len(), count.failures[0]);
        ensure!(count.answered >= 300, "too few to prove anything: {count:?}");
    }
    let back = stage.ground.hub.kubectl(&["rollout", "status", "deployment/roadstead", "-n", SYSTEM, "--timeout=60s"]);
    back.context("the operator is not back")?;
    leave(stage, &["llama", "mistral"], &["netherlands", "ireland"])
}

/// Removes what is at the services while they run.
fn leave(stage: &Stage, deployments: &[&str], targets: &[&str]) -> anyhow::Result<()> {
    let hub = &stage.ground.hub;
    let team = ["-n", super::stage::TEAM, "--wait=true", "--timeout=90s"];
    hub.kubectl(&[&["delete", "mdep"], deployments, &team].concat())?;
    hub.kubectl(&[&["delete", "servingtarget", "--wait=true", "--timeout=60s"], targets].concat()).map(drop)
}
