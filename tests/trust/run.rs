//! One run through everything that the operator does, once for all tests: what it was granted, used and told.

use std::sync::LazyLock;

use roadstead_api::v1alpha1::names;
use roadstead_ground::command::feed;
use serde_json::{Value, json};

use crate::engine::Engine;
use crate::operator::Operator;
use crate::world::{MEMBER, SYSTEM, TEAM, World, apply, delete, get, is_ready_with, patch, patch_status, until};

// What stands in the Secrets of the tenant and of the target.
const ENV: &str = "canary-of-the-environment-0123";
const HUB: &str = "canary-of-the-model-hub-4567";
const REGISTRY: &str = "canary-of-the-registry-89ab";
const KUBECONFIG: &str = "canary-of-a-kubeconfig-cdef";
const UNNAMED: &str = "canary-that-nobody-names-0000";

/// Something that the operator told, and where.
pub struct Told {
    pub place: String,
    pub text: String,
}

/// Record of the run.
pub struct Record {
    /// Every secret that the operator could have told.
    pub secrets: Vec<String>,
    pub told: Vec<Told>,
    /// The requests to the hub and to the member, as the servers wrote them down.
    pub hub: Vec<Value>,
    pub member: Vec<Value>,
}

/// The run; whoever asks first waits for it.
pub static RECORD: LazyLock<Record> = LazyLock::new(|| Play::begin().play());

struct Play {
    world: World,
    /// With which the operator works on the member.
    token: String,
    secrets: Vec<String>,
    told: Vec<Told>,
}

impl Play {
    fn begin() -> Self {
        let world = World::make();
        let token = world.member_token();
        let secrets = [ENV, HUB, REGISTRY, KUBECONFIG, UNNAMED, &token].map(ToOwned::to_owned).to_vec();
        Self { world, token, secrets, told: Vec::new() }
    }

    fn play(mut self) -> Record {
        let first = Operator::start(&self.world, &[]);
        self.bad_and_good_kubeconfigs(&first);
        self.secrets_that_are_not_there();
        self.another_hub();
        self.hear(&first);
        self.log("the first operator's log", &first.stop());

        let sweep = ["--delete-orphans", "--orphan-interval-seconds=1", "--orphan-min-age-seconds=1"];
        let more = ["--takeover=another-hub", "--log-format=json"];
        let second = Operator::start(&self.world, &[&more[..], &sweep[..]].concat());
        self.target_is("Ready");
        self.something_in_the_way();
        self.a_member_that_repeats_secrets(&second);
        let engine = self.serve();
        self.edits();
        let engine = self.drift(engine);
        let engine = self.replacement(engine);
        self.an_orphan();
        self.hear(&second);
        self.end(engine);
        self.hear(&second);
        self.log("the second operator's log", &second.stop());
        Record {
            hub: self.world.hub.requests().unwrap(),
            member: self.world.member.requests().unwrap(),
            secrets: self.secrets,
            told: self.told,
        }
    }

    fn bad_and_good_kubeconfigs(&mut self, operator: &Operator) {
        apply(&self.world.hub, &target());
        self.target_is("CredentialsMissing");
        let good = self.world.member.kubeconfig_with(&self.token).unwrap();
        let exec = format!("{{apiVersion: client.authentication.k8s.io/v1, command: touch, args: [{KUBECONFIG}]}}");
        for (bad, reason) in [
            (format!("users: [{{token: {KUBECONFIG}"), "KubeconfigInvalid"),
            (good.replace("token:", &format!("exec: {exec}, token:")), "KubeconfigRefused"),
            (good.replace("https://", &format!("https://user:{KUBECONFIG}@")), "KubeconfigInvalid"),
            (self.world.member.kubeconfig_with(KUBECONFIG).unwrap(), "Unauthorized"),
        ] {
            self.world.put_kubeconfig(&bad);
            self.target_is(reason);
            self.hear(operator);
        }
        self.world.put_kubeconfig(&good);
        self.target_is("Ready");
    }

