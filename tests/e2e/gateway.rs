//! The gateway on the hub, under the load of independent callers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_ground::bound::Bound;
use roadstead_ground::cluster::Cluster;
use roadstead_ground::container::Container;
use roadstead_ground::gateway::{NAMESPACE, PODS};
use roadstead_ground::ground::root;
use roadstead_ground::load::{Count, Load, Mix, Service};
use serde_json::{Value, json};

use super::stage::{SOON, Stage, TEAM, deployment, on_member, placed_on, pods};

/// Fifty streams of three seconds, and about two hundred short requests a second.
const MIX: Mix = Mix { streams: 50, tokens: 30, askers: 40, pause: Duration::from_millis(100) };
/// Time of the load before and after what happens.
pub const A_WHILE: Duration = Duration::from_secs(4);

/// Answers in a row that show that two gateways know a route: by chance one of them gives all in one of a thousand cases.
const ANSWERS: u32 = 10;

/// Longest time of a move.
pub const LIMIT: Duration = Duration::from_mins(2);
/// From the hub's first answer to a leader.
const BACK: Duration = Duration::from_secs(90);
/// Time in which a Service notices that a gateway is gone.
const NOTICE: Duration = Duration::from_secs(8);

/// The running containers of this name in the gateway's pods.
fn containers(cluster: &Cluster, name: &str) -> anyhow::Result<Vec<Container>> {
    let all = Container::find(cluster, NAMESPACE, PODS)?;
    Ok(all.into_iter().filter(|container| container.name == name).collect())
}

/// Installs the gateway and places a deployment that serves through it.
fn serve(stage: &Stage) -> anyhow::Result<Service> {
    stage.ground.install_gateway()?;
    place(stage)
}

/// Places a deployment that serves through the gateway.
fn place(stage: &Stage) -> anyhow::Result<Service> {
    let speed = json!([{"name": "ENGINE_TOKENS_PER_SECOND", "value": "10"}]);
    stage.apply(&deployment("llama", &json!({"serving": {"env": speed, "drainTimeoutSeconds": 60}})))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    service(stage, "default")
}

/// The address of the deployment llama and the key of a caller.
pub fn service(stage: &Stage, caller: &str) -> anyhow::Result<Service> {
    address_of(stage, "llama", caller)
}

/// The address of a deployment and the key of a caller.
pub fn address_of(stage: &Stage, name: &str, caller: &str) -> anyhow::Result<Service> {
    let object = stage.until("the deployment has its address", SOON, || {
        let object = stage.deployment(name)?;
        ensure!(object["status"]["url"].is_string(), "no address");
        Ok(object)
    })?;
    let text = |field: &str| object["status"][field].as_str().with_context(|| format!("no {field}"));
    let key = stage.ground.secret_value(TEAM, text("keysSecretName")?, caller)?;
    let service = Service { url: text("url")?.to_owned(), key, model: name.to_owned() };
    // Each question is a connection of its own: so many answers in a row come from every gateway.
    stage.until("every gateway answers", SOON, || {
        for _ in 0..ANSWERS {
            let answer = service.chat("Ahoy?")?;
            ensure!(answer.status == 200, "{answer:?}");
        }
        Ok(())
    })?;
    Ok(service)
}

/// True for so many requests that their success proves something.
fn is_enough(count: &Count) -> bool {
    count.streamed >= 100 && count.answered >= 500
}

/// Ends a load once there were enough requests, which takes longer on a busy machine.
fn end(load: Load) -> anyhow::Result<Count> {
    let start = Instant::now();
    while !is_enough(&load.count()) && start.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(100));
    }
    let count = load.end()?;
    eprintln!("  {} asked, {} answered, {} streams read", count.asked, count.answered, count.streamed);
    ensure!(is_enough(&count), "too few to prove anything: {count:?}");
    Ok(count)
}

/// Ends a load, and holds that every request was answered whole.
pub fn nothing_failed(load: Load) -> anyhow::Result<Count> {
    let count = end(load)?;
    ensure!(count.failures.is_empty(), "{} failed, the first: {}", count.failures.len(), count.failures[0]);
    Ok(count)
}

/// Ends of the containers on a member, as its kubelet reports them.
struct Ends {
    log: PathBuf,
    _watch: Bound,
}

impl Ends {
    fn watch(member: &Cluster) -> anyhow::Result<Self> {
        let log = root().join(format!("ends-{}", member.name));
        let kubectl = member.command("kubectl");
        let text = |value: &OsStr| value.to_string_lossy().into_owned();
        let environment: Vec<_> =
            kubectl.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let form = "jsonpath={.metadata.name} {.status.containerStatuses[*].state.terminated.exitCode}{\"\\n\"}";
        let args = ["get", "pods", "-n", "roadstead", "-w", "-o", form].map(ToOwned::to_owned);
        let watch = Bound::start(Path::new(kubectl.get_program()), &args, &environment, &log)?;
        Ok(Self { log, _watch: watch })
    }

