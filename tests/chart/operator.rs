//! The operator as a process, with the account, the rights and the environment that the chart gives it, on a real API
//! server and a simulated cloud: told which namespaces to watch, it works there and gets by without anything elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::command::{feed, finish};
use roadstead_ground::unused::unused_address;
use serde_json::Value;

use crate::helm::{NAMESPACE, at, objects, of_kind, only, path, template, text};

/// A deployment that needs a Secret beside it.
const DEPLOYMENT: &str = "
apiVersion: v1
kind: Secret
metadata: {name: hf-token}
stringData: {HF_TOKEN: hf_example}
---
apiVersion: roadstead.dev/v1alpha1
kind: ModelDeployment
metadata: {name: tiny}
spec:
  model: {source: hf://example/tiny, credentialsSecretRef: {name: hf-token}}
  serving:
    engine: vllm
    image: vllm/vllm-openai:v0.20.0
    shapes: [{name: h100, accelerator: {type: H100, count: 1}}]
    drainTimeoutSeconds: 1
  replicas: 1
";
/// A target that asks for a namespace's labels.
const TARGET: &str = "
apiVersion: roadstead.dev/v1alpha1
kind: ServingTarget
metadata: {name: sim}
spec:
  cloud: aws
  region: eu-central-1
  type: Simulated
  simulated: {}
  allowedNamespaces: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}
  offers:
  - {name: p5, instanceType: p5, accelerator: {type: H100, count: 8}, capacityType: OnDemand, hourlyPrice: '55.04', maxInstances: 4}
";
/// Generous: on a busy machine everything takes its time.
const SOON: Duration = Duration::from_mins(2);

/// A hub of its own, with the chart installed as far as that goes without a kubelet, the operator and a cloud running.
struct Hub {
    _operator: Bound,
    _cloud: Bound,
    server: ApiServer,
    chart: Vec<Value>,
}

impl Hub {
    /// Makes the namespaces, installs the chart with these values, does `before` to it, and starts the operator.
    fn start(namespaces: &[&str], values: &str, before: impl Fn(&ApiServer)) -> Self {
        let server = ApiServer::start().expect("an API server");
        server.define(&path("crds")).expect("the definitions");
        for namespace in [&[NAMESPACE], namespaces].concat() {
            finish(server.kubectl().args(["create", "namespace", namespace])).unwrap();
        }
        let manifest = template("roadstead", &["--set", "installId=prod", "--set", values]).unwrap();
        feed(server.kubectl().args(["apply", "-f", "-"]), &manifest).unwrap();
        before(&server);
        let chart = objects(&manifest);
        let address = unused_address().to_string();
        let serve = ["simulated-cloud".to_owned(), format!("--listen={address}")];
        let cloud = Bound::start(program(), &serve, &[], &server.dir().join("cloud.log")).unwrap();
        let operator = start_operator(&server, &chart, &format!("http://{address}"));
        let hub = Self { _operator: operator, _cloud: cloud, server, chart };
        hub.apply("default", TARGET);
        hub
    }

    fn kubectl(&self, args: &[&str]) -> String {
        finish(self.server.kubectl().args(args)).unwrap()
    }

    fn apply(&self, namespace: &str, manifest: &str) {
        feed(self.server.kubectl().args(["--namespace", namespace, "apply", "-f", "-"]), manifest).unwrap();
    }

    fn get(&self, namespace: &str, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", "--namespace", namespace, object, "-o", "json"])).unwrap()
    }

