//! The operator is killed at random moments of creating, scaling, editing and deleting, fifty times in full: exactly what
//! was asked for exists afterwards, on the hub and on the members, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use roadstead_ground::chance::Chance;
use roadstead_ground::cluster::Cluster;
use serde_json::{Value, json};

use super::operators;
use super::stage::{EVERYTHING, Stage, TEAM, condition, deployment, in_full};

/// Kills in a row, at moments of the recovery from the former one: each costs what a kubelet needs to start a container.
const KILLS: u32 = 5;
/// Number of pauses until everything is settled, in the full and in the short form.
const ROUNDS: [u32; 2] = [10, 2];
/// The operator comes back, and finishes what it was doing.
const SETTLED: Duration = Duration::from_secs(45);
/// Deployments that live at a time, at most.
const LIVES: usize = 3;

/// A requested deployment.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Asked {
    replicas: u64,
    revision: u64,
    cloud: &'static str,
}

impl Asked {
    fn manifest(&self, name: &str) -> Value {
        deployment(
            name,
            &json!({
                "replicas": self.replicas,
                "serving": {"env": [{"name": "REVISION", "value": self.revision.to_string()}], "drainTimeoutSeconds": 1},
                "placement": {"clouds": {"allow": [self.cloud]}},
            }),
        )
    }

    fn target(&self) -> &'static str {
        if self.cloud == "aws" { "east" } else { "west" }
    }
}

pub fn survives_kills_at_any_moment(stage: &Stage) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("before 1970")?.as_secs();
    let seed = std::env::var("ROADSTEAD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now);
    eprintln!("  seed {seed} (repeat with ROADSTEAD_SEED={seed})");
    // Otherwise the kubelet would wait five minutes before it starts a container again that was killed so often.
    stage.ground.hub.node().restart_kubelet(Some(Duration::from_secs(1)))?;
    let result = kill_all(stage, &mut Chance::new(seed));
    stage.ground.hub.node().restart_kubelet(None)?;
    result
}

fn kill_all(stage: &Stage, chance: &mut Chance) -> anyhow::Result<()> {
    let mut asked = BTreeMap::new();
    let (mut done, start) = (BTreeMap::<&str, u32>::new(), Instant::now());
    let mut recoveries = Vec::new();
    let rounds = if in_full() { ROUNDS[0] } else { ROUNDS[1] };
    for round in 0..rounds {
        let mut doing = Vec::new();
        // Once more and again, at moments of the recovery, with something else to do.
        for _ in 0..KILLS {
            doing.push(ask(stage, chance, &mut asked)?);
            kill(stage, chance)?;
        }
        for one in &doing {
            *done.entry(one).or_default() += 1;
        }
        let killed = Instant::now();
        stage
            .until("exactly what was asked for exists", SETTLED, || exactly(stage, &asked))
            .with_context(|| format!("in round {round}, killed while {doing:?}; asked for: {asked:?}"))?;
        recoveries.push(killed.elapsed().as_secs_f64());
    }
    recoveries.sort_unstable_by(f64::total_cmp);
    eprintln!(
        "  {} kills in {:.0} s; a recovery takes {:.1} s, the longest {:.1} s; killed while {done:?}",
        KILLS * rounds,
        start.elapsed().as_secs_f64(),
        recoveries.get(recoveries.len() / 2).context("no recovery")?,
        recoveries.last().context("no recovery")?
    );
    Ok(())
}

/// Kills every process of the operator that runs, after a random while.
fn kill(stage: &Stage, chance: &mut Chance) -> anyhow::Result<()> {
    std::thread::sleep(Duration::from_millis(u64::try_from(chance.below(1500))?));
    stage.until("an operator runs and is killed", SETTLED, || {
        let operators = operators::containers(stage)?;
        // What the API server tells lags behind: a container may have ended in this moment.
        let killed = operators.iter().filter(|operator| operator.kill().is_ok()).count();
        ensure!(killed > 0, "none of {} runs", operators.len());
        Ok(())
    })
}

/// Asks for one more thing; says what it was.
fn ask(stage: &Stage, chance: &mut Chance, asked: &mut BTreeMap<String, Asked>) -> anyhow::Result<&'static str> {
    let chosen = asked.iter().nth(chance.below(LIVES));
    let Some((name, former)) = chosen.map(|(name, former)| (name.clone(), former.clone())) else {
        // A name of its own: what is being deleted cannot be applied anew.
        let (name, new) =
            (format!("life-{}", chance.below(1_000_000)), Asked { replicas: 1, revision: 0, cloud: "aws" });
        stage.apply(&new.manifest(&name))?;
        asked.insert(name, new);
        return Ok("creating");
    };
    let (what, wanted) = match chance.below(6) {
        0 | 1 => ("scaling", Asked { replicas: (former.replicas + 1 + u64::try_from(chance.below(2))?) % 3, ..former }),
        2 => ("editing", Asked { revision: former.revision + 1, ..former }),
        3 => ("replacing", Asked { cloud: if former.cloud == "aws" { "gcp" } else { "aws" }, ..former }),
        _ => {
            stage.ground.hub.kubectl(&["delete", "mdep", &name, "-n", TEAM, "--wait=false"])?;
            asked.remove(&name);
            return Ok("deleting");
        }
    };
    stage.apply(&wanted.manifest(&name))?;
    asked.insert(name, wanted);
    Ok(what)
}

