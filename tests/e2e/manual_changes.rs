//! Edits and deletions by hand, on the hub and on the member: put right or reported, and never looped on.

use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_ground::cluster::Cluster;
use roadstead_ground::container::Container;
use serde_json::{Value, json};

use super::operators::{self, Marks, told};
use super::stage::{SOON, Stage, TEAM, condition, deployment, on_member};

/// Long enough to see the operator's own rounds go by.
const QUIET: Duration = Duration::from_secs(12);
/// Maximum number of writes after one manual change, on hub and member together.
const MOST_WRITES: usize = 40;

/// The one endpoint of the team.
fn endpoint(stage: &Stage) -> anyhow::Result<Value> {
    let mut items = stage.ground.hub.list("iep", TEAM)?;
    ensure!(items.len() == 1, "{} endpoints", items.len());
    items.pop().context("no endpoint")
}

fn name_of(object: &Value) -> anyhow::Result<String> {
    object["metadata"]["name"].as_str().map(ToOwned::to_owned).context("no name")
}

/// Does something by hand, waits until `mended`, and counts what the operator wrote until then.
fn mishap(
    stage: &Stage,
    what: &str,
    by_hand: impl FnOnce() -> anyhow::Result<String>,
    mended: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let marks = Marks::now(stage);
    by_hand()?;
    stage.until(what, SOON, mended)?;
    let writes = marks.writes(stage)?;
    eprintln!("  {what}: {} writes", writes.len());
    ensure!(writes.len() <= MOST_WRITES, "{what}: {} writes\n{}", writes.len(), told(&writes));
    Ok(())
}

/// Waits until it has written nothing for a while: what is looped on never comes to that.
fn quiet(stage: &Stage) -> anyhow::Result<()> {
    stage.until("it writes no more", SOON, || {
        let marks = Marks::now(stage);
        std::thread::sleep(QUIET);
        let mut writes = marks.writes(stage)?;
        // What is free on a target is told once a minute.
        writes.retain(|write| write.resource != "servingtargets/status");
        ensure!(writes.is_empty(), "it goes on writing:\n{}", told(&writes));
        Ok(())
    })
}

/// Ready at this generation, with one replica, and the endpoint answers.
fn serves(stage: &Stage) -> anyhow::Result<()> {
    let object = stage.deployment("llama")?;
    let ready = condition(&object, "Ready");
    ensure!(ready["status"] == "True" && object["status"]["readyReplicas"] == 1, "{}", object["status"]);
    let answer = stage.ask("llama")?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}

pub fn reverts_manual_changes_on_the_hub(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let hub = &stage.ground.hub;
    let name = name_of(&endpoint(stage)?)?;
    let patch = |kind: &str, name: &str, change: &Value| {
        hub.kubectl(&["patch", kind, name, "-n", TEAM, "--type=merge", "-p", &change.to_string()])
    };
    let no_finalizers = json!({"metadata": {"finalizers": null}});

    let edited = json!({"spec": {"replicas": 3, "template": {"image": "localhost/other:v1"}, "hourlyCost": "0.01"}});
    mishap(
        stage,
        "an edited endpoint is put right",
        || patch("iep", &name, &edited),
        || {
            let spec = endpoint(stage)?["spec"].clone();
            let right = spec["replicas"] == 1 && spec["template"]["image"] == "localhost/roadstead-engine:v1";
            ensure!(right && spec["hourlyCost"] == "5.00", "{spec}");
            serves(stage)
        },
    )?;
    for (kind, name) in [("iep", name.as_str()), ("mdep", "llama"), ("servingtarget", "east")] {
        mishap(
            stage,
            &format!("a finalizer taken off a {kind} is put on again"),
            || patch(kind, name, &no_finalizers),
            || {
                let namespace = if kind == "servingtarget" { "" } else { TEAM };
                let object = stage.ground.get(kind, namespace, name)?;
                ensure!(object["metadata"]["finalizers"][0].is_string(), "{}", object["metadata"]);
                Ok(())
            },
        )?;
    }
    let told = endpoint(stage)?["status"]["apiKeySecretName"].clone();
    let key = told.as_str().context("it has no key")?;
    let value = stage.ground.secret_value(TEAM, key, "apiKey")?;
    mishap(
        stage,
        "a deleted key is the same again",
        || {
            hub.kubectl(&["delete", "secret", key, "-n", TEAM])
                .and_then(|said| stage.look_again("llama").map(|()| said))
        },
        || {
            ensure!(stage.ground.secret_value(TEAM, key, "apiKey")? == value, "it is another key");
            serves(stage)
        },
    )?;
    mishap(
        stage,
        "a deleted endpoint is made again",
        || hub.kubectl(&["delete", "iep", &name, "-n", TEAM]),
        || endpoint(stage).and_then(|_| serves(stage)),
    )?;
    // Released without a word to the member: what runs there is found again.
    let record = endpoint(stage)?;
    let lost = name_of(&record)?;
    mishap(
        stage,
        "what a record lost its hold of is found",
        || {
            // Frozen, or it would begin to remove what it still knows of.
            let operators = operators::containers(stage)?;
            operators.iter().try_for_each(Container::freeze)?;
            let released = hub
                .kubectl(&["delete", "iep", &lost, "-n", TEAM, "--wait=false"])
                .and_then(|_| patch("iep", &lost, &no_finalizers));
            operators.iter().try_for_each(Container::thaw)?;
            released
        },
        || {
            let found = endpoint(stage)?;
            ensure!(found["metadata"]["uid"] != record["metadata"]["uid"], "it is the record that was lost");
            ensure!(condition(&found, "Ready")["status"] == "True", "{}", found["status"]);
            serves(stage)?;
            let left: Vec<String> =
                stage.ground.members.iter().map(on_member).collect::<anyhow::Result<Vec<_>>>()?.concat();
            ensure!(left.len() == 1, "on the members: {left:?}");
            Ok(())
        },
    )?;
    quiet(stage)
}

