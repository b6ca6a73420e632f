//! Golden files of an endpoint's objects on a member, and the changes that restart pods. `UPDATE_GOLDEN=1` writes the
//! files again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::*;
use roadstead_api::v1alpha1::Expose;
use roadstead_provider::{Redacted, Secret};

fn endpoint(change: &Value) -> InferenceEndpoint {
    let mut object = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": "llama-abcdefghijkl", "namespace": "team-a", "uid": "endpoint-uid"},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "deployment-uid"},
            "target": "gke-eu", "cloud": "gcp", "region": "europe-west4", "offer": "a3", "shape": "h100x2",
            "accelerator": {"type": "H100", "count": 2, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 2, "state": "Active", "reason": "InitialPlacement",
            "imagePullSecrets": [{"name": "registry"}],
            "template": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "port": 8000,
                "args": ["--tensor-parallel-size=2"],
                "env": [
                    {"name": "A", "value": "b"},
                    {"name": "C", "secretKeyRef": {"name": "settings", "key": "c"}},
                    {"name": "VLLM_API_KEY", "value": "not-the-users-to-give"},
                ],
                "resources": {"requests": {"cpu": "8", "memory": "64Gi"}},
                "model": {
                    "source": "hf://meta-llama/Llama-3.3-70B-Instruct", "revision": "main", "name": "llama-3.3-70b",
                    "credentialsSecretRef": {"name": "hf-token"},
                },
                "nodes": {"selector": {"pool": "a3"}, "tolerations": [{"key": "reserved", "operator": "Exists"}]},
                "startupTimeoutSeconds": 1200, "drainTimeoutSeconds": 120,
            },
        },
    });
    merge(&mut object, change);
    serde_json::from_value(object).unwrap()
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

fn identity(endpoint: &InferenceEndpoint) -> Identity<'_> {
    Identity { endpoint, install_id: "prod", namespace: "roadstead", owner_uid: Some("key-uid") }
}

fn golden(name: &str, objects: &[Value]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/render").join(name);
    let documents: Vec<String> = objects.iter().map(|object| serde_saphyr::to_string(object).unwrap()).collect();
    let rendered = documents.join("---\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        rendered == expected,
        "{} is not what is rendered; look at the difference after UPDATE_GOLDEN=1:\n{rendered}",
        path.display()
    );
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap()
}

fn objects(endpoint: &InferenceEndpoint, expose: &Value, rollout: Rollout) -> Vec<Value> {
    let identity = identity(endpoint);
    let expose: Expose = serde_json::from_value(expose.clone()).unwrap();
    let template = pod_template(&identity, "HASH");
    let record = Some("RECORD".into());
    let deployment = deployment(&identity, template, "RENDERED".into(), "HASH".into(), record, rollout);
    vec![value(&deployment), value(&service(&identity, &expose)), value(&disruption_budget(&identity))]
}

#[test]
fn vllm_behind_a_load_balancer() {
    let expose = json!({
        "type": "LoadBalancer",
        "loadBalancer": {"class": "internal", "annotations": {"a": "b"}, "sourceRanges": ["10.0.0.0/8"]},
    });
    golden("vllm-load-balancer.yaml", &objects(&endpoint(&json!({})), &expose, Rollout::Surge));
}

#[test]
fn a_custom_engine_on_a_node_port() {
    let change = json!({"spec": {
        "imagePullSecrets": [],
        "template": {
            "engine": "custom", "image": "registry.example/engine:1", "env": [], "args": ["--fast"],
            "custom": {"command": ["/serve"], "readinessPath": "/ready", "livenessPath": "/live"},
            "model": {"credentialsSecretRef": null}, "nodes": {"selector": {}, "tolerations": []},
            "drainTimeoutSeconds": 0,
        },
    }});
    let expose = json!({"type": "NodePort", "public": true});
    golden("custom-node-port.yaml", &objects(&endpoint(&change), &expose, Rollout::InPlace));
}

#[test]
fn variables_come_in_the_order_in_which_they_can_refer_to_each_other() {
    let change = json!({"spec": {"template": {"engine": "custom", "env": [
        {"name": "TOKEN", "value": "$(ROADSTEAD_API_KEY)"},
        {"name": "ALL", "value": "$(TOKEN) $(ROADSTEAD_MODEL_NAME)"},
        {"name": "HF_HOME", "value": "/elsewhere"},
        {"name": "ROADSTEAD_API_KEY", "value": "not-the-users-to-give"},
    ]}}});
    let endpoint = endpoint(&change);
    let template = value(&pod_template(&identity(&endpoint), "HASH"));
    let env = template["spec"]["containers"][0]["env"].as_array().unwrap();
    let names: Vec<&str> = env.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    let own = ["ROADSTEAD_API_KEY", "ROADSTEAD_MODEL_NAME", "ROADSTEAD_PORT", "ROADSTEAD_MODEL_SOURCE"];
    assert_eq!(names, [&own[..], &["ROADSTEAD_MODEL_REVISION", "TOKEN", "ALL", "HF_HOME"]].concat());
    assert_eq!(env[0]["valueFrom"]["secretKeyRef"]["key"], "apiKey");
}

