//! Moves under the load of independent callers that something disturbs: a killed operator, an image that crashes, a home that
//! is lost again.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_ground::audit::Write;
use roadstead_ground::ground::binary;
use roadstead_ground::load::{Load, Mix, Service};
use roadstead_ground::network::API_PORT;
use serde_json::{Value, json};

use super::gateway::{self, A_WHILE, LIMIT, nothing_failed, phase};
use super::operators::{self, Marks, told};
use super::stage::{SOON, Stage, TEAM, candidate, condition, deployment, on_member, placed_on, pods};

/// Streams of a second, and some fifty short requests a second.
const MIX: Mix = Mix { streams: 15, tokens: 10, askers: 10, pause: Duration::from_millis(200) };
/// The shortest toleration that a deployment can have.
const TOLERATION: u64 = 10;
/// From the partition to the new endpoint: detection, toleration, one probe, and the start of an engine.
const MOVED: Duration = Duration::from_secs(90);

/// The deployment with these fields beside those that a load needs.
fn llama(spec: &Value, startup_seconds: u32) -> Value {
    let env = json!([
        {"name": "ENGINE_TOKENS_PER_SECOND", "value": "10"},
        {"name": "ENGINE_STARTUP_SECONDS", "value": startup_seconds.to_string()},
    ]);
    let mut object = deployment("llama", &json!({"serving": {"env": env, "drainTimeoutSeconds": 60}}));
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// Places the deployment on east behind the gateway.
fn serve(stage: &Stage, spec: &Value, startup_seconds: u32) -> anyhow::Result<Service> {
    stage.ground.install_gateway()?;
    stage.apply(&llama(spec, startup_seconds))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    gateway::service(stage, "default")
}

/// The place and phase of each endpoint, and whether it was ever ready.
fn endpoints(stage: &Stage) -> anyhow::Result<Vec<(String, bool)>> {
    let all = stage.ground.hub.list("iep", TEAM)?;
    Ok(all.iter().map(|one| (phase(one), one["status"]["firstReadyTime"].is_string())).collect())
}

/// A step of a move from east to west.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The replacement starts.
    Surge,
    /// The replacement answers, and does not have all requests.
    Shift,
    /// The former endpoint drains.
    Drain,
    /// The former endpoint is removed.
    Remove,
}

impl Step {
    /// A short step may be over when it is looked for.
    fn is_reached(self, stage: &Stage) -> anyhow::Result<()> {
        let all = endpoints(stage)?;
        let is = |wanted: &str| all.iter().any(|(phase, _)| phase == wanted);
        let reached = match self {
            Self::Surge => is("west Active"),
            Self::Shift => all.iter().any(|(phase, ready)| phase == "west Active" && *ready),
            Self::Drain => !is("east Active"),
            Self::Remove => !is("east Active") && !is("east Draining"),
        };
        ensure!(reached, "{all:?}");
        Ok(())
    }
}

pub fn moves_once_though_the_operator_is_killed_in_every_step(stage: &Stage) -> anyhow::Result<()> {
    let migration = json!({"migration": {"shift": {"steps": [{"weightPercent": 50, "durationSeconds": 3}]}}});
    let service = serve(stage, &migration, 3)?;
    // Otherwise the kubelet would wait ever longer before it starts a container again that was killed so often.
    stage.ground.hub.node().restart_kubelet(Some(Duration::from_secs(1)))?;
    let result = killed_in_every_step(stage, service);
    stage.ground.hub.node().restart_kubelet(None)?;
    result
}

fn killed_in_every_step(stage: &Stage, service: Service) -> anyhow::Result<()> {
    let (marks, load, start) = (Marks::now(stage), Load::start(service, MIX)?, Instant::now());
    std::thread::sleep(A_WHILE);
    stage.edit("llama", &json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}))?;
    for step in [Step::Surge, Step::Shift, Step::Drain, Step::Remove] {
        stage.until(&format!("the move is in the step {step:?}"), LIMIT, || step.is_reached(stage))?;
        let killed = operators::containers(stage)?.iter().filter(|operator| operator.kill().is_ok()).count();
        eprintln!("  {:>5.1} s: {killed} killed in {step:?}", start.elapsed().as_secs_f64());
    }
    let (east, west) = (stage.ground.member("east")?, stage.ground.member("west")?);
    stage.until("only west serves", LIMIT, || {
        ensure!(on_member(east)?.is_empty() && on_member(west)?.len() == 1);
        let all = endpoints(stage)?;
        ensure!(matches!(all.as_slice(), [(phase, true)] if phase == "west Active"), "{all:?}");
        Ok(())
    })?;
    eprintln!("  {:>5.1} s: only west serves", start.elapsed().as_secs_f64());
    std::thread::sleep(A_WHILE);
    nothing_failed(load)?;
    let writes = marks.writes(stage)?;
    let number = |cluster: &str, verb: &str, resource: &str| {
        let is = |write: &&Write| write.cluster == cluster && write.verb == verb && write.resource == resource;
        writes.iter().filter(is).filter(|write| write.took_effect()).count()
    };
    for (cluster, resource) in [("hub", "inferenceendpoints"), ("west", "deployments"), ("west", "services")] {
        ensure!(number(cluster, "create", resource) == 1, "not one creation: {}", told(&writes));
    }
    for (cluster, resource) in [("hub", "inferenceendpoints"), ("east", "deployments"), ("east", "services")] {
        ensure!(number(cluster, "delete", resource) == 1, "not one deletion: {}", told(&writes));
    }
    Ok(())
}