    /// Exit codes by pod, each pod once.
    fn codes(&self) -> anyhow::Result<Vec<(String, i32)>> {
        let text = std::fs::read_to_string(&self.log)?;
        let ends = text.lines().filter_map(|line| line.split_once(' '));
        let mut codes: Vec<_> =
            ends.filter_map(|(pod, code)| Some((pod.to_owned(), code.trim().parse().ok()?))).collect();
        codes.sort_unstable();
        codes.dedup();
        Ok(codes)
    }
}

/// Forbids the east, waits until nothing is left there, and tells how long each step took.
fn move_to_the_west(stage: &Stage) -> anyhow::Result<()> {
    let (east, west) = (stage.ground.member("east")?, stage.ground.member("west")?);
    let start = Instant::now();
    let mut last = String::new();
    stage.edit("llama", &json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}))?;
    loop {
        let endpoints = stage.ground.hub.list("iep", TEAM)?;
        let phases = endpoints.iter().map(phase).collect::<Vec<_>>().join(", ");
        let pods = east.names(&["pod"], "roadstead")?.len();
        let now = format!("{phases}; pods in the east: {pods}");
        if now != last {
            eprintln!("  {:>5.1} s: {now}", start.elapsed().as_secs_f64());
        }
        last = now;
        if phases == "west Active" && on_member(east)?.is_empty() && on_member(west)?.len() == 1 {
            break;
        }
        ensure!(start.elapsed() < LIMIT, "the move did not end within {} s: {last}", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(200));
    }
    ensure!(placed_on(&stage.ready("llama")?) == "west");
    Ok(())
}

/// Place and phase of an endpoint.
pub fn phase(endpoint: &Value) -> String {
    let text = |field: &str| endpoint["spec"][field].as_str().unwrap_or_default().to_owned();
    let state = if endpoint["metadata"]["deletionTimestamp"].is_null() { text("state") } else { "Deleting".to_owned() };
    format!("{} {state}", text("target"))
}

pub fn moves_without_losing_a_request(stage: &Stage) -> anyhow::Result<()> {
    let service = serve(stage)?;
    let ends = Ends::watch(stage.ground.member("east")?)?;
    let load = Load::start(service, MIX)?;
    std::thread::sleep(A_WHILE);

    move_to_the_west(stage)?;
    std::thread::sleep(A_WHILE);
    let count = nothing_failed(load)?;
    ensure!(count.by_pod.len() == 2, "both places answered: {:?}", count.by_pod);
    // Ended by SIGTERM with nothing in flight; the code of a SIGKILL is 137.
    let codes = stage.until("the old pod has ended", SOON, || {
        let codes = ends.codes()?;
        ensure!(!codes.is_empty(), "no end was seen");
        Ok(codes)
    })?;
    ensure!(codes.iter().all(|(_, code)| *code == 0), "{codes:?}");
    Ok(())
}

pub fn restarts_and_updates_without_losing_a_request(stage: &Stage) -> anyhow::Result<()> {
    let load = Load::start(serve(stage)?, MIX)?;
    let (hub, east) = (&stage.ground.hub, stage.ground.member("east")?);
    let names = |cluster: &Cluster, namespace: &str| cluster.names(&["pod"], namespace);
    std::thread::sleep(A_WHILE);

    let (start, before) = (Instant::now(), names(hub, NAMESPACE)?);
    hub.kubectl(&["rollout", "restart", "deployment/roadstead-gateway", "-n", NAMESPACE])?;
    stage.until("every pod of the gateway is a new one", LIMIT, || {
        hub.kubectl(&["rollout", "status", "deployment/roadstead-gateway", "-n", NAMESPACE, "--timeout=60s"])?;
        let now = names(hub, NAMESPACE)?;
        ensure!(now.len() == 2 && now.iter().all(|pod| !before.contains(pod)), "{now:?}");
        Ok(())
    })?;
    eprintln!("  the gateway restarted within {:.1} s", start.elapsed().as_secs_f64());

    let (start, before) = (Instant::now(), names(east, "roadstead")?);
    // There are spare accelerators, so the new pod starts beside the old one.
    stage.edit("llama", &json!({"spec": {"serving": {"args": ["--max-model-len=4096"]}}}))?;
    stage.until("the updated pod has replaced the former one", LIMIT, || {
        let now = names(east, "roadstead")?;
        ensure!(now.len() == 1 && now != before, "{now:?}");
        Ok(())
    })?;
    stage.ready("llama")?;
    eprintln!("  the deployment was updated within {:.1} s", start.elapsed().as_secs_f64());
    std::thread::sleep(A_WHILE);
    let count = nothing_failed(load)?;
    ensure!(count.by_pod.len() == 2, "the former and the updated pod answered: {:?}", count.by_pod);
    Ok(())
}

