//! One API server for all tests that only look, with the definitions installed and the namespaces that manifests name;
//! and what it says of the manifests.

use std::sync::OnceLock;

use roadstead_ground::api_server::ApiServer;
use roadstead_ground::command::{feed, finish};
use serde_json::{Value, json};

use crate::helm::{at, objects, of_kind, only, path, text};
use crate::variants::{GATEWAY_VARIANTS, VARIANTS, manifests};

static SERVER: OnceLock<ApiServer> = OnceLock::new();

/// The server, started by whoever asks first. It ends with the process.
pub fn server() -> &'static ApiServer {
    SERVER.get_or_init(|| {
        let server = ApiServer::start().expect("an API server");
        server.define(&path("crds")).expect("the definitions");
        server.define(&path("tests/chart/monitoring.yaml")).expect("the Prometheus operator's definitions");
        // With its labels for pod security.
        let namespace = only(&objects(&text("deploy/install.yaml")), "Namespace").to_string();
        feed(server.kubectl().args(["apply", "-f", "-"]), &namespace).unwrap();
        for namespace in ["team-a", "team-b", "demo", "roadstead-routes", "routes"] {
            finish(server.kubectl().args(["create", "namespace", namespace])).unwrap();
        }
        server
    })
}

/// Has the server judge a manifest without keeping it; returns its complaint.
fn judged(manifest: &str) -> Result<(), String> {
    let mut apply = server().kubectl();
    apply.args(["apply", "--server-side", "--dry-run=server", "--force-conflicts", "--warnings-as-errors", "-f", "-"]);
    feed(&mut apply, manifest).map(drop).map_err(|error| error.to_string())
}

#[test]
fn the_api_server_takes_every_manifest_without_a_warning() {
    for (name, manifest) in manifests() {
        // What a manifest puts into a namespace of its own is refused while that is not there.
        let own: Vec<Value> = of_kind(&objects(&manifest), "Namespace").into_iter().cloned().collect();
        for namespace in own {
            feed(server().kubectl().args(["apply", "-f", "-"]), &namespace.to_string()).unwrap();
        }
        judged(&manifest).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The pods of a manifest as their controllers would make them.
fn pods(manifest: &str) -> Vec<Value> {
    let pod = |deployment: &Value| {
        let template = at(deployment, "/spec/template");
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod", "namespace": "roadstead-system", "labels": template["metadata"]["labels"]},
            "spec": template["spec"],
        })
    };
    of_kind(&objects(manifest), "Deployment").into_iter().map(pod).collect()
}

#[test]
fn a_namespace_that_enforces_restricted_pods_admits_ours() {
    let of_charts: Vec<&str> = VARIANTS.iter().chain(&GATEWAY_VARIANTS).map(|(variant, _)| *variant).collect();
    let variants = manifests().into_iter().filter(|(name, _)| of_charts.contains(&name.as_str()));
    for (variant, manifest) in variants {
        for pod in pods(&manifest) {
            judged(&pod.to_string()).unwrap_or_else(|error| panic!("{variant}: {error}"));
        }
    }
    // The same server refuses what is less restricted: it does enforce.
    let (_, manifest) = manifests().into_iter().find(|(name, _)| name == "default").unwrap();
    let mut loose = pods(&manifest).remove(0);
    loose["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let error = judged(&loose.to_string()).unwrap_err();
    assert!(error.contains("violates PodSecurity \"restricted"), "{error}");
}
