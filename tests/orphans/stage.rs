//! A hub and a member for all tests, one after another; each begins with both swept clean.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use roadstead_api::v1alpha1::names;
use roadstead_ground::api_server::ApiServer;
use serde_json::{Value, json};

use crate::operator::{Operator, ROADSTEAD};

/// Time within which an expected change must happen, or the test fails.
const SOON: Duration = Duration::from_mins(1);
/// The namespace on the member.
const SITE: &str = "roadstead";

/// The clusters.
pub struct Stage {
    pub hub: ApiServer,
    pub member: ApiServer,
}

/// The clusters for one test, swept clean. They end with the process.
pub fn stage() -> MutexGuard<'static, Stage> {
    static STAGE: OnceLock<Mutex<Stage>> = OnceLock::new();
    let stage = STAGE.get_or_init(|| Mutex::new(Stage::set())).lock().unwrap_or_else(PoisonError::into_inner);
    stage.clear();
    stage
}

/// Output of a command that must succeed.
pub fn text(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until `check` says yes; `tell` helps to understand why it did not.
pub fn until(what: &str, check: impl Fn() -> bool, tell: impl Fn() -> String) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < SOON, "not within {} s: {what}\n{}", SOON.as_secs(), tell());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn apply(server: &ApiServer, object: &Value) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    text(server.kubectl().args(["apply", "--server-side", "--force-conflicts", "-f"]).arg(file.path()));
}

fn get(server: &ApiServer, args: &[&str]) -> Value {
    serde_json::from_str(&text(server.kubectl().arg("get").args(args).args(["-o", "json"]))).unwrap()
}

fn set_label(server: &ApiServer, object: &[&str], label: &str, value: Option<&str>) {
    let change = value.map_or_else(|| format!("{label}-"), |value| format!("{label}={value}"));
    text(server.kubectl().arg("label").args(object).args(["--overwrite", &change]));
}

/// The objects of a list.
fn items(server: &ApiServer, args: &[&str]) -> Vec<Value> {
    get(server, args)["items"].as_array().unwrap().clone()
}

/// The kinds and names of the objects of a list.
fn listed(server: &ApiServer, args: &[&str]) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items(server, args).iter().map(|object| (word(&object["kind"]), word(&object["metadata"]["name"]))).collect()
}

impl Stage {
    fn set() -> Self {
        let (hub, member) = (ApiServer::start().unwrap(), ApiServer::start().unwrap());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        text(member.kubectl().arg("apply").arg("-f").arg(root.join("deploy/member.yaml")));
        hub.define(&root.join("crds")).unwrap();
        for name in ["roadstead-system", "team"] {
            apply(&hub, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        let stage = Self { hub, member };
        stage.add_node("node", &json!({}), &json!({"nvidia.com/gpu": "8"}), &Value::Null);
        stage.connect();
        stage
    }

    /// A node of the member with these labels, devices and taints, without a machine behind it.
    pub fn add_node(&self, name: &str, labels: &Value, devices: &Value, taints: &Value) {
        apply(&self.member, &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}));
        let mut amounts = json!({"cpu": "64", "memory": "512Gi", "pods": "100", "ephemeral-storage": "1Ti"});
        amounts.as_object_mut().unwrap().extend(devices.as_object().unwrap().clone());
        let ready = json!({"type": "Ready", "status": "True", "reason": "Test", "message": ""});
        let status =
            json!({"status": {"allocatable": amounts, "capacity": amounts, "conditions": [ready]}}).to_string();
        text(self.member.kubectl().args([
            "patch",
            "node",
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ]));
        let taints = json!({"spec": {"taints": taints}}).to_string();
        text(self.member.kubectl().args(["patch", "node", name, "--type=merge", "-p", &taints]));
    }

    /// Takes a node from the member.
    pub fn remove_node(&self, name: &str) {
        text(self.member.kubectl().args(["delete", "node", name]));
    }