/// On the hub one record and one key each, as asked for and ready; on each member what belongs to its records.
fn exactly(stage: &Stage, asked: &BTreeMap<String, Asked>) -> anyhow::Result<()> {
    let hub = list(&stage.ground.hub, &["mdep", "iep", "secret"], TEAM)?;
    let of = |kind: &str| hub.iter().filter(move |object| object["kind"] == kind).collect::<Vec<_>>();
    let names: BTreeSet<&str> = of("ModelDeployment").into_iter().map(name).collect();
    ensure!(names == asked.keys().map(String::as_str).collect(), "deployments {names:?}");
    for object in of("ModelDeployment") {
        let ready = condition(object, "Ready");
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        ensure!(current && ready["status"] == "True", "{}: {ready}", name(object));
        ensure!(object["status"]["releasing"].as_array().is_none_or(Vec::is_empty), "{}", object["status"]);
    }
    let endpoints = of("InferenceEndpoint");
    let owners: BTreeMap<&str, &Value> =
        endpoints.iter().filter_map(|one| Some((one["spec"]["deploymentRef"]["name"].as_str()?, *one))).collect();
    ensure!(endpoints.len() == owners.len(), "endpoints {:?}", owners.keys());
    for (owner, wanted) in asked {
        let endpoint = owners.get(owner.as_str());
        // Scaled to zero before it was placed, or where it may not be any more, it has none.
        if endpoint.is_none() && wanted.replicas == 0 {
            continue;
        }
        let spec = &endpoint.with_context(|| format!("no endpoint of {owner}"))?["spec"];
        let right = spec["target"] == wanted.target()
            && spec["replicas"] == wanted.replicas
            && spec["template"]["env"][0]["value"] == json!(wanted.revision.to_string());
        ensure!(right, "the endpoint of {owner}: {spec}");
    }
    let keys: BTreeSet<String> = of("Secret").into_iter().map(|secret| name(secret).to_owned()).collect();
    let told = |one: &&Value| one["status"]["apiKeySecretName"].as_str().unwrap_or("none").to_owned();
    ensure!(keys == endpoints.iter().map(told).collect(), "keys {keys:?}");
    for member in &stage.ground.members {
        let here = endpoints.iter().copied().filter(|one| one["spec"]["target"] == member.name.as_str());
        on(member, &here.collect::<Vec<_>>()).with_context(|| format!("on {}", member.name))?;
    }
    Ok(())
}

fn on(member: &Cluster, endpoints: &[&Value]) -> anyhow::Result<()> {
    let all = list(member, &EVERYTHING, "roadstead")?;
    let of = |kind: &str| -> BTreeSet<String> {
        all.iter().filter(|object| object["kind"] == kind).map(|object| name(object).to_owned()).collect()
    };
    let wanted: BTreeSet<String> = endpoints.iter().map(|one| name(one).to_owned()).collect();
    for kind in ["Deployment", "Service", "PodDisruptionBudget"] {
        ensure!(of(kind) == wanted, "{kind}s {:?} for {wanted:?}", of(kind));
    }
    ensure!(of("Secret") == wanted.iter().map(|name| format!("{name}-key")).collect(), "Secrets {:?}", of("Secret"));
    let mut pods: BTreeMap<&str, u64> = BTreeMap::new();
    for pod in all.iter().filter(|object| object["kind"] == "Pod") {
        let endpoint = pod["metadata"]["labels"]["roadstead.dev/endpoint"].as_str().context("a pod of nobody")?;
        ensure!(pod["metadata"]["deletionTimestamp"].is_null(), "a pod is ending");
        *pods.entry(endpoint).or_default() += 1;
    }
    let replicas = endpoints.iter().map(|one| (name(one), one["spec"]["replicas"].as_u64().unwrap_or_default()));
    let replicas: BTreeMap<&str, u64> = replicas.filter(|(_, replicas)| *replicas > 0).collect();
    ensure!(pods == replicas, "pods {pods:?} for {replicas:?}");
    Ok(())
}

fn list(cluster: &Cluster, kinds: &[&str], namespace: &str) -> anyhow::Result<Vec<Value>> {
    let lists: anyhow::Result<Vec<_>> = kinds.iter().map(|kind| cluster.list(kind, namespace)).collect();
    Ok(lists?.concat())
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}