pub fn reverts_manual_changes_on_a_member(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let name = name_of(&endpoint(stage)?)?;
    let deploy =
        |change: &Value| east.kubectl(&["patch", "deploy", &name, "-n", "roadstead", "-p", &change.to_string()]);
    let container = json!({"name": engine_container(east, &name)?, "image": "localhost/other:v1"});
    let edited = json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [container]}}}});
    mishap(
        stage,
        "an edited Deployment is put right",
        || deploy(&edited),
        || {
            let spec = east.get("deploy", "roadstead", &name)?["spec"].clone();
            let image = &spec["template"]["spec"]["containers"][0]["image"];
            ensure!(spec["replicas"] == 1 && *image == "localhost/roadstead-engine:v1", "{spec}");
            serves(stage)
        },
    )?;
    // Deployments are watched; the rest is looked at every half minute.
    let key = format!("{name}-key");
    for objects in [&[("deploy", &name)][..], &[("svc", &name), ("pdb", &name), ("secret", &key)]] {
        let before = uids(east, objects)?;
        mishap(
            stage,
            &format!("deleted, made again: {objects:?}"),
            || {
                objects.iter().try_fold(String::new(), |_, (kind, object)| {
                    east.kubectl(&["delete", kind, object, "-n", "roadstead", "--wait=false"])
                })
            },
            || {
                let now = uids(east, objects)?;
                ensure!(before.iter().zip(&now).all(|(before, now)| before != now), "not yet: {now:?}");
                uids(east, &[("deploy", &name), ("svc", &name), ("pdb", &name), ("secret", &key)])?;
                serves(stage)
            },
        )?;
    }
    let disowned = json!({"metadata": {"labels": {"roadstead.dev/install-id": null}}});
    let labels = east.get("deploy", "roadstead", &name)?["metadata"]["labels"].clone();
    mishap(
        stage,
        "a Deployment without our labels is reported",
        || deploy(&disowned),
        || {
            let ready = condition(&stage.deployment("llama")?, "Ready");
            ensure!(ready["reason"] == "NameConflict", "{ready}");
            Ok(())
        },
    )?;
    let owned = json!({"metadata": {"labels": labels}});
    mishap(stage, "with its labels it is ours again", || deploy(&owned), || serves(stage))?;
    quiet(stage)
}

fn engine_container(member: &Cluster, deployment: &str) -> anyhow::Result<String> {
    let object = member.get("deploy", "roadstead", deployment)?;
    let name = object["spec"]["template"]["spec"]["containers"][0]["name"].as_str();
    name.map(ToOwned::to_owned).context("no container")
}

fn uids(member: &Cluster, objects: &[(&str, &String)]) -> anyhow::Result<Vec<String>> {
    let uid = |(kind, name): &(&str, &String)| {
        let uid = member.get(kind, "roadstead", name)?["metadata"]["uid"].as_str().map(ToOwned::to_owned);
        uid.context("no UID")
    };
    objects.iter().map(uid).collect()
}
