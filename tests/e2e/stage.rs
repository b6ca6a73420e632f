//! The common parts of all end-to-end tests: the ground, and short forms of wishes and expectations.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use roadstead_ground::client::{Answer, chat};
use roadstead_ground::cluster::Cluster;
use roadstead_ground::gateway;
use roadstead_ground::ground::{GPU, Ground, SYSTEM};
use serde_json::{Value, json};

/// The namespace of the scenes' deployments.
pub const TEAM: &str = "team";
/// The kinds of all that an endpoint has on a member.
pub const EVERYTHING: [&str; 6] = ["deploy", "svc", "pdb", "secret", "rs", "pod"];
/// Generous: on a busy machine everything takes its time.
pub const SOON: Duration = Duration::from_mins(2);

/// True if the longest scenes are played in full (`make scenes-in-full`) rather than in a short form.
pub fn in_full() -> bool {
    std::env::var_os("ROADSTEAD_FULL").is_some()
}

/// The ground with the operator on it.
pub struct Stage {
    pub ground: Ground,
}

impl Stage {
    /// Starts the clusters and installs the operator.
    pub fn set() -> anyhow::Result<Self> {
        let stage = Self { ground: Ground::prepare()? };
        // What is reported at the end is then of this run, not of a former one.
        drop(stage.ground.down());
        match stage.raise() {
            Ok(()) => Ok(stage),
            Err(error) => {
                drop(stage.lower());
                Err(error)
            }
        }
    }

    fn raise(&self) -> anyhow::Result<()> {
        eprintln!("starting four clusters …");
        self.ground.up()?;
        eprintln!("installing the operator …");
        self.ground.install(&[])?;
        self.ground.connect_members()
    }

    /// Ends the clusters, unless `ROADSTEAD_KEEP` asks for them to stay, and returns what they left.
    pub fn lower(&self) -> Vec<String> {
        if std::env::var_os("ROADSTEAD_KEEP").is_some() { Vec::new() } else { self.ground.down() }
    }

    /// An empty hub with the three targets: each scene begins like this.
    pub fn clear(&self) -> anyhow::Result<()> {
        let hub = &self.ground.hub;
        hub.kubectl(&["delete", "mdep", "--all", "-A", "--wait=true", "--timeout=90s"])?;
        hub.kubectl(&["delete", "servingtargets", "--all", "--wait=true", "--timeout=60s"])?;
        // Without waiting for the collector, which may take a key away under the next scene's endpoint of that name.
        hub.kubectl(&["delete", "secrets", "--all", "-n", TEAM])?;
        for member in &self.ground.members {
            member.set_accelerators(GPU, 8)?;
            let left = member.names(&["deploy", "pdb", "svc", "secret"], "roadstead")?;
            ensure!(left.is_empty(), "something is left on {}: {left:?}", member.name);
        }
        self.ground.connect()?;
        self.team()?;
        self.targets()?;
        for name in ["east", "west", "north"] {
            self.condition("servingtarget", "", name, "Ready", "True", SOON)?;
        }
        Ok(())
    }