    /// The member's kubeconfig as the README has it made: its account's token and embedded data.
    fn connect(&self) {
        let kubeconfig: Value = serde_json::from_str(&text(self.member.kubectl().args([
            "config",
            "view",
            "--raw",
            "--flatten",
            "-o",
            "json",
        ])))
        .unwrap();
        let token = text(self.member.kubectl().args(["-n", SITE, "create", "token", "roadstead-hub", "--duration=6h"]));
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "member",
            "clusters": [{"name": "member", "cluster": kubeconfig["clusters"][0]["cluster"]}],
            "users": [{"name": "hub", "user": {"token": token.trim()}}],
            "contexts": [{"name": "member", "context": {"cluster": "member", "user": "hub"}}],
        });
        apply(
            &self.hub,
            &json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "member", "namespace": "roadstead-system"},
                "stringData": {"kubeconfig": kubeconfig.to_string()},
            }),
        );
    }

    /// Nothing of ours is left on either cluster, and there is a fresh target.
    pub fn clear(&self) {
        self.forget_everything();
        for (kind, name) in listed(&self.hub, &["stgt"]) {
            self.drop_from_hub(&kind, "", &name);
        }
        for server in [&self.hub, &self.member] {
            text(server.kubectl().args(["delete", "events", "--all", "-A", "--wait=false"]));
        }
        for kind in ["deploy", "svc", "pdb", "secret", "configmap"] {
            for (_, name) in listed(&self.member, &[kind, "-n", SITE]) {
                self.finish(kind, &name);
            }
        }
        apply(
            &self.hub,
            &json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
                "spec": {
                    "cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "allowedNamespaces": {},
                    "kubernetes": {
                        "connection": {"kubeconfigSecretRef": {"name": "member", "key": "kubeconfig"}},
                        "expose": {"type": "NodePort", "public": true},
                    },
                    "offers": [{
                        "name": "p5", "instanceType": "p5.48xlarge", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "80",
                    }],
                },
            }),
        );
    }

    /// Deletes an object on the hub at once, finalizers or not.
    fn drop_from_hub(&self, kind: &str, namespace: &str, name: &str) {
        let object = [kind, name, "-n", if namespace.is_empty() { "default" } else { namespace }];
        let no_finalizers = r#"{"metadata": {"finalizers": null}}"#;
        text(self.hub.kubectl().arg("delete").args(object).args(["--wait=false", "--ignore-not-found"]));
        let _ = self.hub.kubectl().arg("patch").args(object).args(["--type=merge", "-p", no_finalizers]).output();
    }

    /// Has the hub forget a deployment and the records of its endpoints, as a restore from a backup would.
    pub fn forget(&self, name: &str) {
        for record in items(&self.hub, &["iep", "-n", "team", "-l", &format!("{}={name}", names::LABEL_DEPLOYMENT)]) {
            self.drop_endpoint(record["metadata"]["name"].as_str().unwrap());
        }
        self.drop_from_hub("mdep", "team", name);
    }

    /// Has the hub forget all deployments and records.
    pub fn forget_everything(&self) {
        for (_, name) in listed(&self.hub, &["mdep", "-n", "team"]) {
            self.drop_from_hub("mdep", "team", &name);
        }
        for (_, name) in listed(&self.hub, &["iep", "-n", "team"]) {
            self.drop_endpoint(&name);
        }
    }

    /// Deletes the record of an endpoint, and its key as the hub's garbage collector would.
    fn drop_endpoint(&self, name: &str) {
        self.drop_from_hub("iep", "team", name);
        for (_, key) in listed(&self.hub, &["secret", "-n", "team", "-l", &format!("{}={name}", names::LABEL_ENDPOINT)])
        {
            self.drop_from_hub("secret", "team", &key);
        }
    }

    /// Ends what is being deleted on the member, as its garbage collector would; or deletes it.
    pub fn finish(&self, kind: &str, name: &str) {
        let object = [kind, name, "-n", SITE];
        let no_finalizers = r#"{"metadata": {"finalizers": null}}"#;
        text(self.member.kubectl().arg("delete").args(object).args([
            "--wait=false",
            "--ignore-not-found",
            "--cascade=background",
        ]));
        let _ = self.member.kubectl().arg("patch").args(object).args(["--type=merge", "-p", no_finalizers]).output();
    }

    /// Starts the operator.
    pub fn operator(&self, more: &[&str]) -> Operator {
        Operator::start(&self.hub.kubeconfig(), self.hub.dir(), more)
    }

    /// Starts the operator with another kubeconfig of the hub.
    pub fn operator_as(&self, kubeconfig: &Path, more: &[&str]) -> Operator {
        Operator::start(kubeconfig, self.hub.dir(), more)
    }

    /// An account on the hub that may do everything but what [`grant`](Self::grant) grants; its kubeconfig.
    pub fn account(&self) -> PathBuf {
        let rules = json!([
            {"apiGroups": ["roadstead.dev"], "resources": ["*/status", "*/finalizers", "servingtargets", "inferenceendpoints"], "verbs": ["*"]},
            {"apiGroups": ["", "events.k8s.io"], "resources": ["*"], "verbs": ["*"]},
        ]);
        for (name, rules) in [("operator", rules), ("operator-deployments", json!([]))] {
            self.role(name, &rules);
            apply(
                &self.hub,
                &json!({
                    "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                    "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "roadstead-system"}],
                }),
            );
        }
        let account = json!({"name": "operator", "namespace": "roadstead-system"});
        apply(&self.hub, &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}));
        let token = text(self.hub.kubectl().args(["-n", "roadstead-system", "create", "token", "operator"]));
        let path = self.hub.dir().join("operator.kubeconfig");
        let administrator = std::fs::read_to_string(self.hub.kubeconfig()).unwrap();
        std::fs::write(&path, administrator.replace("ground-administrator", token.trim())).unwrap();
        path
    }

    /// Grants the account these verbs on deployments.
    pub fn grant(&self, verbs: &[&str]) {
        self.role(
            "operator-deployments",
            &json!([{"apiGroups": ["roadstead.dev"], "resources": ["modeldeployments"], "verbs": verbs}]),
        );
    }

    fn role(&self, name: &str, rules: &Value) {
        apply(
            &self.hub,
            &json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules,
            }),
        );
    }

    /// Asks for a model on one accelerator.
    pub fn deploy(&self, name: &str) {
        apply(
            &self.hub,
            &json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
                "metadata": {"name": name, "namespace": "team"},
                "spec": {
                    "model": {"source": "hf://example/tiny"},
                    "serving": {
                        "engine": "vllm", "image": "registry.example.com/vllm:v0.20.0",
                        "shapes": [{"name": "one", "accelerator": {"type": "H100", "count": 1}}],
                    },
                },
            }),
        );
    }

    /// Waits until the member has everything of these deployments.
    pub fn until_made(&self, deployments: &[&str], operator: &Operator) {
        let made = |name: &str| {
            let label = format!("{}={name}", names::LABEL_DEPLOYMENT);
            ["deploy", "svc", "pdb"]
                .iter()
                .all(|kind| !items(&self.member, &[kind, "-n", SITE, "-l", &label]).is_empty())
        };
        until("everything is made", || deployments.iter().all(|name| made(name)), || operator.log());
    }

    /// Puts a Deployment onto the member that carries tags as the operator writes them, and returns its name.
    pub fn plant(&self, install_id: &str, deployment: &str, target: &str) -> String {
        let name = names::endpoint_name(install_id, "team", deployment, target, "one", "OnDemand", 0);
        self.plant_as(&name, install_id, deployment, target);
        name
    }

    /// The same under a name of the caller's choice.
    pub fn plant_as(&self, name: &str, install_id: &str, deployment: &str, target: &str) {
        let labels = json!({
            names::LABEL_INSTALL_ID: install_id, names::LABEL_NAMESPACE: "team", names::LABEL_DEPLOYMENT: deployment,
            names::LABEL_ENDPOINT: name,
        });
        let tags = json!({
            names::ANNOTATION_TARGET: target, names::ANNOTATION_OFFER: "p5", names::ANNOTATION_SHAPE: "one",
            names::ANNOTATION_CAPACITY_TYPE: "OnDemand", names::ANNOTATION_SLOT: "0",
        });
        let selector = json!({names::LABEL_ENDPOINT: name});
        let limits = json!({"nvidia.com/gpu": "1"});
        apply(
            &self.member,
            &json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "namespace": SITE, "labels": labels, "annotations": tags},
                "spec": {
                    "replicas": 2, "selector": {"matchLabels": selector},
                    "template": {
                        "metadata": {"labels": selector},
                        "spec": {"containers": [{"name": "engine", "image": "x", "resources": {"limits": limits}}]},
                    },
                },
            }),
        );
    }

    /// Puts a Secret onto the member that belongs to a planted Deployment, as the one of an API key.
    pub fn plant_key(&self, endpoint: &str) {
        let labels = json!({names::LABEL_INSTALL_ID: "prod", names::LABEL_ENDPOINT: endpoint});
        let metadata = json!({"name": names::key_secret(endpoint), "namespace": SITE, "labels": labels});
        apply(&self.member, &json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}));
    }

    /// The Deployment of this name on the member, or null.
    pub fn on_member(&self, name: &str) -> Value {
        let all = items(&self.member, &["deploy", "-n", SITE]);
        all.into_iter().find(|object| object["metadata"]["name"] == name).unwrap_or_default()
    }

    /// The name of the only Deployment of `deployment` on the member.
    pub fn made_for(&self, deployment: &str) -> String {
        let label = format!("{}={deployment}", names::LABEL_DEPLOYMENT);
        let all = items(&self.member, &["deploy", "-n", SITE, "-l", &label]);
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]["metadata"]["name"].as_str().unwrap().to_owned()
    }

    /// True if the deletion of this Deployment was asked for, or is over.
    pub fn is_leaving(&self, name: &str) -> bool {
        let object = self.on_member(name);
        object.is_null() || !object["metadata"]["deletionTimestamp"].is_null()
    }

    /// Number of an endpoint's objects on the member beside its Deployment.
    pub fn belongings(&self, endpoint: &str) -> usize {
        let label = format!("{}={endpoint}", names::LABEL_ENDPOINT);
        ["svc", "pdb", "secret"].iter().map(|kind| items(&self.member, &[kind, "-n", SITE, "-l", &label]).len()).sum()
    }

    /// Says on the member that another hub owns it.
    pub fn claim_for_another_hub(&self) {
        apply(
            &self.member,
            &json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "roadstead-prod", "namespace": SITE},
                "data": {"hubUID": "another-hub"},
            }),
        );
    }

    /// All objects of a kind on the hub.
    pub fn on_hub(&self, kind: &str) -> Vec<Value> {
        items(&self.hub, &[kind, "-A"])
    }

    /// Asks for the deletion of a deployment.
    pub fn delete(&self, name: &str) {
        text(self.hub.kubectl().args(["delete", "mdep", name, "-n", "team", "--wait=false"]));
    }

    /// Waits until a deployment is gone, with what the member's garbage collector has to do done.
    pub fn until_gone(&self, name: &str, operator: &Operator) {
        let gone = || {
            for object in items(&self.member, &["deploy", "-n", SITE]) {
                if object["metadata"]["deletionTimestamp"].is_string() {
                    self.finish("deploy", object["metadata"]["name"].as_str().unwrap());
                }
            }
            self.on_hub("mdep").iter().all(|object| object["metadata"]["name"] != name)
        };
        until(&format!("{name} is gone"), gone, || operator.log());
    }

    /// Sets or takes away a label of an endpoint's record.
    pub fn label_record(&self, name: &str, label: &str, value: Option<&str>) {
        set_label(&self.hub, &["iep", name, "-n", "team"], label, value);
    }

    /// Sets or takes away a label of an object on the member.
    pub fn label_on_member(&self, kind: &str, name: &str, label: &str, value: Option<&str>) {
        set_label(&self.member, &[kind, name, "-n", SITE], label, value);
    }

    /// The target.
    pub fn target(&self) -> Value {
        get(&self.hub, &["stgt", "east"])
    }

    /// The reason why the target is or is not ready.
    pub fn target_reason(&self) -> String {
        let target = self.target();
        let conditions = target["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|one| one["type"] == "Ready").cloned().unwrap_or_default();
        ready["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The orphans in the target's status: the deployment and the state of each, ordered.
    pub fn orphans(&self) -> Vec<(String, String)> {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let orphans = self.target()["status"]["orphans"].as_array().cloned().unwrap_or_default();
        let mut orphans: Vec<_> = orphans.iter().map(|one| (word(&one["deployment"]), word(&one["state"]))).collect();
        orphans.sort();
        orphans
    }

    /// Waits until the target's status shows exactly these orphans.
    pub fn until_orphans(&self, expected: &[(&str, &str)], operator: &Operator) {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
        until(
            &format!("the orphans are {expected:?}"),
            || self.orphans() == expected,
            || format!("{:?}\n{}", self.orphans(), operator.log()),
        );
    }

    /// True if an event with this reason and these words was published.
    pub fn was_told(&self, reason: &str, words: &str) -> bool {
        let events = items(&self.hub, &["events.events.k8s.io", "-n", "default"]);
        events
            .iter()
            .any(|event| event["reason"] == reason && event["note"].as_str().is_some_and(|note| note.contains(words)))
    }

    /// Output of `roadstead orphans`.
    pub fn roadstead_orphans(&self, more: &[&str]) -> String {
        text(Command::new(ROADSTEAD).arg("orphans").arg("--kubeconfig").arg(self.hub.kubeconfig()).args(more))
    }
}

/// Waits until the operator has looked for orphans so many times more.
pub fn until_looked(times: usize, operator: &Operator) {
    const LINE: &str = "looked for orphans";
    let before = operator.count(LINE);
    until("it looks again", || operator.count(LINE) >= before + times, || operator.log());
}