#[test]
fn the_key_owns_the_rest_and_is_owned_by_nobody() {
    let endpoint = endpoint(&json!({}));
    let key = key_secret(&Identity { owner_uid: None, ..identity(&endpoint) }, &Redacted::new("rs-x".into()));
    assert!(key.metadata.owner_references.is_none());
    let copy =
        copied_secret(&identity(&endpoint), "hf-token", &Secret { kind: "Opaque".into(), data: BTreeMap::new() });
    assert_eq!(copy.metadata.owner_references.unwrap()[0].uid, "key-uid");
    assert!(copy.metadata.name.unwrap().len() <= 63);
}

fn hash(change: &Value, token: &str) -> String {
    let data = [("HF_TOKEN".to_owned(), k8s_openapi::ByteString(token.as_bytes().to_vec()))].into();
    let secrets = [("hf-token".to_owned(), Secret { kind: "Opaque".into(), data })].into();
    template_hash(&endpoint(change).spec, &secrets).unwrap()
}

#[test]
fn pods_change_with_what_they_are_made_from_and_with_nothing_else() {
    let before = hash(&json!({}), "t");
    for same in [
        json!({"metadata": {"uid": "another"}}),
        json!({"spec": {"replicas": 7}}),
        json!({"spec": {"state": "Draining", "reason": "Replaced"}}),
        json!({"spec": {"deploymentRef": {"uid": "of a rebuilt hub"}}}),
        json!({"spec": {"imagePullSecrets": []}}),
        json!({"spec": {"hourlyCost": "1.00"}}),
    ] {
        assert_eq!(hash(&same, "t"), before, "{same}");
    }
    for other in [
        json!({"spec": {"template": {"image": "vllm/vllm-openai:v0.21.0"}}}),
        json!({"spec": {"template": {"args": []}}}),
        json!({"spec": {"accelerator": {"count": 4}}}),
        json!({"spec": {"template": {"drainTimeoutSeconds": 60}}}),
    ] {
        assert_ne!(hash(&other, "t"), before, "{other}");
    }
    assert_ne!(hash(&json!({}), "another token"), before, "a rotated credential reaches the environment");
}

#[test]
fn limits_reach_the_container_beside_those_of_its_accelerators() {
    let limits = json!({"cpu": "16", "memory": "64Gi", "ephemeral-storage": "100Gi"});
    let endpoint = endpoint(&json!({"spec": {"template": {"resources": {"limits": limits}}}}));
    let resources = value(&pod_template(&identity(&endpoint), "HASH"))["spec"]["containers"][0]["resources"].clone();
    assert_eq!(resources["requests"], json!({"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "2"}));
    let mut wanted = limits;
    wanted["nvidia.com/gpu"] = json!("2");
    assert_eq!(resources["limits"], wanted);
    assert_ne!(
        hash(&json!({"spec": {"template": {"resources": {"limits": {"cpu": "16"}}}}}), "t"),
        hash(&json!({}), "t")
    );
}

#[test]
fn an_upgrade_of_roadstead_changes_no_hash() {
    // Pods that run were made under this: another number here restarts all of them. A new field of a template is left
    // out where it is absent.
    assert_eq!(hash(&json!({}), "t"), "e3e935f6f1642037da6387f419125d390d0a2876b85fc5fce9353a2abad9df88");
}

#[test]
fn no_uid_of_the_hub_reaches_the_pods() {
    let endpoint = endpoint(&json!({}));
    let template = value(&pod_template(&identity(&endpoint), "HASH")).to_string();
    for uid in ["endpoint-uid", "deployment-uid", "key-uid"] {
        assert!(!template.contains(uid), "{uid} is in the pod template: a rebuilt hub would restart the pods");
    }
}

#[test]
fn a_pod_has_no_token_no_privileges_and_nothing_of_its_host() {
    for engine in ["vllm", "custom"] {
        let endpoint = endpoint(&json!({"spec": {"template": {"engine": engine}}}));
        let template = value(&pod_template(&identity(&endpoint), "HASH"));
        let pod = &template["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        assert_eq!(pod["securityContext"], json!({"seccompProfile": {"type": "RuntimeDefault"}}));
        for absent in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "priorityClassName", "initContainers"]
        {
            assert!(pod[absent].is_null(), "{absent}");
        }
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume["emptyDir"].is_object(), "{volume}");
        }
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
            assert!(context["privileged"].is_null() && context["capabilities"]["add"].is_null());
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                assert!(container[probe]["httpGet"]["httpHeaders"].is_null(), "the kubelet has no key");
            }
        }
    }
}