    fn secrets_that_are_not_there(&self) {
        // The same name in another namespace is another Secret.
        self.world.put_secret(SYSTEM, "env", "Opaque", &json!({"value": UNNAMED}));
        apply(&self.world.hub, &deployment());
        self.endpoint_is("SecretMissing");
        let registry = json!({"auths": {"registry.example.com": {"username": "robot", "password": REGISTRY}}});
        let world = &self.world;
        world.put_secret(TEAM, "env", "Opaque", &json!({"value": ENV}));
        world.put_secret(TEAM, "hub", "Opaque", &json!({"HF_TOKEN": HUB}));
        let kind = "kubernetes.io/dockerconfigjson";
        world.put_secret(TEAM, "pull", kind, &json!({".dockerconfigjson": registry.to_string()}));
    }

    fn another_hub(&self) {
        let claim = ["configmap", "roadstead-prod", "-n", MEMBER];
        patch(&self.world.member, &claim, &json!({"data": {"hubUID": "another-hub"}}));
        self.target_is("InstallationConflict");
    }

    /// A Service that is not ours has the name.
    fn something_in_the_way(&self) {
        let name = self.endpoint_name();
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": MEMBER},
            "spec": {"ports": [{"port": 80}]},
        });
        until("a Service stands in the way", || {
            // The operator may have made its own already.
            delete(&self.world.member, &["service", &name, "-n", MEMBER, "--ignore-not-found"]);
            let mut create = self.world.member.kubectl();
            create.args(["create", "-f", "-"]);
            feed(&mut create, &service.to_string()).ok()
        });
        self.wake(&name, "one");
        self.endpoint_is("NameConflict");
        delete(&self.world.member, &["service", &name, "-n", MEMBER]);
        self.wake(&name, "two");
    }

    /// A pod whose status says everything that it should not.
    fn a_member_that_repeats_secrets(&mut self, operator: &Operator) {
        let name = self.endpoint_name();
        let key = self.key(&name);
        self.deployment_on_member(&name);
        let words = format!("denied: {ENV}, {HUB}, {REGISTRY}, {key}, {}", self.token);
        let container = json!({
            "name": "engine", "image": "vllm:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": words}},
        });
        self.wake(&name, "talks");
        patch_status(&self.world.member, &["pod", "talks", "-n", MEMBER], &json!({"containerStatuses": [container]}));
        self.endpoint_is("ImagePullFailed");
        self.hear(operator);
        delete(&self.world.member, &["pod", "talks", "-n", MEMBER, "--force"]);
    }

    /// The pods are ready, and the model answers.
    fn serve(&mut self) -> Engine {
        let name = self.endpoint_name();
        self.world.make_ready(&name);
        let engine = self.answer(&name);
        self.deployment_is("Ready");
        engine
    }

    fn edits(&self) {
        let name = self.endpoint_name();
        self.edit(&json!({"replicas": 2}));
        self.until_member("it has two replicas", &name, |spec| spec["replicas"] == 2);
        self.world.make_ready(&name);
        self.deployment_is("Ready");
        self.edit(&json!({"serving": {"image": "vllm:2", "imagePullSecrets": null}}));
        self.until_member("it has the new image", &name, |spec| {
            spec["template"]["spec"]["containers"][0]["image"] == "vllm:2"
        });
        until("the copy that is not named any more is gone", || {
            let secrets = get(&self.world.member, &["secret", "-n", MEMBER])?;
            let copies =
                secrets["items"].as_array()?.iter().filter(|one| one["type"] == "kubernetes.io/dockerconfigjson");
            (copies.count() == 0).then_some(())
        });
        self.world.make_ready(&name);
        self.deployment_is("Ready");
    }

    /// Somebody edits and deletes on the member by hand.
    fn drift(&self, engine: Engine) -> Engine {
        let name = self.endpoint_name();
        let object = |kind| [kind, name.as_str(), "-n", MEMBER];
        let key = format!("{name}-key");
        patch(&self.world.member, &["secret", &key, "-n", MEMBER], &json!({"data": {"apiKey": "eA=="}}));
        patch(&self.world.member, &object("poddisruptionbudget"), &json!({"spec": {"maxUnavailable": 2}}));
        patch(&self.world.member, &object("service"), &json!({"spec": {"selector": {"a": "b"}}}));
        patch(&self.world.member, &object("deployment"), &json!({"spec": {"replicas": 5}}));
        self.until_member("its replicas are put right", &name, |spec| spec["replicas"] == 2);
        until("the disruption budget is put right", || {
            let budget = get(&self.world.member, &object("poddisruptionbudget"))?;
            (budget["spec"]["maxUnavailable"] == 1).then_some(())
        });
        until("the Service's selector is put right", || {
            let service = get(&self.world.member, &object("service"))?;
            service["spec"]["selector"]["a"].is_null().then_some(())
        });
        drop(engine);
        delete(&self.world.member, &object("service"));
        self.wake(&name, "three");
        until("the Service is made again", || get(&self.world.member, &object("service")));
        self.world.make_ready(&name);
        let engine = self.answer(&name);
        self.deployment_is("Ready");
        engine
    }

    fn replacement(&mut self, engine: Engine) -> Engine {
        let former = self.endpoint_name();
        self.edit(&json!({"serving": {"shapes": [{"name": "two", "accelerator": {"type": "H100", "count": 2}}]}}));
        let name = until("there is a replacement", || {
            let list = get(&self.world.hub, &["iep", "-n", TEAM])?;
            let found = list["items"].as_array()?.iter().find(|one| one["spec"]["shape"] == "two")?;
            Some(found["metadata"]["name"].as_str()?.to_owned())
        });
        self.key(&name);
        self.deployment_on_member(&name);
        self.world.make_ready(&name);
        let next = self.answer(&name);
        until("the former endpoint is gone", || {
            self.world.collect_garbage();
            get(&self.world.hub, &["iep", &former, "-n", TEAM]).is_none().then_some(())
        });
        drop(engine);
        self.deployment_is("Ready");
        next
    }

    /// Creates what a hub restored from a backup finds: an endpoint of an unknown deployment.
    fn an_orphan(&self) {
        let mut object = self.deployment_on_member(&self.endpoint_name());
        let tags = object["metadata"].take();
        let slot = tags["annotations"][names::ANNOTATION_SLOT].as_str().unwrap().parse().unwrap();
        let name = names::endpoint_name("prod", TEAM, "lost", "east", "two", "OnDemand", slot);
        object["metadata"] = json!({
            "name": name, "namespace": MEMBER, "annotations": tags["annotations"], "labels": tags["labels"],
        });
        object["metadata"]["labels"][names::LABEL_DEPLOYMENT] = json!("lost");
        object["metadata"]["labels"][names::LABEL_ENDPOINT] = json!(name);
        feed(self.world.member.kubectl().args(["create", "-f", "-"]), &object.to_string()).unwrap();
        until("the orphan is gone", || {
            self.world.collect_garbage();
            get(&self.world.member, &["deployment", &name, "-n", MEMBER]).is_none().then_some(())
        });
    }

    fn end(&self, engine: Engine) {
        delete(&self.world.hub, &["mdep", "llama", "-n", TEAM]);
        until("the deployment is gone", || {
            self.world.collect_garbage();
            get(&self.world.hub, &["mdep", "llama", "-n", TEAM]).is_none().then_some(())
        });
        drop(engine);
        delete(&self.world.hub, &["stgt", "east"]);
        until("the target is gone", || get(&self.world.hub, &["stgt", "east"]).is_none().then_some(()));
        let left = get(&self.world.member, &["deployment,service,poddisruptionbudget,secret", "-n", MEMBER]).unwrap();
        assert_eq!(left["items"], json!([]), "something is left on the member");
    }

    /// Takes down what the operator tells now, but for its log.
    fn hear(&mut self, operator: &Operator) {
        for what in ["mdep", "stgt", "iep", "events.events.k8s.io"] {
            let text = get(&self.world.hub, &[what, "-A"]).unwrap().to_string();
            self.told.push(Told { place: what.to_owned(), text });
        }
        for path in ["/metrics", "/readyz"] {
            self.log(path, &operator.ask(path).unwrap());
        }
    }

    fn log(&mut self, place: &str, text: &str) {
        self.told.push(Told { place: place.to_owned(), text: text.to_owned() });
    }

    /// The key of an endpoint, which is a secret from now on.
    fn key(&mut self, endpoint: &str) -> String {
        let key = until("the endpoint has a key", || self.key_of(endpoint));
        self.secrets.push(key.clone());
        key
    }

    fn key_of(&self, endpoint: &str) -> Option<String> {
        let record = get(&self.world.hub, &["iep", endpoint, "-n", TEAM])?;
        self.world.secret(TEAM, record["status"]["apiKeySecretName"].as_str()?, "apiKey")
    }

    /// A model that answers at the endpoint's Service.
    fn answer(&self, endpoint: &str) -> Engine {
        let port = until("the Service has a port", || {
            let service = get(&self.world.member, &["service", endpoint, "-n", MEMBER])?;
            u16::try_from(service["spec"]["ports"][0]["nodePort"].as_u64()?).ok()
        });
        let key = self.key_of(endpoint).unwrap();
        Engine::answer(port, &key, "llama")
    }

    /// A pod of the endpoint comes, so that the operator looks at it.
    fn wake(&self, endpoint: &str, pod: &str) {
        // The labels of the Deployment's newest template, as a ReplicaSet gives them to its pods.
        let labels = self.deployment_on_member(endpoint)["spec"]["template"]["metadata"]["labels"].clone();
        apply(
            &self.world.member,
            &json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": MEMBER, "labels": labels},
                "spec": {"containers": [{"name": "engine", "image": "vllm:1"}]},
            }),
        );
    }

    fn endpoint_name(&self) -> String {
        let name = || self.world.endpoint()?["metadata"]["name"].as_str().map(ToOwned::to_owned);
        until("there is an endpoint", name)
    }

    fn deployment_on_member(&self, name: &str) -> Value {
        until("it stands on the member", || get(&self.world.member, &["deployment", name, "-n", MEMBER]))
    }

    fn until_member(&self, what: &str, name: &str, check: impl Fn(&Value) -> bool) {
        until(what, || check(&self.deployment_on_member(name)["spec"]).then_some(()));
    }

    fn edit(&self, spec: &Value) {
        patch(&self.world.hub, &["mdep", "llama", "-n", TEAM], &json!({"spec": spec}));
    }

    fn target_is(&self, reason: &str) {
        until(&format!("the target is {reason}"), || {
            get(&self.world.hub, &["stgt", "east"]).filter(|target| is_ready_with(target, reason))
        });
    }

    fn endpoint_is(&self, reason: &str) {
        until(&format!("the endpoint is {reason}"), || {
            self.world.endpoint().filter(|endpoint| is_ready_with(endpoint, reason))
        });
    }

    fn deployment_is(&self, reason: &str) {
        until(&format!("the deployment is {reason}"), || {
            let object = get(&self.world.hub, &["mdep", "llama", "-n", TEAM])?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            (current && is_ready_with(&object, reason)).then_some(())
        });
    }
}

fn target() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
        "spec": {
            "cloud": "aws", "region": "us-east-1", "type": "Kubernetes",
            "kubernetes": {
                "connection": {"kubeconfigSecretRef": {"name": "east", "key": "kubeconfig"}},
                "expose": {"type": "NodePort", "public": true},
            },
            "allowedNamespaces": {},
            "offers": [{
                "name": "h100", "instanceType": "eight", "accelerator": {"type": "H100", "count": 8},
                "capacityType": "OnDemand", "hourlyPrice": "80.00",
            }],
        },
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": TEAM},
        "spec": {
            "model": {"source": "hf://example/tiny", "credentialsSecretRef": {"name": "hub"}},
            "serving": {
                "engine": "vllm", "image": "vllm:1",
                "env": [{"name": "VALUE", "secretKeyRef": {"name": "env", "key": "value"}}],
                "imagePullSecrets": [{"name": "pull"}],
                "shapes": [{"name": "one", "accelerator": {"type": "H100", "count": 1}}],
                "drainTimeoutSeconds": 2,
            },
        },
    })
}