pub fn loses_only_the_connections_of_a_killed_gateway(stage: &Stage) -> anyhow::Result<()> {
    let load = Load::start(serve(stage)?, MIX)?;
    std::thread::sleep(A_WHILE);
    let envoys = containers(&stage.ground.hub, "envoy")?;
    ensure!(envoys.len() == 2, "{envoys:?}");
    envoys[0].kill()?;
    std::thread::sleep(NOTICE);
    let cut = load.count();
    eprintln!("  {} of {} requests failed with the gateway", cut.failures.len(), cut.asked);

    move_to_the_west(stage)?;
    std::thread::sleep(A_WHILE);
    let count = end(load)?;
    let later = count.failures.get(cut.failures.len()..).unwrap_or_default();
    ensure!(later.is_empty(), "{} requests failed later, the first: {}", later.len(), later[0]);
    Ok(())
}

/// Targets and roles of the placements; without a role it serves.
fn roles(object: &Value) -> Vec<(&str, &str)> {
    let placements = object["status"]["placements"].as_array().into_iter().flatten();
    placements.map(|one| (one["target"].as_str().unwrap_or(""), one["role"].as_str().unwrap_or("Serving"))).collect()
}

pub fn hands_a_lost_member_over_to_the_standby(stage: &Stage) -> anyhow::Result<()> {
    stage.ground.install_gateway()?;
    let failover = json!({"tolerationSeconds": 20, "standby": {"replicas": 1}});
    stage.apply(&deployment("llama", &json!({"failover": failover, "serving": {"drainTimeoutSeconds": 10}})))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    let service = service(stage, "default")?;
    stage.condition("mdep", TEAM, "llama", "StandbyReady", "True", LIMIT)?;
    let object = stage.deployment("llama")?;
    ensure!(roles(&object) == [("east", "Serving"), ("west", "Standby")], "{}", object["status"]);

    let east = stage.ground.member("east")?;
    let load =
        Load::start(service.clone(), Mix { streams: 2, tokens: 20, askers: 4, pause: Duration::from_millis(100) })?;
    std::thread::sleep(A_WHILE);
    east.network().partition()?;
    let (start, before) = (Instant::now(), load.count());
    let served = stage.until("the standby answers", SOON, || {
        let now = load.count();
        ensure!(now.answered >= before.answered + 20, "{} answers since then", now.answered - before.answered);
        Ok(now)
    });
    eprintln!("  the standby served {:.1} s after the member was cut off", start.elapsed().as_secs_f64());
    let moved = stage.until("the standby has taken over, and another one stands by", LIMIT, || {
        let object = stage.deployment("llama")?;
        ensure!(roles(&object) == [("west", "Serving"), ("north", "Standby")], "{}", object["status"]);
        Ok(object)
    });
    east.network().heal()?;
    let (served, object) = (served?, moved?);
    eprintln!("  {} failed of {} until then; {}", served.failures.len(), served.asked, object["status"]["lastMove"]);
    let during = load.count();
    stage.until("one copy remains on each of the others", LIMIT, || {
        for (member, number) in [("east", 0), ("west", 1), ("north", 1)] {
            let found = on_member(stage.ground.member(member)?)?;
            ensure!(found.len() == number, "on {member}: {found:?}");
        }
        Ok(())
    })?;
    let count = load.end()?;
    // What was in flight on the lost member is lost; nothing else is.
    let later = count.failures.get(during.failures.len()..).unwrap_or_default();
    ensure!(later.is_empty(), "{} requests failed later, the first: {}", later.len(), later[0]);
    ensure!(count.failures.len() <= 12, "{} requests failed, the first: {}", count.failures.len(), count.failures[0]);
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON).map(drop)
}

