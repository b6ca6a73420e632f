//! The chart of the gateway.

use roadstead_ground::envoy::{OPTIONS, VERSION};
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, at, of_kind, only, rendered_gateway, template};
use crate::network::{METADATA, reaches};
use crate::render::{notes, the_pod_is_restricted, the_selectors_match, variables};
use crate::rights::granted;
use crate::variants::GATEWAY_VARIANTS;

/// Namespace of the routes by default.
const ROUTES: &str = "roadstead-routes";

/// The parts of the gateway's pod.
struct Pod(Value);

impl Pod {
    fn of(values: &[&str]) -> Self {
        Self(at(only(&rendered_gateway(values), "Deployment"), "/spec/template/spec").clone())
    }

    /// The process beside Envoy.
    fn process(&self) -> &Value {
        at(&self.0, "/initContainers/0")
    }

    fn envoy(&self) -> &Value {
        at(&self.0, "/containers/0")
    }

    fn env(&self, name: &str) -> Value {
        let variables = at(self.process(), "/env").as_array().unwrap();
        let found = variables.iter().find(|variable| variable["name"] == name);
        found.map_or(Value::Null, |variable| variable.get("value").or(variable.get("valueFrom")).unwrap().clone())
    }

    fn volume(&self, name: &str) -> Option<&Value> {
        let volumes = at(&self.0, "/volumes").as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == name)
    }
}

/// Names of the volumes that a container mounts, with their paths.
fn mounts(container: &Value) -> Vec<(&str, &str)> {
    let mounts = at(container, "/volumeMounts").as_array().unwrap();
    mounts.iter().map(|mount| (mount["name"].as_str().unwrap(), mount["mountPath"].as_str().unwrap())).collect()
}

#[test]
fn every_set_of_values_renders_whole_objects() {
    for (variant, values) in GATEWAY_VARIANTS {
        let objects = rendered_gateway(values);
        for object in &objects {
            let name = at(object, "/metadata/name").as_str().unwrap();
            let labels = at(object, "/metadata/labels");
            assert_eq!(labels["app.kubernetes.io/name"], "roadstead-gateway", "{name} of {variant}");
            let kind = object["kind"].as_str().unwrap();
            assert!(!kind.starts_with("Cluster"), "{kind} of {variant}: it may do nothing in the whole cluster");
            if !["Role", "RoleBinding"].contains(&kind) {
                assert_eq!(at(object, "/metadata/namespace"), NAMESPACE, "{name} of {variant}");
            }
        }
        the_pod_is_restricted(&Pod::of(values).0, variant);
        the_selectors_match(&objects, variant);
    }
}

#[test]
fn it_may_list_routes_and_write_reports_in_their_namespace_alone() {
    for (values, namespace) in [("global.a=b", ROUTES), ("routesNamespace=routes", "routes")] {
        let objects = rendered_gateway(&["--set", values]);
        let role = only(&objects, "Role");
        granted(role, &["/secrets: list,watch", "/configmaps: create,delete,patch"]);
        let binding = only(&objects, "RoleBinding");
        for object in [role, binding] {
            assert_eq!(at(object, "/metadata/namespace"), namespace);
        }
        assert_eq!(
            at(binding, "/subjects"),
            &json!([{"kind": "ServiceAccount", "name": "roadstead", "namespace": NAMESPACE}])
        );
        assert_eq!(Pod::of(&["--set", values]).env("ROADSTEAD_ROUTES_NAMESPACE"), namespace);
    }
}

#[test]
fn in_another_cluster_it_has_a_kubeconfig_and_neither_role_nor_token() {
    let values = ["--set", "hub.kubeconfigSecret=hub"];
    let objects = rendered_gateway(&values);
    for kind in ["Role", "RoleBinding"] {
        assert!(of_kind(&objects, kind).is_empty(), "{kind}");
    }
    let pod = Pod::of(&values);
    assert_eq!(pod.volume("token"), None);
    assert_eq!(at(&pod.0, "/automountServiceAccountToken"), false);
    assert_eq!(at(pod.volume("hub").unwrap(), "/secret/secretName"), "hub");
    assert_eq!(at(pod.volume("hub").unwrap(), "/secret/items"), &json!([{"key": "kubeconfig", "path": "kubeconfig"}]));
    assert!(mounts(pod.process()).contains(&("hub", "/etc/roadstead/hub")));
    assert_eq!(pod.env("KUBECONFIG"), "/etc/roadstead/hub/kubeconfig");
    assert_eq!(Pod::of(&[]).env("KUBECONFIG"), Value::Null);
}