    fn ready(&self, namespace: &str, object: &str) -> Value {
        let conditions = self.get(namespace, object)["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default()
    }

    /// Waits until the namespace's deployment is served.
    fn serves(&self, namespace: &str) {
        self.until(&format!("a served model in {namespace}"), || {
            self.ready(namespace, "mdep/tiny")["status"] == "True"
        });
    }

    /// True if the namespace's deployment was never looked at.
    fn is_untouched(&self, namespace: &str) -> bool {
        let object = self.get(namespace, "mdep/tiny");
        let status = &object["status"];
        status["observedGeneration"] == -1
            && status["conditions"].is_null()
            && object["metadata"]["finalizers"].is_null()
    }

    /// True if the operator's account may do something.
    fn may(&self, what: &str) -> bool {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:roadstead");
        let answer = self.server.kubectl().args(["auth", "can-i", &account]).args(what.split(' ')).output().unwrap();
        String::from_utf8(answer.stdout).unwrap().trim() == "yes"
    }

    fn log(&self) -> String {
        fs::read_to_string(log(&self.server)).unwrap()
    }

    /// Waits for what must come.
    fn until(&self, what: &str, check: impl Fn() -> bool) {
        let start = Instant::now();
        while !check() {
            assert!(start.elapsed() < SOON, "{what} did not come; the operator says:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Gives the operator its rights in a namespace back.
    fn bind_again(&self, namespace: &str) {
        let bindings = of_kind(&self.chart, "RoleBinding");
        let binding = bindings.iter().find(|binding| binding["metadata"]["namespace"] == namespace).unwrap();
        self.apply(namespace, &binding.to_string());
    }
}

pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_roadstead"))
}

fn log(server: &ApiServer) -> PathBuf {
    server.dir().join("operator.log")
}

/// A kubeconfig with a token of the charts' account.
pub fn kubeconfig_of_account(server: &ApiServer) -> PathBuf {
    let token = finish(server.kubectl().args(["create", "token", "roadstead", "--namespace", NAMESPACE])).unwrap();
    let administrator = fs::read_to_string(server.kubeconfig()).unwrap();
    let kubeconfig = server.dir().join("account.kubeconfig");
    fs::write(&kubeconfig, administrator.replace("ground-administrator", &token)).unwrap();
    kubeconfig
}

/// Starts the operator with the environment of the chart's pod and a token of the chart's account.
fn start_operator(server: &ApiServer, chart: &[Value], cloud: &str) -> Bound {
    let kubeconfig = kubeconfig_of_account(server);
    let container = at(only(chart, "Deployment"), "/spec/template/spec/containers/0");
    let words = container["args"].as_array().unwrap();
    let args: Vec<String> = words.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    let mut env: Vec<(&str, &str)> = Vec::new();
    for variable in container["env"].as_array().unwrap() {
        let value = match variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) {
            None => variable["value"].as_str().unwrap(),
            Some("metadata.namespace") => NAMESPACE,
            Some(_) => "operator",
        };
        env.push((variable["name"].as_str().unwrap(), value));
    }
    env.push(("KUBECONFIG", kubeconfig.to_str().unwrap()));
    env.push(("ROADSTEAD_LISTEN", "127.0.0.1:0"));
    env.push(("ROADSTEAD_LOG", "roadstead=debug"));
    env.push(("ROADSTEAD_SIMULATED_CLOUD", cloud));
    Bound::start(program(), &args, &env, &log(server)).unwrap()
}

#[test]
fn it_works_in_the_watched_namespaces_and_needs_nothing_in_others() {
    let hub = Hub::start(&["team-a", "team-b", "elsewhere"], "watchNamespaces={team-a,team-b}", |_| {});
    for namespace in ["elsewhere", "team-a", "team-b"] {
        hub.apply(namespace, DEPLOYMENT);
    }
    hub.serves("team-a");
    hub.serves("team-b");
    for (namespace, object) in [("team-a", "tiny"), ("default", "sim")] {
        hub.until(&format!("an event about {object}"), || {
            hub.kubectl(&["get", "events.events.k8s.io", "-n", namespace, "-o", "json"]).contains(object)
        });
    }
    hub.kubectl(&["scale", "mdep/tiny", "-n", "team-a", "--replicas=2"]);
    hub.until("a second replica", || hub.get("team-a", "mdep/tiny")["status"]["readyReplicas"] == 2);
    for namespace in ["team-a", "team-b"] {
        hub.kubectl(&["delete", "mdep/tiny", "-n", namespace, "--timeout=120s"]);
    }
    hub.kubectl(&["delete", "stgt/sim", "--timeout=120s"]);
    assert!(hub.is_untouched("elsewhere"));
    assert!(!hub.log().to_lowercase().contains("forbidden"), "it lacks a right:\n{}", hub.log());
}

#[test]
fn with_a_gateway_it_writes_routes_with_the_rights_of_the_chart() {
    let values = "watchNamespaces={team-a},gateway.enabled=true,gateway.url=https://models.example.com";
    let hub = Hub::start(&["team-a"], values, |_| {});
    hub.apply("team-a", DEPLOYMENT);
    hub.serves("team-a");
    let status = || hub.get("team-a", "mdep/tiny")["status"].clone();
    hub.until("an address", || status()["url"] == "https://models.example.com/team-a/tiny/v1");
    let callers = format!("secret/{}", status()["keysSecretName"].as_str().unwrap());
    assert!(hub.get("team-a", &callers)["data"]["default"].is_string());
    // Beside the routes there is the mark that all of them have been published.
    let routes = || {
        let all = hub.kubectl(&["get", "secrets", "-n", "roadstead-routes", "-l", "roadstead.dev/route", "-o", "name"]);
        all.lines().filter(|name| !name.ends_with("published")).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    hub.until("a route", || routes().len() == 1);
    // Written anew when somebody deletes it, and gone with its deployment.
    hub.kubectl(&["delete", "secrets", "-n", "roadstead-routes", "--all"]);
    hub.until("the route again", || routes().len() == 1);
    hub.kubectl(&["delete", "mdep/tiny", "-n", "team-a", "--timeout=120s"]);
    hub.until("no route", || routes().is_empty());
    assert!(!hub.log().to_lowercase().contains("forbidden"), "it lacks a right:\n{}", hub.log());
}

#[test]
fn its_account_may_do_nothing_in_namespaces_that_it_does_not_watch() {
    let hub = Hub::start(&["team-a", "elsewhere"], "watchNamespaces={team-a}", |_| {});
    for allowed in ["get secrets -n team-a", "create secrets -n team-a", "list secrets -n roadstead-system"] {
        assert!(hub.may(allowed), "it may not {allowed}");
    }
    for refused in [
        "list secrets -n team-a",
        "watch secrets -A",
        "get secrets -n elsewhere",
        "get secrets -n default",
        "list modeldeployments -A",
        "patch modeldeployments -n elsewhere",
        "create inferenceendpoints -n elsewhere",
        "list namespaces",
        "get namespace/elsewhere",
        "create events.events.k8s.io -n elsewhere",
    ] {
        assert!(!hub.may(refused), "it may {refused}");
    }
}

#[test]
fn a_namespace_that_refuses_it_keeps_no_other_waiting_and_is_not_taken_for_empty() {
    // As it is when somebody deletes a namespace: the binding goes first.
    let unbind = |server: &ApiServer| {
        finish(server.kubectl().args(["delete", "rolebinding", "roadstead-watched", "-n", "closed"])).unwrap();
    };
    let hub = Hub::start(&["closed", "team-a"], "watchNamespaces={closed,team-a}", unbind);
    for namespace in ["closed", "team-a"] {
        hub.apply(namespace, DEPLOYMENT);
    }
    hub.serves("team-a");
    assert!(hub.is_untouched("closed"));

    hub.kubectl(&["delete", "mdep/tiny", "-n", "team-a", "--timeout=120s"]);
    hub.kubectl(&["delete", "stgt/sim", "--wait=false"]);
    hub.until("the target waiting", || hub.ready("default", "stgt/sim")["reason"] == "InUse");
    let message = hub.ready("default", "stgt/sim")["message"].to_string();
    assert!(message.contains("unlisted objects in namespace closed"), "{message}");
    hub.bind_again("closed");
    hub.kubectl(&["wait", "stgt/sim", "--for=delete", "--timeout=120s"]);
    hub.apply("default", TARGET);
    hub.serves("closed");

    // What docs/operations.md says of a namespace that was deleted with deployments in it.
    unbind(&hub.server);
    hub.kubectl(&["delete", "mdep/tiny", "-n", "closed", "--wait=false"]);
    hub.until("a refusal", || hub.log().contains(r#"cannot get resource \"modeldeployments\""#));
    let commands = text("docs/operations.md");
    let commands = commands.lines().map(str::trim).filter(|line| line.starts_with("kubectl create clusterrole"));
    let commands: Vec<&str> = commands.filter(|line| line.contains("roadstead-cleanup")).collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        hub.kubectl(&command.split_whitespace().skip(1).collect::<Vec<_>>());
    }
    hub.kubectl(&["wait", "mdep/tiny", "-n", "closed", "--for=delete", "--timeout=120s"]);
    hub.kubectl(&["delete", "stgt/sim", "--timeout=120s"]);
}
