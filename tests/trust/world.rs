//! A hub and a member, with the rights that are shipped and everything that the operator needs.

use std::process::Command;
use std::time::{Duration, Instant};

use roadstead_ground::api_server::ApiServer;
use roadstead_ground::audit::Audited;
use roadstead_ground::command::{feed, finish};
use roadstead_ground::tools::Tools;
use serde_json::{Value, json};

/// The operator's namespace on the hub.
pub const SYSTEM: &str = "roadstead-system";
/// The tenant's namespace on the hub.
pub const TEAM: &str = "team";
/// The namespace on the member.
pub const MEMBER: &str = "roadstead";

const SOON: Duration = Duration::from_mins(1);

/// The hub and the member.
pub struct World {
    pub hub: ApiServer,
    pub member: ApiServer,
}

impl World {
    /// Two API servers: the charts on the one, the member manifest and a node on the other.
    pub fn make() -> Self {
        let audited = || ApiServer::start_audited(&Audited::Everything).unwrap();
        let world = Self { hub: audited(), member: audited() };
        finish(world.hub.kubectl().args(["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")])).unwrap();
        for namespace in [SYSTEM, TEAM] {
            apply(&world.hub, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        }
        let rights: Vec<Value> = chart().into_iter().filter(is_about_rights).collect();
        apply(&world.hub, &json!({"apiVersion": "v1", "kind": "List", "items": rights}));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/member.yaml");
        finish(world.member.kubectl().args(["apply", "-f", manifest])).unwrap();
        world.add_node();
        world
    }

    /// A node at this machine's own address, with eight accelerators.
    fn add_node(&self) {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
        apply(&self.member, &node);
        let allocatable =
            json!({"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "110", "nvidia.com/gpu": "8"});
        let status = json!({
            "allocatable": allocatable, "capacity": allocatable,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "Said", "message": ""}],
        });
        patch_status(&self.member, &["node", "n1"], &status);
        finish(self.member.kubectl().args(["patch", "node", "n1", "-p", r#"{"spec":{"taints":[]}}"#])).unwrap();
    }

    /// A token of the account with which the operator works on the hub.
    pub fn hub_token(&self) -> String {
        finish(self.hub.kubectl().args(["create", "token", "roadstead", "-n", SYSTEM])).unwrap()
    }

    /// A token of the account with which the operator works on the member.
    pub fn member_token(&self) -> String {
        finish(self.member.kubectl().args(["create", "token", "roadstead-hub", "-n", MEMBER])).unwrap()
    }

    /// Puts a kubeconfig where the target looks for it.
    pub fn put_kubeconfig(&self, kubeconfig: &str) {
        self.put_secret(SYSTEM, "east", "Opaque", &json!({"kubeconfig": kubeconfig}));
    }

    /// Puts a Secret on the hub.
    pub fn put_secret(&self, namespace: &str, name: &str, kind: &str, data: &Value) {
        apply(
            &self.hub,
            &json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
                "type": kind, "stringData": data,
            }),
        );
    }

    /// The newest endpoint of the team that is not going.
    pub fn endpoint(&self) -> Option<Value> {
        let list = get(&self.hub, &["iep", "-n", TEAM])?;
        let items = list["items"].as_array()?;
        items
            .iter()
            .find(|item| item["metadata"]["deletionTimestamp"].is_null() && item["spec"]["state"] == "Active")
            .cloned()
    }

    /// The value under a key of a Secret on the hub.
    pub fn secret(&self, namespace: &str, name: &str, key: &str) -> Option<String> {
        let secret = get(&self.hub, &["secret", name, "-n", namespace])?;
        let bytes = data_encoding::BASE64.decode(secret["data"][key].as_str()?.as_bytes()).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Sets the status that a kubelet and a controller would set for the Deployment: all replicas run the newest
    /// template and are ready.
    pub fn make_ready(&self, name: &str) {
        let deployment = get(&self.member, &["deployment", name, "-n", MEMBER]).unwrap();
        let replicas = &deployment["spec"]["replicas"];
        let status = json!({
            "observedGeneration": deployment["metadata"]["generation"], "replicas": replicas,
            "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
        });
        patch_status(&self.member, &["deployment", name, "-n", MEMBER], &status);
    }

    /// Removes the finalizers that a garbage collector would remove.
    pub fn collect_garbage(&self) {
        let Some(list) = get(&self.member, &["deployment", "-n", MEMBER]) else { return };
        for item in list["items"].as_array().into_iter().flatten() {
            if item["metadata"]["deletionTimestamp"].is_string() {
                let name = item["metadata"]["name"].as_str().unwrap();
                let label = format!("{}={name}", roadstead_api::v1alpha1::names::LABEL_ENDPOINT);
                let pods =
                    ["delete", "pods", "-n", MEMBER, "-l", &label, "--force", "--grace-period=0", "--wait=false"];
                let _ = self.member.kubectl().args(pods).output();
                let patch = r#"{"metadata":{"finalizers":null}}"#;
                let args = ["patch", "deployment", name, "-n", MEMBER, "--type=merge", "-p", patch];
                let _ = self.member.kubectl().args(args).output();
            }
        }
    }
}

/// The objects of the operator's chart.
pub fn chart() -> Vec<Value> {
    let helm = Tools::locate().unwrap().path("helm");
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/roadstead");
    let args =
        ["template", "roadstead", chart, "--namespace", SYSTEM, "--kube-version", "1.33.0", "--set", "installId=prod"];
    let rendered = finish(Command::new(helm).args(args)).unwrap();
    objects(&rendered)
}

/// The objects of a manifest.
pub fn objects(manifest: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn is_about_rights(object: &Value) -> bool {
    let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
    kinds.contains(&object["kind"].as_str().unwrap_or_default())
}

/// Applies an object as the administrator.
pub fn apply(server: &ApiServer, object: &Value) {
    feed(server.kubectl().args(["apply", "-f", "-"]), &object.to_string()).unwrap();
}

/// Gets something as JSON, as the administrator.
pub fn get(server: &ApiServer, what: &[&str]) -> Option<Value> {
    let output = server.kubectl().arg("get").args(what).args(["-o", "json"]).output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

/// Merges a change into an object as the administrator.
pub fn patch(server: &ApiServer, what: &[&str], change: &Value) {
    finish(server.kubectl().arg("patch").args(what).args(["--type=merge", "-p", &change.to_string()])).unwrap();
}

/// Sets a status as the administrator.
pub fn patch_status(server: &ApiServer, what: &[&str], status: &Value) {
    let change = json!({"status": status}).to_string();
    let args = ["--subresource=status", "--type=merge", "-p", &change];
    finish(server.kubectl().arg("patch").args(what).args(args)).unwrap();
}

/// Deletes something as the administrator, without waiting.
pub fn delete(server: &ApiServer, what: &[&str]) {
    finish(server.kubectl().arg("delete").args(what).arg("--wait=false")).unwrap();
}

/// Waits until `check` gives something.
pub fn until<T>(what: &str, check: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < SOON, "not within {} s: {what}", SOON.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// True if the condition Ready of an object has this reason.
pub fn is_ready_with(object: &Value, reason: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["reason"] == reason)
}