#[test]
fn the_process_beside_envoy_has_a_token_for_each_cloud_where_that_is_said() {
    let google = ["--set", "federation.google.configMap=google,federation.google.audience=https://iam.example/hub"];
    let pod = Pod::of(&google);
    let folder = "/var/run/secrets/roadstead/google";
    assert!(mounts(pod.process()).contains(&("google", folder)));
    assert_eq!(pod.env("GOOGLE_APPLICATION_CREDENTIALS"), format!("{folder}/credentials.json"));
    let sources = at(pod.volume("google").unwrap(), "/projected/sources");
    let token = json!({"path": "token", "expirationSeconds": 3600, "audience": "https://iam.example/hub"});
    let items = json!([{"key": "credentials.json", "path": "credentials.json"}]);
    assert_eq!(sources, &json!([{"serviceAccountToken": token}, {"configMap": {"name": "google", "items": items}}]));
    assert_eq!((pod.volume("azure"), pod.env("AZURE_TENANT_ID")), (None, Value::Null));

    let azure = ["--set", "federation.azure.tenantId=directory,federation.azure.clientId=application"];
    let pod = Pod::of(&azure);
    let folder = "/var/run/secrets/roadstead/azure";
    assert!(mounts(pod.process()).contains(&("azure", folder)));
    assert_eq!(pod.env("AZURE_TENANT_ID"), "directory");
    assert_eq!(pod.env("AZURE_CLIENT_ID"), "application");
    assert_eq!(pod.env("AZURE_FEDERATED_TOKEN_FILE"), format!("{folder}/token"));
    let token = at(pod.volume("azure").unwrap(), "/projected/sources/0/serviceAccountToken");
    assert_eq!(token["audience"], "api://AzureADTokenExchange");
    assert_eq!((pod.volume("google"), pod.env("GOOGLE_APPLICATION_CREDENTIALS")), (None, Value::Null));
}

#[test]
fn envoy_has_neither_a_token_nor_a_kubeconfig() {
    for (variant, values) in GATEWAY_VARIANTS {
        let pod = Pod::of(values);
        assert_eq!(at(&pod.0, "/automountServiceAccountToken"), false, "{variant}");
        for (name, _) in mounts(pod.envoy()) {
            assert!(["files", "tls"].contains(&name), "{variant}: {name}");
        }
    }
    let pod = Pod::of(&[]);
    assert!(mounts(pod.process()).contains(&("token", "/var/run/secrets/kubernetes.io/serviceaccount")));
}

#[test]
fn envoy_runs_as_in_the_tests_of_the_gateway() {
    let with = |concurrency: &str| {
        let more = ["--concurrency", concurrency, "-c", "/run/roadstead/bootstrap.json"];
        OPTIONS.iter().chain(&more).map(ToString::to_string).collect::<Vec<_>>()
    };
    let pod = Pod::of(&[]);
    assert_eq!(pod.envoy()["args"], json!(with("2")));
    assert_eq!(pod.envoy()["image"], format!("envoyproxy/envoy:distroless-v{VERSION}"));
    assert_eq!(Pod::of(&["--set", "envoy.concurrency=8"]).envoy()["args"], json!(with("8")));
    // Both see the same files.
    assert_eq!(pod.env("ROADSTEAD_GATEWAY_FILES"), "/run/roadstead");
    for container in [pod.process(), pod.envoy()] {
        assert!(mounts(container).contains(&("files", "/run/roadstead")));
    }
    assert_eq!(at(pod.volume("files").unwrap(), "/emptyDir/medium"), "Memory", "keys are on no disk");
}