pub fn refuses_a_revoked_key(stage: &Stage) -> anyhow::Result<()> {
    stage.ground.install_gateway()?;
    let callers = |keys: &Value| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers", "namespace": TEAM}, "stringData": keys,
        });
        stage.apply(&secret)
    };
    callers(&json!({"alice": "key-of-alice-0123", "bob": "key-of-bob-0123456"}))?;
    stage.apply(&deployment("llama", &json!({"access": {"keysSecretRef": {"name": "callers"}}})))?;
    stage.ready("llama")?;
    let (alice, bob) = (service(stage, "alice")?, service(stage, "bob")?);
    let load = Load::start(bob, Mix { streams: 2, tokens: 20, askers: 4, pause: Duration::from_millis(100) })?;

    let start = Instant::now();
    let revoke = r#"{"data": {"alice": null}}"#;
    stage.ground.hub.kubectl(&["patch", "secret", "callers", "-n", TEAM, "--type=merge", "-p", revoke])?;
    stage.until("the revoked key is refused", SOON, || {
        let answer = alice.chat("Ahoy?")?;
        ensure!(answer.status == 401, "{answer:?}");
        Ok(())
    })?;
    eprintln!("  refused {:.1} s after the Secret changed", start.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(2));
    let count = load.end()?;
    ensure!(count.failures.is_empty() && count.answered > 0, "the other caller noticed it: {count:?}");

    stage.ground.hub.kubectl(&["delete", "secret", "callers", "-n", TEAM])?;
    stage.until("the deployment's event tells that it has no caller", SOON, || {
        let events = stage.ground.hub.kubectl(&["get", "events", "-n", TEAM, "-o", "jsonpath={.items[*].reason}"])?;
        ensure!(events.contains("NoCallers"), "{events}");
        Ok(())
    })
}

pub fn serves_from_another_cluster_without_the_hub(stage: &Stage) -> anyhow::Result<()> {
    let (hub, north) = (&stage.ground.hub, stage.ground.member("north")?);
    stage.ground.install_gateway_on(north)?;
    let load = Load::start(place(stage)?, MIX)?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    std::thread::sleep(A_WHILE);

    hub.stop_api();
    let former = containers(north, "gateway")?;
    ensure!(former.len() == 2, "{former:?}");
    former.iter().try_for_each(Container::kill)?;
    stage.until("the processes beside Envoy have started again, without a hub", LIMIT, || {
        let now = containers(north, "gateway")?;
        ensure!(now.len() == 2 && now.iter().all(|container| !former.contains(container)), "{now:?}");
        north.kubectl(&["rollout", "status", "deployment/roadstead-gateway", "-n", NAMESPACE, "--timeout=5s"])
    })?;
    std::thread::sleep(A_WHILE);
    hub.start_api()?;
    stage.until("the hub takes requests", SOON, || stage.look_again("llama"))?;
    stage.until("the operator works again", BACK, || {
        let object = stage.deployment("llama")?;
        let asked = &object["metadata"]["annotations"]["roadstead.dev/requestedAt"];
        ensure!(asked.is_string() && *asked == object["status"]["lastHandledReconcileAt"], "not handled yet");
        Ok(())
    })?;
    stage.ready("llama")?;
    nothing_failed(load)?;
    ensure!(pods(east)? == before, "a pod was touched");
    stage.ground.remove_gateway(north)
}

pub fn serves_while_a_rebuilt_hub_takes_over(stage: &Stage) -> anyhow::Result<()> {
    let (east, north) = (stage.ground.member("east")?, stage.ground.member("north")?);
    let callers = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers", "namespace": TEAM},
        "stringData": {"alice": "key-of-alice-0123"},
    });
    let speed = json!([{"name": "ENGINE_TOKENS_PER_SECOND", "value": "10"}]);
    let llama = deployment(
        "llama",
        &json!({
            "serving": {"env": speed}, "access": {"keysSecretRef": {"name": "callers"}},
        }),
    );
    stage.ground.install_gateway_on(north)?;
    stage.apply(&callers)?;
    stage.apply(&llama)?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    let load = Load::start(service(stage, "alice")?, MIX)?;
    let before = pods(east)?;
    let former = stage.ground.get("namespace", "", "kube-system")?["metadata"]["uid"].clone();
    std::thread::sleep(A_WHILE);

    stage.ground.rebuild_hub()?;
    let takeover = format!("takeover={}", former.as_str().context("no UID")?);
    let address = format!("gateway.url={}", stage.ground.gateway_url(north));
    stage.ground.install(&[&takeover, "gateway.enabled=true", &address])?;
    stage.ground.connect_members()?;
    stage.team()?;
    stage.targets()?;
    stage.apply(&callers)?;
    stage.apply(&llama)?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    // The gateway knows the former hub alone. It gets to know the new one when that has the routes.
    stage.ground.install_gateway_on(north)?;
    north.kubectl(&["rollout", "restart", "deployment/roadstead-gateway", "-n", NAMESPACE])?;
    stage.until("gateways of the new hub serve", LIMIT, || {
        north.kubectl(&["rollout", "status", "deployment/roadstead-gateway", "-n", NAMESPACE, "--timeout=5s"])
    })?;
    std::thread::sleep(A_WHILE);
    nothing_failed(load)?;
    ensure!(pods(east)? == before, "a pod was touched:\n{before}\n{}", pods(east)?);
    stage.ground.remove_gateway(north)
}