pub fn rolls_back_from_an_image_that_crashes_and_tries_the_next_place(stage: &Stage) -> anyhow::Result<()> {
    // The same tag is another image on each member: on west it ends at once.
    for (name, program) in [("east", "roadstead-engine"), ("west", "roadstead"), ("north", "roadstead-engine")] {
        stage.ground.load_engine(stage.ground.member(name)?, "v2", &binary(program)?)?;
    }
    let service = serve(stage, &json!({}), 0)?;
    let (east, west) = (stage.ground.member("east")?, stage.ground.member("west")?);
    let (before, load, start) = (pods(east)?, Load::start(service, MIX)?, Instant::now());
    std::thread::sleep(A_WHILE);
    let serving = json!({"image": "localhost/roadstead-engine:v2", "startupTimeoutSeconds": 15});
    stage.edit("llama", &json!({"spec": {"placement": {"jurisdictions": ["EU"]}, "serving": serving}}))?;
    stage.until("it crashes on west while east serves", SOON, || {
        ensure!(on_member(west)?.len() == 1 && pods(east)? == before, "west is not tried");
        Ok(())
    })?;
    stage.until("west is left and north is tried", SOON, || {
        let all = endpoints(stage)?;
        ensure!(all.iter().any(|(phase, _)| phase == "north Active"), "{all:?}");
        ensure!(pods(east)? == before || all.iter().any(|(phase, ready)| phase == "north Active" && *ready), "{all:?}");
        Ok(())
    })?;
    eprintln!("  {:>5.1} s: north is tried", start.elapsed().as_secs_f64());
    let north = stage.until("north serves", LIMIT, || {
        let object = stage.deployment("llama")?;
        ensure!(
            placed_on(&object) == "north" && condition(&object, "Ready")["status"] == "True",
            "{}",
            object["status"]
        );
        ensure!(on_member(east)?.is_empty() && on_member(west)?.is_empty(), "something is left");
        Ok(object)
    })?;
    eprintln!("  {:>5.1} s: north serves alone", start.elapsed().as_secs_f64());
    let refused = candidate(&north, "west")?;
    ensure!(refused["reason"] == "Exhausted", "west is tried again at once: {refused}");
    std::thread::sleep(A_WHILE);
    ensure!(on_member(west)?.is_empty(), "west is tried again");
    nothing_failed(load).map(drop)
}

/// Waits until the deployment serves on this target alone.
fn serves_on(stage: &Stage, target: &str, limit: Duration) -> anyhow::Result<()> {
    stage.until(&format!("{target} serves alone"), limit, || {
        let object = stage.deployment("llama")?;
        ensure!(
            placed_on(&object) == target && condition(&object, "Ready")["status"] == "True",
            "{}",
            object["status"]
        );
        let all = endpoints(stage)?;
        ensure!(all.len() == 1, "{all:?}");
        Ok(())
    })
}

pub fn returns_home_when_home_is_stable_and_not_before(stage: &Stage) -> anyhow::Result<()> {
    let failback = json!({"policy": "Always", "stabilizationSeconds": 60});
    let failover = json!({"failover": {"tolerationSeconds": TOLERATION, "failback": failback}});
    let service = serve(stage, &failover, 8)?;
    let east = stage.ground.member("east")?;
    east.network().partition()?;
    let lost = stage.until("west serves", MOVED, || {
        let object = stage.deployment("llama")?;
        ensure!(
            placed_on(&object) == "west" && condition(&object, "Ready")["status"] == "True",
            "{}",
            object["status"]
        );
        Ok(())
    });
    east.network().heal()?;
    lost?;
    let (load, start) = (Load::start(service, MIX)?, Instant::now());
    serves_on(stage, "west", SOON)?;
    home_flaps(stage)?;
    eprintln!("  {:>5.1} s: home flapped, nothing moved", start.elapsed().as_secs_f64());
    stage.until("the return begins", LIMIT, || {
        let all = endpoints(stage)?;
        ensure!(all.iter().any(|(phase, _)| phase == "east Active"), "{all:?}");
        Ok(())
    })?;
    eprintln!("  {:>5.1} s: the return begins, and home is lost again", start.elapsed().as_secs_f64());
    east.network().partition()?;
    let survived = stays_on_west(stage);
    east.network().heal()?;
    survived?;
    serves_on(stage, "east", LIMIT + SOON)?;
    eprintln!("  {:>5.1} s: it serves at home", start.elapsed().as_secs_f64());
    ensure!(stage.deployment("llama")?["status"]["home"].is_null(), "it is at home");
    std::thread::sleep(A_WHILE);
    nothing_failed(load)?;
    ensure!(on_member(stage.ground.member("west")?)?.is_empty() && on_member(east)?.len() == 1, "not one copy");
    Ok(())
}

