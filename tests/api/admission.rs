//! Members whose admission changes what it is asked for: what it makes of our writes is accepted, nothing is written
//! again and again, and what somebody changes by hand is put right all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use roadstead_provider::{Observation, Wanted, Workload};
use serde_json::{Value, json};

use crate::member::{Member, NAME, wanted};
use crate::server::{apply, kubectl, text};

/// Puts another image in the place of ours; done twice, it would be another one still.
const MIRROR: &str = r#"JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/image",
    value: "mirror.example/" + object.spec.template.spec.containers[0].image}"#;
const IMAGE: &str = "vllm/vllm-openai:v0.20.0";
const MIRRORED: &str = "mirror.example/vllm/vllm-openai:v0.20.0";

/// Changes of a policy: operations, kinds and patch.
struct Policy {
    operations: &'static [&'static str],
    /// API groups and resources.
    resources: &'static [(&'static str, &'static str)],
    patches: &'static str,
}

const DEPLOYMENTS: &[(&str, &str)] = &[("apps", "deployments")];

/// Installs a policy for a namespace, and waits until the server acts by it.
fn install(namespace: &str, policy: &Policy) {
    let rule = |(group, resource): &(&str, &str), operations: &[&str]| json!({"apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": [resource]});
    let mut rules: Vec<Value> = policy.resources.iter().map(|kind| rule(kind, policy.operations)).collect();
    rules.push(rule(&("", "configmaps"), &["CREATE"]));
    let mark = r#"[JSONPatch{op: "add", path: "/metadata/labels", value: {"active": "yes"}}]"#;
    let expression = format!(r#"object.kind == "ConfigMap" ? {mark} : [{}]"#, policy.patches);
    let objects = [
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {"resourceRules": rules}, "failurePolicy": "Fail", "reinvocationPolicy": "Never",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
            },
        }),
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {"policyName": namespace, "matchResources": {"namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": namespace},
            }}},
        }),
    ];
    for object in objects {
        apply(namespace, &object.to_string());
    }
    let start = Instant::now();
    let probe = ["create", "configmap", "probe", "--dry-run=server", "-o", "jsonpath={.metadata.labels.active}"];
    while text(kubectl(namespace).args(probe)) != "yes" {
        assert!(start.elapsed() < Duration::from_secs(30), "the policy of {namespace} is not in force");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A member under a policy, with the endpoint that is wanted on it.
struct Place {
    namespace: &'static str,
    member: Member,
    wanted: Wanted,
}

impl Place {
    async fn under(namespace: &'static str, policy: &Policy) -> Self {
        let member = Member::new(namespace).await;
        install(namespace, policy);
        let wanted = wanted();
        member.driver.ensure(&wanted).await.unwrap();
        Self { namespace, member, wanted }
    }

    async fn deployment(&self) -> Deployment {
        self.member.api::<Deployment>().get(NAME).await.unwrap()
    }

    async fn image(&self) -> String {
        let spec = self.deployment().await.spec.unwrap().template.spec.unwrap();
        spec.containers[0].image.clone().unwrap()
    }

    /// Generation of its spec: each change of the template is a rollout.
    async fn generation(&self) -> i64 {
        self.deployment().await.metadata.generation.unwrap()
    }

    /// The fields that admission changed; nothing is left to be written, and asked again nothing is.
    async fn settled(&self) -> Vec<String> {
        let before = self.member.versions();
        let Observation::Present(present) = self.member.driver.observe(&self.wanted).await.unwrap() else {
            panic!("it is there");
        };
        assert!(present.in_sync, "something is left to be written");
        self.member.driver.ensure(&self.wanted).await.unwrap();
        assert_eq!(self.member.versions(), before, "asked again, it wrote again");
        present.changed_by_admission
    }

    /// Goes on as an operator that was started anew.
    async fn restart(self) -> Self {
        Self { member: Member::new(self.namespace).await, ..self }
    }

    async fn edit(&mut self, change: impl FnOnce(&mut roadstead_api::v1alpha1::InferenceEndpointSpec)) {
        let mut endpoint = (*self.wanted.endpoint).clone();
        change(&mut endpoint.spec);
        self.wanted.endpoint = Arc::new(endpoint);
        assert!(!self.member.in_sync(&self.wanted).await, "the edit is not seen");
        self.member.driver.ensure(&self.wanted).await.unwrap();
    }

    async fn by_hand(&self, change: &Value) {
        let api: Api<Deployment> = self.member.api();
        api.patch(NAME, &PatchParams::default(), &Patch::Strategic(change)).await.unwrap();
    }

    async fn image_by_hand(&self) {
        let container = json!({"name": "engine", "image": "localhost/other:v1"});
        self.by_hand(&json!({"spec": {"template": {"spec": {"containers": [container]}}}})).await;
        assert!(!self.member.in_sync(&self.wanted).await, "the edit by hand is not seen");
        self.member.driver.ensure(&self.wanted).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_policy_makes_of_every_write_is_accepted() {
    let policy = Policy { operations: &["CREATE", "UPDATE"], resources: DEPLOYMENTS, patches: MIRROR };
    let mut place = Place::under("mirror-always", &policy).await;
    let changed = ["Deployment spec.template.spec.containers[engine].image"];
    assert_eq!(place.settled().await, changed);
    assert_eq!((place.image().await.as_str(), place.generation().await), (MIRRORED, 1));
    place = place.restart().await;
    assert_eq!(place.settled().await, changed);
    // This policy would change its own result again.
    place.edit(|spec| spec.replicas = 3).await;
    assert_eq!((place.image().await.as_str(), place.generation().await), (MIRRORED, 2));
    assert_eq!(place.settled().await, changed);
    place.edit(|spec| spec.template.image = "vllm/vllm-openai:v0.21.0".to_owned()).await;
    assert_eq!(place.image().await, "mirror.example/vllm/vllm-openai:v0.21.0");
    assert_eq!(place.settled().await, changed);
}

#[tokio::test]
async fn what_a_policy_makes_of_a_creation_stays_when_something_else_is_edited() {
    let policy = Policy { operations: &["CREATE"], resources: DEPLOYMENTS, patches: MIRROR };
    let mut place = Place::under("mirror-create", &policy).await;
    let changed = ["Deployment spec.template.spec.containers[engine].image"];
    assert_eq!(place.settled().await, changed);
    assert_eq!((place.image().await.as_str(), place.generation().await), (MIRRORED, 1));
    place = place.restart().await;
    place.edit(|spec| spec.replicas = 3).await;
    assert_eq!((place.image().await.as_str(), place.generation().await), (MIRRORED, 2));
    assert_eq!(place.settled().await, changed);
    place = place.restart().await;
    assert_eq!(place.settled().await, changed);
    place.image_by_hand().await;
    assert_eq!(place.image().await, MIRRORED, "as it was before");
    assert_eq!(place.settled().await, changed);
    // A new image is asked for; this policy does not look at updates.
    place.edit(|spec| spec.template.image = "vllm/vllm-openai:v0.21.0".to_owned()).await;
    assert_eq!(place.image().await, "vllm/vllm-openai:v0.21.0");
    assert_eq!(place.settled().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_edit_by_hand_that_nothing_remembers_is_put_right_to_what_is_declared() {
    let policy = Policy { operations: &["CREATE"], resources: DEPLOYMENTS, patches: MIRROR };
    let mut place = Place::under("mirror-forgotten", &policy).await;
    place = place.restart().await;
    place.image_by_hand().await;
    assert_eq!(place.image().await, IMAGE);
    assert_eq!(place.settled().await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_is_written_after_a_creation_that_a_policy_would_change() {
    let policy = Policy { operations: &["UPDATE"], resources: DEPLOYMENTS, patches: MIRROR };
    let place = Place::under("mirror-update", &policy).await;
    assert_eq!(place.settled().await, Vec::<String>::new());
    assert_eq!((place.image().await.as_str(), place.generation().await), (IMAGE, 1));
    // Whoever writes something makes it act: what comes of it stays.
    place.by_hand(&json!({"metadata": {"labels": {"theirs": "yes"}}})).await;
    assert_eq!((place.image().await.as_str(), place.generation().await), (MIRRORED, 2));
    assert_eq!(place.settled().await, ["Deployment spec.template.spec.containers[engine].image"]);
    assert_eq!(place.generation().await, 2);
}

#[tokio::test]
async fn resources_tolerations_probes_and_strategy_are_a_members_to_change() {
    let policy = Policy {
        operations: &["CREATE", "UPDATE"],
        resources: DEPLOYMENTS,
        patches: r#"JSONPatch{op: "add", path: "/spec/template/spec/tolerations/-",
                value: Object.spec.template.spec.tolerations{key: "example.com/class", operator: "Exists"}},
            JSONPatch{op: "add", path: "/spec/template/spec/containers/0/resources/requests", value: {"cpu": "500m"}},
            JSONPatch{op: "replace", path: "/spec/template/spec/containers/0/livenessProbe/periodSeconds", value: 30},
            JSONPatch{op: "add", path: "/spec/template/spec/containers/0/lifecycle",
                value: Object.spec.template.spec.containers.lifecycle{}},
            JSONPatch{op: "replace", path: "/spec/progressDeadlineSeconds", value: 99}"#,
    };
    let mut place = Place::under("autopilot", &policy).await;
    let changed = [
        "Deployment spec.progressDeadlineSeconds",
        "Deployment spec.template.spec.containers[engine].lifecycle.preStop",
        "Deployment spec.template.spec.containers[engine].livenessProbe.periodSeconds",
        "Deployment spec.template.spec.containers[engine].resources.requests[nvidia.com/gpu]",
        "Deployment spec.template.spec.tolerations",
    ];
    assert_eq!((place.settled().await, place.generation().await), (changed.map(ToOwned::to_owned).to_vec(), 1));
    place = place.restart().await;
    assert_eq!((place.settled().await, place.generation().await), (changed.map(ToOwned::to_owned).to_vec(), 1));
    place.edit(|spec| spec.replicas = 3).await;
    assert_eq!(place.generation().await, 2);
    assert_eq!(place.settled().await, changed);
    // By hand, one of the very fields.
    place.by_hand(&json!({"spec": {"progressDeadlineSeconds": 77}})).await;
    assert_eq!(place.settled().await, changed, "the policy put it back itself");
}

#[tokio::test]
async fn every_kind_of_object_may_be_changed() {
    let policy = Policy {
        operations: &["CREATE", "UPDATE"],
        resources: &[("apps", "deployments"), ("", "services"), ("", "secrets"), ("policy", "poddisruptionbudgets")],
        patches: r#"JSONPatch{op: "replace", path: "/metadata/labels/app.kubernetes.io~1managed-by", value: "platform"},
            JSONPatch{op: "replace", path: "/metadata/annotations/roadstead.dev~1offer", value: "theirs"}"#,
    };
    let mut place = Place::under("every-kind", &policy).await;
    let changed = place.settled().await;
    for kind in ["Deployment", "Service", "PodDisruptionBudget", "Secret"] {
        for field in ["labels[app.kubernetes.io/managed-by]", "annotations[roadstead.dev/offer]"] {
            let field = format!("{kind} metadata.{field}");
            assert!(changed.contains(&field), "{field} is not among {changed:?}");
        }
    }
    assert_eq!(changed.len(), 8);
    place = place.restart().await;
    assert_eq!(place.settled().await, changed);
}

#[tokio::test]
async fn a_policy_that_takes_our_record_away_makes_no_loop() {
    let policy = Policy {
        operations: &["CREATE", "UPDATE"],
        resources: DEPLOYMENTS,
        patches: r#"JSONPatch{op: "add", path: "/metadata/annotations/roadstead.dev~1applied", value: "theirs"},
            JSONPatch{op: "replace", path: "/spec/progressDeadlineSeconds", value: 99}"#,
    };
    let mut place = Place::under("no-record", &policy).await;
    assert_eq!(place.settled().await, ["Deployment spec.progressDeadlineSeconds"]);
    place = place.restart().await;
    place.member.driver.ensure(&place.wanted).await.unwrap();
    assert_eq!(place.settled().await, ["Deployment spec.progressDeadlineSeconds"]);
    assert_eq!(place.generation().await, 1);
}

#[tokio::test]
async fn a_number_of_replicas_that_admission_caps_is_not_taken_for_ours() {
    let policy = Policy {
        operations: &["CREATE", "UPDATE"],
        resources: DEPLOYMENTS,
        patches: r#"JSONPatch{op: "replace", path: "/spec/replicas", value: 1}"#,
    };
    let place = Place::under("capped", &policy).await;
    assert_eq!(place.settled().await, ["Deployment spec.replicas"]);
    let status = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
                        "availableReplicas": 1});
    let api = place.member.api::<Deployment>();
    api.patch_status(NAME, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await.unwrap();
    let Observation::Present(present) = place.member.driver.observe(&place.wanted).await.unwrap() else {
        panic!("it is there");
    };
    assert!(matches!(present.progress, roadstead_provider::Progress::Starting { .. }), "1 of 2 is not all of them");
}