#[test]
fn the_process_starts_before_envoy_and_ends_after_it() {
    let pod = Pod::of(&[]);
    let process = pod.process();
    assert_eq!(process["restartPolicy"], "Always", "a native sidecar");
    assert_eq!(process["args"], json!(["gateway"]));
    for (probe, path) in [("startupProbe", "/startupz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        assert_eq!(at(process, &format!("/{probe}/httpGet")), &json!({"path": path, "port": "metrics"}));
    }
    let drain = at(pod.envoy(), "/lifecycle/preStop/httpGet");
    assert_eq!(drain["path"], "/drain");
    assert_eq!(pod.env("ROADSTEAD_DRAIN_LISTEN"), format!("0.0.0.0:{}", drain["port"]));
    let metrics = at(process, "/ports/0/containerPort");
    assert_eq!(pod.env("ROADSTEAD_LISTEN"), format!("0.0.0.0:{metrics}"));
    assert_ne!(&drain["port"], metrics, "whoever may read metrics cannot end the pod's service");
    let port = at(pod.envoy(), "/ports/0");
    assert_eq!(pod.env("ROADSTEAD_GATEWAY_ADDRESS"), format!("0.0.0.0:{}", port["containerPort"]));
    let objects = rendered_gateway(&[]);
    assert_eq!(at(only(&objects, "Service"), "/spec/ports/0/targetPort"), &port["name"]);
    assert_eq!(at(&pod.0, "/terminationGracePeriodSeconds"), 630);
}

#[test]
fn a_pod_ends_only_when_its_successor_serves() {
    let objects = rendered_gateway(&[]);
    let deployment = only(&objects, "Deployment");
    assert_eq!(at(deployment, "/spec/replicas"), 2);
    assert_eq!(at(deployment, "/spec/strategy/rollingUpdate"), &json!({"maxSurge": 1, "maxUnavailable": 0}));
    assert_eq!(at(only(&objects, "PodDisruptionBudget"), "/spec/maxUnavailable"), 1);
}

#[test]
fn every_variable_is_an_option_of_the_gateway_that_takes_its_value() {
    use clap::Parser;
    let known = variables("gateway");
    for (variant, values) in GATEWAY_VARIANTS {
        let pod = Pod::of(values);
        let mut words = vec!["roadstead".to_owned(), "gateway".to_owned()];
        for variable in at(pod.process(), "/env").as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            if !name.starts_with("ROADSTEAD_") {
                continue;
            }
            assert!(known.contains(&name.to_owned()), "{variant}: {name} is none of {known:?}");
            let value = variable["value"].as_str().unwrap_or("pod");
            words.push(format!("--{}={value}", flag("gateway", name)));
        }
        roadstead::cli::Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{variant}: {error}"));
    }
}

/// The flag of a subcommand that an environment variable sets.
fn flag(subcommand: &str, variable: &str) -> String {
    use clap::CommandFactory;
    let cli = roadstead::cli::Cli::command();
    let command = cli.find_subcommand(subcommand).unwrap();
    let mut arguments = command.get_arguments();
    let found = arguments.find(|argument| argument.get_env().is_some_and(|env| env == variable)).unwrap();
    found.get_long().unwrap().to_owned()
}