/// Home is not stable for long: nothing moves for longer than the stabilization.
fn home_flaps(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    for _ in 0..2 {
        std::thread::sleep(Duration::from_secs(10));
        east.network().partition_port(API_PORT)?;
        let lost = stage.condition("servingtarget", "", "east", "Ready", "False", SOON);
        east.network().heal()?;
        lost?;
        stage.condition("servingtarget", "", "east", "Ready", "True", SOON)?;
        let all = endpoints(stage)?;
        ensure!(matches!(all.as_slice(), [(phase, _)] if phase == "west Active"), "home flaps: {all:?}");
    }
    Ok(())
}

/// Home is lost while the deployment returns: it serves where it is.
fn stays_on_west(stage: &Stage) -> anyhow::Result<()> {
    stage.condition("servingtarget", "", "east", "Ready", "False", SOON)?;
    for _ in 0..10 {
        let object = stage.deployment("llama")?;
        ensure!(placed_on(&object) == "west", "{}", object["status"]);
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

pub fn waits_for_a_lost_target_if_it_is_to_remove_first(stage: &Stage) -> anyhow::Result<()> {
    let spec = json!({"migration": {"order": "RemoveThenReplace"}, "failover": {"tolerationSeconds": TOLERATION}});
    stage.apply(&deployment("llama", &spec))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    let east = stage.ground.member("east")?;
    east.network().partition()?;
    let waited = waits_and_says_so(stage);
    east.network().heal()?;
    waited?;
    // It answers again, so nothing is removed.
    stage.until("one endpoint serves", LIMIT, || {
        stage.ready("llama")?;
        let all = endpoints(stage)?;
        let there = stage.ground.members.iter().map(on_member).collect::<anyhow::Result<Vec<_>>>()?.concat();
        ensure!(all.len() == 1 && there.len() == 1, "{all:?}, {there:?}");
        Ok(())
    })
}

fn never_two(stage: &Stage) -> anyhow::Result<()> {
    for other in ["west", "north"] {
        ensure!(on_member(stage.ground.member(other)?)?.is_empty(), "something was created on {other}");
    }
    ensure!(endpoints(stage)?.len() == 1, "{:?}", endpoints(stage)?);
    Ok(())
}

fn waits_and_says_so(stage: &Stage) -> anyhow::Result<()> {
    let says = || {
        let object = stage.deployment("llama")?;
        let (active, migrating) = (condition(&object, "FailoverActive"), condition(&object, "Migrating"));
        ensure!(active["status"] == "True" && active["reason"] == "TargetLost", "{}", object["status"]["conditions"]);
        ensure!(migrating["status"] == "False", "{migrating}");
        let text = migrating["message"].as_str().context("no message")?;
        Ok(text.to_owned())
    };
    let text = stage.until("the status says what it waits for", MOVED, says)?;
    eprintln!("  {text}");
    std::thread::sleep(Duration::from_secs(TOLERATION + 5));
    says()?;
    never_two(stage)
}

pub fn edits_without_losing_a_request(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    stage.ground.load_engine(east, "v2", &binary("roadstead-engine")?)?;
    let service = serve(stage, &json!({}), 1)?;
    let (load, start) = (Load::start(service, MIX)?, Instant::now());
    std::thread::sleep(A_WHILE);
    let running = |what: &str, count: usize, differs_from: &str| {
        stage.until(what, LIMIT, || {
            let (now, names) = (pods(east)?, east.names(&["pod"], "roadstead")?);
            ensure!(names.len() == count && now != differs_from, "{now}");
            Ok(())
        })?;
        stage.ready("llama")?;
        eprintln!("  {:>5.1} s: {what}", start.elapsed().as_secs_f64());
        pods(east)
    };
    let mut before = pods(east)?;
    for (what, count, change) in [
        ("another image", 1, json!({"serving": {"image": "localhost/roadstead-engine:v2"}})),
        ("other arguments", 1, json!({"serving": {"args": ["--max-model-len=4096"]}})),
        ("three replicas", 3, json!({"replicas": 3})),
        ("one replica", 1, json!({"replicas": 1})),
    ] {
        stage.edit("llama", &json!({"spec": change}))?;
        before = running(what, count, &before)?;
        std::thread::sleep(Duration::from_secs(2));
    }
    stage.edit("llama", &json!({"spec": {"serving": {"image": "localhost/roadstead-engine:v1"}}}))?;
    stage.edit("llama", &json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}))?;
    serves_on(stage, "west", LIMIT)?;
    eprintln!("  {:>5.1} s: another jurisdiction", start.elapsed().as_secs_f64());
    std::thread::sleep(A_WHILE);
    nothing_failed(load).map(drop)
}