    /// Makes the team's namespace.
    pub fn team(&self) -> anyhow::Result<()> {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}))
    }

    /// Declares the three targets.
    pub fn targets(&self) -> anyhow::Result<()> {
        for (name, cloud, region, price) in [
            ("east", "aws", "us-east-1", "40.00"),
            ("west", "gcp", "europe-west4", "55.20"),
            ("north", "azure", "germanywestcentral", "61.00"),
        ] {
            self.target(name, cloud, region, price)?;
        }
        Ok(())
    }

    /// Gives a member so many accelerators before its target is declared anew: the hub knows no other number then.
    pub fn only_accelerators(&self, name: &str, count: u32) -> anyhow::Result<()> {
        self.ground.hub.kubectl(&["delete", "servingtarget", name, "--timeout=30s"])?;
        self.ground.member(name)?.set_accelerators(GPU, count)?;
        self.targets()?;
        self.condition("servingtarget", "", name, "Ready", "True", SOON).map(drop)
    }

    fn target(&self, name: &str, cloud: &str, region: &str, price: &str) -> anyhow::Result<()> {
        self.apply(&json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
            "spec": {
                "cloud": cloud, "region": region, "type": "Kubernetes",
                "kubernetes": {
                    "connection": {"kubeconfigSecretRef": {"name": name, "key": "kubeconfig"}},
                    "expose": {"type": "NodePort", "public": true},
                },
                "allowedNamespaces": {},
                "offers": [{
                    "name": "h100", "instanceType": "eight", "accelerator": {"type": "H100", "count": 8},
                    "capacityType": "OnDemand", "hourlyPrice": price,
                }],
            },
        }))
    }

    /// Applies an object to the hub.
    pub fn apply(&self, object: &Value) -> anyhow::Result<()> {
        self.ground.hub.apply(&object.to_string()).map(drop)
    }

    /// Merges `change` into a deployment of the team.
    pub fn edit(&self, name: &str, change: &Value) -> anyhow::Result<()> {
        let args = ["patch", "mdep", name, "-n", TEAM, "--type=merge", "-p", &change.to_string()];
        self.ground.hub.kubectl(&args).map(drop)
    }

    /// Asks the operator to look at a deployment of the team now, as its users may.
    pub fn look_again(&self, name: &str) -> anyhow::Result<()> {
        let value = self.deployment(name)?["metadata"]["resourceVersion"].to_string();
        let change = json!({"metadata": {"annotations": {"roadstead.dev/requestedAt": value}}});
        self.edit(name, &change)
    }

    /// A deployment of the team as it is.
    pub fn deployment(&self, name: &str) -> anyhow::Result<Value> {
        self.ground.get("mdep", TEAM, name)
    }

    /// Waits until a deployment of the team is ready, and returns it.
    pub fn ready(&self, name: &str) -> anyhow::Result<Value> {
        self.condition("mdep", TEAM, name, "Ready", "True", SOON)
    }

    /// Waits until a condition has a status (for the newest generation), and returns the object.
    pub fn condition(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        type_: &str,
        status: &str,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        self.until(&format!("{kind} {name} is {type_}={status}"), limit, || {
            let object = self.ground.get(kind, namespace, name)?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            let condition = condition(&object, type_);
            ensure!(current && condition["status"] == status, "{condition}");
            Ok(object)
        })
    }

    /// Waits until `check` succeeds.
    pub fn until<T>(&self, what: &str, limit: Duration, check: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.ground.wait(what, limit, check)
    }

    /// Asks a deployment of the team for a completion at its first placement, with its key.
    pub fn ask(&self, name: &str) -> anyhow::Result<Answer> {
        let deployment = self.deployment(name)?;
        let placement = &deployment["status"]["placements"][0];
        let url = placement["url"].as_str().context("no address")?;
        let secret = placement["apiKeySecretName"].as_str().context("no key")?;
        chat(url, Some(&self.ground.secret_value(TEAM, secret, "apiKey")?), name, "Ahoy?")
    }

    /// Prints what helps to understand a failure.
    pub fn tell(&self) {
        let hub = &self.ground.hub;
        for args in [
            &["get", "servingtargets,mdep,iep", "-A", "-o", "yaml"][..],
            &["get", "events", "-A", "--sort-by=.lastTimestamp"],
            &["logs", "-n", SYSTEM, "-l", "app.kubernetes.io/name=roadstead", "--tail=60", "--prefix"],
            &["get", "pods", "-n", gateway::NAMESPACE, "-o", "wide"],
            &["logs", "-n", gateway::NAMESPACE, "-l", gateway::PODS, "-c", "gateway", "--tail=30", "--prefix"],
        ] {
            match hub.kubectl(args) {
                Ok(text) => eprintln!("--- hub: kubectl {}\n{text}", args.join(" ")),
                Err(error) => eprintln!("--- hub: kubectl {}: {error:#}", args.join(" ")),
            }
        }
        for member in &self.ground.members {
            let pods = member.kubectl(&["get", "deploy,pods", "-n", "roadstead", "-o", "wide"]);
            eprintln!("--- {}\n{}", member.name, pods.unwrap_or_else(|error| format!("{error:#}")));
        }
    }
}

/// The names of the endpoints' Deployments on a member.
pub fn on_member(member: &Cluster) -> anyhow::Result<Vec<String>> {
    member.names(&["deploy"], "roadstead")
}

/// The pods of all endpoints on a member, each with its restarts: changes when any pod is made anew or restarts.
pub fn pods(member: &Cluster) -> anyhow::Result<String> {
    let pods = member.list("pod", "roadstead")?;
    let line = |pod: &Value| {
        let restarts = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let restarts: Vec<_> = restarts.map(|container| container["restartCount"].to_string()).collect();
        format!("{} {} {}", pod["metadata"]["name"], pod["metadata"]["uid"], restarts.join(","))
    };
    Ok(pods.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A deployment of the team: one replica on one accelerator, quick to go.
pub fn deployment(name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {
            "model": {"source": "hf://example/tiny"},
            "serving": {
                "engine": "vllm", "image": "localhost/roadstead-engine:v1",
                "shapes": [{"name": "one", "accelerator": {"type": "H100", "count": 1}}],
                "drainTimeoutSeconds": 1,
            },
        },
    });
    merge(&mut object["spec"], spec);
    object
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// The condition of this type, or null.
pub fn condition(object: &Value, type_: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().find(|one| one["type"] == type_).cloned().unwrap_or(Value::Null)
}

/// The candidate on this target.
pub fn candidate(deployment: &Value, target: &str) -> anyhow::Result<Value> {
    let candidates = deployment["status"]["candidates"].as_array().context("no candidates")?;
    candidates.iter().find(|one| one["target"] == target).cloned().with_context(|| format!("no candidate on {target}"))
}

/// The target of the first placement.
pub fn placed_on(deployment: &Value) -> &str {
    deployment["status"]["placements"][0]["target"].as_str().unwrap_or("nowhere")
}

/// Fails unless `text` holds all `parts`.
pub fn tells(text: &Value, parts: &[&str]) -> anyhow::Result<()> {
    let text = text.as_str().unwrap_or_default();
    match parts.iter().find(|part| !text.contains(**part)) {
        Some(part) => bail!("{part:?} is not said in: {text}"),
        None => Ok(()),
    }
}
