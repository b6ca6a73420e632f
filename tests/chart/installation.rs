//! Another installation id is refused by Helm while endpoints of the former exist.

use roadstead_api::v1alpha1::names;
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::command::{feed, finish};
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, helm, only, path, rendered};

/// The record of an endpoint, with these labels.
fn record(labels: &Value) -> String {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": "llama-abcdefghijkl", "namespace": "team-a", "labels": labels},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "t", "cloud": "aws", "region": "eu-west-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {
                "engine": "vllm", "image": "i", "port": 8000, "model": {"name": "a"}, "startupTimeoutSeconds": 60,
                "drainTimeoutSeconds": 1,
            },
        },
    })
    .to_string()
}

/// Helm's answer to a dry run with this id and these values.
fn tried(server: &ApiServer, id: &str, values: &str) -> Result<(), String> {
    let (kubeconfig, chart) = (server.kubeconfig(), path("charts/roadstead"));
    let args = ["install", "roadstead", chart.to_str().unwrap(), "--namespace", NAMESPACE, "--dry-run=server"];
    let set = format!("installId={id}{values}");
    let more = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--take-ownership", "--set", &set];
    helm(&[&args[..], &more].concat()).map(drop)
}

#[test]
fn another_id_is_refused_while_endpoints_of_the_former_exist() {
    let server = ApiServer::start().unwrap();
    tried(&server, "staging", "").expect("without the definitions there is no endpoint");
    server.define(&path("crds")).unwrap();
    for namespace in [NAMESPACE, "team-a", "team-b"] {
        finish(server.kubectl().args(["create", "namespace", namespace])).unwrap();
    }
    let apply = |manifest: &str| feed(server.kubectl().args(["apply", "-f", "-"]), manifest).unwrap();
    tried(&server, "staging", "").expect("without endpoints every id is good");

    apply(&record(&json!({names::LABEL_INSTALL_ID: "prod"})));
    tried(&server, "prod", "").unwrap();
    tried(&server, "staging", ",watchNamespaces={team-b}").expect("what is not watched does not count");
    for values in ["", ",watchNamespaces={team-a}"] {
        let error = tried(&server, "staging", values).unwrap_err();
        for part in
            ["installId \"staging\"", "team-a/llama-abcdefghijkl", "set installId back to \"prod\"", "delete all"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    // The record of a release that did not name its installation: the Deployment of the release does.
    apply(&record(&json!({})));
    tried(&server, "staging", "").expect("nothing says which installation made it");
    apply(&only(&rendered(&[]), "Deployment").to_string());
    assert!(tried(&server, "staging", "").unwrap_err().contains("set installId back to \"prod\""));
    tried(&server, "prod", "").unwrap();
}