#[test]
fn values_reach_the_process() {
    let pod = Pod::of(&[
        "--set",
        "domain=models.example.com,shared=true,logTokens=true,tls.secretName=certificate,trustedHops=2,bufferBytes=16777216,maxConnections=100000,pollMillis=2000,tokenSeconds=900,hostedQuietSeconds=60,noticeSeconds=15",
        "--set-json",
        r#"state={"persistentVolumeClaim":{"claimName":"routes"}}"#,
    ]);
    for (name, value) in [
        ("DOMAIN", "models.example.com"),
        ("SHARED", "true"),
        ("LOG_TOKENS", "true"),
        ("TLS", "/etc/roadstead/tls"),
        ("TRUSTED_HOPS", "2"),
        ("BUFFER_BYTES", "16777216"),
        ("MAX_CONNECTIONS", "100000"),
        ("POLL_MILLIS", "2000"),
        ("TOKEN_SECONDS", "900"),
        ("HOSTED_QUIET_SECONDS", "60"),
        ("NOTICE_SECONDS", "15"),
        ("STATE", "/var/lib/roadstead/routes"),
    ] {
        assert_eq!(pod.env(&format!("ROADSTEAD_GATEWAY_{name}")), value, "{name}");
    }
    assert_eq!(pod.env("ROADSTEAD_IDENTITY"), json!({"fieldRef": {"fieldPath": "metadata.name"}}));
    assert!(mounts(pod.envoy()).contains(&("tls", "/etc/roadstead/tls")), "Envoy reads the certificate");
    assert!(mounts(pod.process()).contains(&("state", "/var/lib/roadstead")));
    let plain = Pod::of(&[]);
    for name in ["DOMAIN", "TLS", "STATE"] {
        assert_eq!(plain.env(&format!("ROADSTEAD_GATEWAY_{name}")), Value::Null, "{name}");
    }
    assert_eq!(plain.volume("state"), None);
}

#[test]
fn the_service_can_be_a_load_balancer_for_some_addresses() {
    let objects = rendered_gateway(&[]);
    assert_eq!(at(only(&objects, "Service"), "/spec/type"), "ClusterIP");
    let service = r#"service={"type":"LoadBalancer","port":443,"annotations":{"a":"b"},"loadBalancerClass":"x/y","loadBalancerSourceRanges":["192.0.2.0/24"]}"#;
    let objects = rendered_gateway(&["--set-json", service]);
    let service = only(&objects, "Service");
    assert_eq!(at(service, "/metadata/annotations"), &json!({"a": "b"}));
    let spec = at(service, "/spec");
    assert_eq!(spec["type"], "LoadBalancer");
    assert_eq!(spec["loadBalancerClass"], "x/y");
    assert_eq!(spec["loadBalancerSourceRanges"], json!(["192.0.2.0/24"]));
    assert_eq!(spec["ports"], json!([{"name": "http", "port": 443, "targetPort": "http"}]));
}

/// The policy of the gateway's chart with these values.
pub fn policy(values: &[&str]) -> Value {
    only(&rendered_gateway(values), "NetworkPolicy").clone()
}

#[test]
fn callers_reach_one_port_and_nobody_the_one_that_drains_unless_named() {
    let open = policy(&[]);
    assert_eq!(at(&open, "/spec/policyTypes"), &json!(["Ingress", "Egress"]));
    assert_eq!(at(&open, "/spec/ingress"), &json!([{"ports": [{"protocol": "TCP", "port": 8080}]}]));
    let peers = r#"networkPolicy={"callersFrom":[{"podSelector":{"matchLabels":{"a":"b"}}}],"metricsFrom":[{"podSelector":{"matchLabels":{"c":"d"}}}]}"#;
    let some = policy(&["--set-json", peers]);
    let of = |index: usize| at(&some, &format!("/spec/ingress/{index}")).clone();
    assert_eq!(
        of(0),
        json!({"ports": [{"protocol": "TCP", "port": 8080}], "from": [{"podSelector": {"matchLabels": {"a": "b"}}}]})
    );
    assert_eq!(
        of(1),
        json!({"ports": [{"protocol": "TCP", "port": 8081}], "from": [{"podSelector": {"matchLabels": {"c": "d"}}}]})
    );
}

#[test]
fn it_reaches_endpoints_and_api_servers_but_no_metadata_service() {
    let policy = policy(&[]);
    for (address, port) in [("10.96.0.1", 443), ("198.51.100.9", 8000), ("192.168.1.1", 30080), ("2001:db8::7", 443)] {
        assert!(reaches(&policy, address, "TCP", port), "{address}:{port}");
    }
    for address in METADATA {
        for port in [80, 443, 8080] {
            assert!(!reaches(&policy, address, "TCP", port), "{address}:{port}");
        }
        assert!(reaches(&policy, address, "UDP", 53), "a cloud's resolver");
    }
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    for (flag, value, naming) in [
        ("--set", "installId=prod", "installId"),
        ("--set", "routesNamespace=", "routesNamespace"),
        ("--set", "routesNamespace=Routes", "routesNamespace"),
        ("--set", "envoy.concurrency=0", "concurrency"),
        ("--set", "envoy.image=envoyproxy/envoy", "image"),
        ("--set", "envoy.tag=x", "tag"),
        ("--set", "image.digest=sha256:abc", "digest"),
        ("--set", "domain=Models.example.com", "domain"),
        ("--set", "domain=.example.com", "domain"),
        ("--set", "shared=perhaps", "shared"),
        ("--set", "bufferBytes=65535", "bufferBytes"),
        ("--set", "bufferBytes=268435457", "bufferBytes"),
        ("--set", "maxConnections=0", "maxConnections"),
        ("--set", "maxConnections=1000001", "maxConnections"),
        ("--set", "envoy.maxHeapBytes=67108863", "maxHeapBytes"),
        ("--set", "service.nodePort=65536", "nodePort"),
        ("--set", "pollMillis=99", "pollMillis"),
        ("--set", "pollMillis=60001", "pollMillis"),
        ("--set", "noticeSeconds=601", "noticeSeconds"),
        ("--set", "tokenSeconds=9", "tokenSeconds"),
        ("--set", "hostedQuietSeconds=0", "hostedQuietSeconds"),
        ("--set-json", r#"extraEnv=[{"name":"ROADSTEAD_LISTEN","value":"x"}]"#, "extraEnv"),
        ("--set", "federation.google.configMap=google", "federation.google.audience is required"),
        ("--set", "federation.azure.tenantId=directory", "federation.azure.clientId is required"),
        ("--set", "federation.google.audience=hub", "federation.google.configMap is required"),
        ("--set", "federation.azure.clientId=application", "federation.azure.tenantId is required"),
        ("--set", "federation.google.configMap=Google", "configMap"),
        ("--set", "federation.aws.role=x", "aws"),
        ("--set", "noticeSeconds=30,terminationGracePeriodSeconds=30", "must be more than noticeSeconds"),
        ("--set", "terminationGracePeriodSeconds=29", "terminationGracePeriodSeconds"),
        ("--set", "log.format=xml", "format"),
        ("--set", "service.type=ExternalName", "type"),
        ("--set", "service.loadBalancerClass=a/b", "need service.type LoadBalancer"),
        ("--set", "service.loadBalancerSourceRanges={192.0.2.1}", "loadBalancerSourceRanges"),
        ("--set-json", r#"state={"hostPath":{"path":"/x"}}"#, "state"),
        ("--set-json", r#"state={"emptyDir":{}}"#, "state"),
        ("--set", "serviceAccount.create=false", "serviceAccount.name is required"),
        ("--set-json", r#"networkPolicy={"metricsFrom":[{}]}"#, "metricsFrom"),
    ] {
        match template("roadstead-gateway", &[flag, value]) {
            Ok(_) => panic!("{value} was accepted"),
            Err(error) => assert!(error.contains(naming), "{value} was refused without naming {naming:?}:\n{error}"),
        }
    }
}

#[test]
fn the_notes_say_what_is_next_and_warn_of_keys_in_plain_text() {
    let plain = notes("roadstead-gateway", "service.type=LoadBalancer");
    for part in
        [ROUTES, "plain HTTP", "admits every address", "gateway.url=http://", "status.keysSecretName", NAMESPACE]
    {
        assert!(plain.contains(part), "the notes do not say {part}:\n{plain}");
    }
    assert!(!plain.contains("{{") && !plain.contains("<no value>"), "{plain}");
    let safe =
        notes("roadstead-gateway", "tls.secretName=certificate,domain=models.example.com,hub.kubeconfigSecret=hub");
    for part in ["https://NAME.NAMESPACE.models.example.com/v1", "gateway.url=https://", "Secret hub"] {
        assert!(safe.contains(part), "the notes do not say {part}:\n{safe}");
    }
    assert!(!safe.contains("plain HTTP") && !safe.contains("admits every"), "{safe}");
}
