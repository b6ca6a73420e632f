//! The output of the charts for different values.

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, at, helm, of_kind, only, path, rendered, rendered_gateway, template};
use crate::variants::VARIANTS;

/// The parts of the chart, each with its own name in its labels.
const OPERATOR: &str = "roadstead";
const CLOUD: &str = "roadstead-simulated-cloud";

fn pod(objects: &[Value]) -> &Value {
    at(only(objects, "Deployment"), "/spec/template/spec")
}

/// The objects of one part.
fn part(objects: &[Value], name: &str) -> Vec<Value> {
    let of_part = |object: &&Value| object["metadata"]["labels"]["app.kubernetes.io/name"] == name;
    objects.iter().filter(of_part).cloned().collect()
}

fn env(objects: &[Value], name: &str) -> Value {
    let variables = at(pod(objects), "/containers/0/env").as_array().unwrap();
    let found = variables.iter().find(|variable| variable["name"] == name);
    found.map_or(Value::Null, |variable| variable.get("value").or(variable.get("valueFrom")).unwrap().clone())
}

#[test]
fn every_set_of_values_renders_whole_objects() {
    for (variant, values) in VARIANTS {
        let objects = rendered(values);
        for object in &objects {
            let name = at(object, "/metadata/name").as_str().unwrap();
            assert!(!name.is_empty() && object["kind"].is_string() && object["apiVersion"].is_string());
            let labels = at(object, "/metadata/labels");
            assert!(
                [OPERATOR, CLOUD].contains(&labels["app.kubernetes.io/name"].as_str().unwrap()),
                "{name} of {variant}"
            );
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{name} of {variant}");
            // Roles and their bindings alone are in namespaces of others, and that of the routes is in none.
            let kind = object["kind"].as_str().unwrap();
            let namespace = object["metadata"]["namespace"].as_str();
            match kind {
                "Role" | "RoleBinding" => assert!(namespace.is_some(), "{name} of {variant}"),
                _ if kind.starts_with("Cluster") || kind == "Namespace" => {
                    assert_eq!(namespace, None, "{name} of {variant}");
                }
                _ => assert_eq!(namespace, Some(NAMESPACE), "{name} of {variant}"),
            }
        }
        for part in [part(&objects, OPERATOR), part(&objects, CLOUD)].iter().filter(|part| !part.is_empty()) {
            the_pod_is_restricted(pod(part), variant);
            the_selectors_match(part, variant);
        }
    }
}

#[test]
fn the_simulated_cloud_is_there_where_it_is_asked_for_and_the_operator_is_told() {
    let objects = rendered(&[]);
    assert!(part(&objects, CLOUD).is_empty());
    assert_eq!(env(&objects, "ROADSTEAD_SIMULATED_CLOUD"), Value::Null);
    let objects = rendered(&["--set", "simulatedCloud.enabled=true"]);
    let address = env(&part(&objects, OPERATOR), "ROADSTEAD_SIMULATED_CLOUD");
    let cloud = part(&objects, CLOUD);
    let service = only(&cloud, "Service");
    let (name, port) = (at(service, "/metadata/name").as_str().unwrap(), at(service, "/spec/ports/0/port"));
    assert_eq!(address, format!("http://{name}.{NAMESPACE}.svc:{port}"));
    assert!(address.as_str().unwrap().parse::<roadstead_simulated::cloud::CloudAddress>().is_ok());
    assert_eq!(at(pod(&cloud), "/automountServiceAccountToken"), false);
    let policy = only(&cloud, "NetworkPolicy");
    let peer = at(policy, "/spec/ingress/0/from/0/podSelector/matchLabels");
    let operator = part(&objects, OPERATOR);
    assert_eq!(peer, at(only(&operator, "Deployment"), "/spec/selector/matchLabels"), "the operator alone reaches it");
    assert_eq!(at(policy, "/spec/egress"), &json!([]));
}

/// The requirements of the pod security level `restricted`, and a read-only root.
pub fn the_pod_is_restricted(pod: &Value, variant: &str) {
    assert_eq!(at(pod, "/securityContext/runAsNonRoot"), true, "{variant}");
    assert_eq!(at(pod, "/securityContext/runAsUser"), 65532, "{variant}");
    assert_eq!(at(pod, "/securityContext/seccompProfile/type"), "RuntimeDefault", "{variant}");
    let containers = [&pod["initContainers"], &pod["containers"]].into_iter().filter_map(Value::as_array).flatten();
    for container in containers.map(|container| &container["securityContext"]) {
        assert_eq!(container["allowPrivilegeEscalation"], false, "{variant}");
        assert_eq!(container["readOnlyRootFilesystem"], true, "{variant}");
        assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}), "{variant}");
    }
    let volumes = pod["volumes"].as_array().cloned().unwrap_or_default();
    let of_node = |volume: &&Value| volume.get("hostPath").is_some();
    assert_eq!(volumes.iter().find(of_node), None, "{variant}");
    assert!(pod.get("hostNetwork").is_none(), "{variant}");
}

/// Everything that selects the operator's pods selects them.
pub fn the_selectors_match(objects: &[Value], variant: &str) {
    let labels = at(only(objects, "Deployment"), "/spec/template/metadata/labels");
    let mut selectors = vec![at(only(objects, "Deployment"), "/spec/selector/matchLabels")];
    let spread = pod(objects).get("topologySpreadConstraints").and_then(Value::as_array);
    selectors.extend(spread.into_iter().flatten().map(|constraint| at(constraint, "/labelSelector/matchLabels")));
    let policies = of_kind(objects, "NetworkPolicy");
    selectors.extend(policies.iter().map(|policy| at(policy, "/spec/podSelector/matchLabels")));
    selectors.extend(of_kind(objects, "Service").iter().map(|service| at(service, "/spec/selector")));
    selectors
        .extend(of_kind(objects, "PodDisruptionBudget").iter().map(|budget| at(budget, "/spec/selector/matchLabels")));
    for selector in selectors {
        for (key, value) in selector.as_object().unwrap() {
            assert_eq!(labels.get(key), Some(value), "{variant}");
        }
    }
}

#[test]
fn the_defaults_are_two_pods_that_stand_in_for_each_other() {
    let objects = rendered(&[]);
    let deployment = only(&objects, "Deployment");
    assert_eq!(at(deployment, "/metadata/name"), "roadstead");
    assert_eq!(at(deployment, "/spec/replicas"), 2);
    let container = at(pod(&objects), "/containers/0");
    assert_eq!(container["args"], json!(["run"]));
    assert_eq!(at(container, "/livenessProbe/httpGet/path"), "/livez");
    assert_eq!(at(container, "/readinessProbe/httpGet/path"), "/readyz");
    assert_eq!(at(container, "/ports/0/containerPort"), 8080);
    assert!(at(container, "/resources/requests/memory").is_string());
    for (index, key) in ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].iter().enumerate() {
        let constraint = at(pod(&objects), &format!("/topologySpreadConstraints/{index}"));
        assert_eq!(constraint["topologyKey"], *key);
        // On a cluster of one node both run all the same; pods of the version that goes count for nothing.
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
        assert_eq!(constraint["matchLabelKeys"], json!(["pod-template-hash"]));
    }
    assert_eq!(at(only(&objects, "PodDisruptionBudget"), "/spec/maxUnavailable"), 1);
    assert_eq!(at(only(&objects, "Service"), "/metadata/name"), "roadstead-metrics");
}

#[test]
fn the_operator_is_told_who_it_is() {
    let objects = rendered(&[]);
    assert_eq!(env(&objects, "ROADSTEAD_INSTALL_ID"), "prod");
    assert_eq!(env(&objects, "ROADSTEAD_NAMESPACE"), json!({"fieldRef": {"fieldPath": "metadata.namespace"}}));
    assert_eq!(env(&objects, "ROADSTEAD_IDENTITY"), json!({"fieldRef": {"fieldPath": "metadata.name"}}));
    assert_eq!(env(&objects, "ROADSTEAD_TAKEOVER"), Value::Null);
    assert_eq!(env(&objects, "ROADSTEAD_ALLOW_KUBECONFIG"), Value::Null);
    let uid = "01234567-89ab-cdef-0123-456789abcdef";
    let takeover = format!("takeover={uid}");
    assert_eq!(env(&rendered(&["--set", &takeover]), "ROADSTEAD_TAKEOVER"), uid);
    let allowed = rendered(&["--set-json", r#"allowKubeconfig=["exec","file-paths"]"#]);
    assert_eq!(env(&allowed, "ROADSTEAD_ALLOW_KUBECONFIG"), "exec,file-paths");
    assert_eq!(env(&objects, "ROADSTEAD_WATCH_NAMESPACES"), Value::Null);
    let watching = rendered(&["--set", "watchNamespaces={team-a,team-b}"]);
    assert_eq!(env(&watching, "ROADSTEAD_WATCH_NAMESPACES"), "team-a,team-b");
}

#[test]
fn managed_services_have_their_own_addresses_and_variables_where_that_is_said() {
    use clap::Parser;
    assert_eq!(env(&rendered(&[]), "ROADSTEAD_ENDPOINT_OVERRIDE"), Value::Null);
    let overrides =
        r#"endpointOverrides={"VertexAI":"https://restricted.example.com","SageMaker":"http://192.0.2.1:4566"}"#;
    let secret = r#"extraEnv=[{"name":"AWS_PROFILE","valueFrom":{"secretKeyRef":{"name":"aws","key":"profile"}}}]"#;
    let objects = rendered(&["--set-json", overrides, "--set-json", secret]);
    let pairs = env(&objects, "ROADSTEAD_ENDPOINT_OVERRIDE");
    assert_eq!(pairs, "SageMaker=http://192.0.2.1:4566,VertexAI=https://restricted.example.com");
    roadstead::cli::Cli::try_parse_from([
        "roadstead",
        "run",
        "--install-id=prod",
        "--namespace=roadstead-system",
        "--identity=pod",
        "--endpoint-override",
        pairs.as_str().unwrap(),
    ])
    .unwrap();
    assert_eq!(env(&objects, "AWS_PROFILE"), json!({"secretKeyRef": {"name": "aws", "key": "profile"}}));
}

#[test]
fn the_operator_has_a_token_for_each_cloud_where_that_is_said() {
    let pod = |objects: &[Value]| at(only(objects, "Deployment"), "/spec/template/spec").clone();
    assert_eq!(pod(&rendered(&[]))["volumes"], Value::Null);
    let objects = rendered(&[
        "--set",
        "federation.google.configMap=google,federation.google.audience=hub",
        "--set",
        "federation.azure.tenantId=directory,federation.azure.clientId=application",
    ]);
    for (name, variable, file, audience) in [
        ("google", "GOOGLE_APPLICATION_CREDENTIALS", "credentials.json", "hub"),
        ("azure", "AZURE_FEDERATED_TOKEN_FILE", "token", "api://AzureADTokenExchange"),
    ] {
        let folder = format!("/var/run/secrets/roadstead/{name}");
        assert_eq!(env(&objects, variable), format!("{folder}/{file}"));
        let pod = pod(&objects);
        let of =
            |list: &str| at(&pod, list).as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
        assert_eq!(of("/containers/0/volumeMounts"), json!({"name": name, "mountPath": folder, "readOnly": true}));
        assert_eq!(at(&of("/volumes"), "/projected/sources/0/serviceAccountToken/audience"), audience);
    }
    assert_eq!(env(&objects, "AZURE_TENANT_ID"), "directory");
    assert_eq!(env(&objects, "AZURE_CLIENT_ID"), "application");
}

#[test]
fn orphans_are_deleted_only_where_that_is_said() {
    let objects = rendered(&[]);
    assert_eq!(env(&objects, "ROADSTEAD_DELETE_ORPHANS"), "false");
    assert_eq!(env(&objects, "ROADSTEAD_ORPHAN_MIN_AGE_SECONDS"), "600");
    let objects = rendered(&["--set", "orphans.delete=true,orphans.minAgeSeconds=604800"]);
    assert_eq!(env(&objects, "ROADSTEAD_DELETE_ORPHANS"), "true");
    assert_eq!(env(&objects, "ROADSTEAD_ORPHAN_MIN_AGE_SECONDS"), "604800");
}

#[test]
fn with_a_gateway_the_operator_has_a_namespace_for_routes_that_stays() {
    let none = rendered(&[]);
    assert!(of_kind(&none, "Namespace").is_empty());
    for name in ["ROADSTEAD_ROUTES_NAMESPACE", "ROADSTEAD_GATEWAY_URL"] {
        assert_eq!(env(&none, name), Value::Null);
    }
    let objects = rendered(&["--set", "gateway.enabled=true,gateway.url=https://models.example.com"]);
    let namespace = only(&objects, "Namespace");
    assert_eq!(at(namespace, "/metadata/name"), "roadstead-routes");
    assert_eq!(at(namespace, "/metadata/annotations/helm.sh~1resource-policy"), "keep");
    assert_eq!(env(&objects, "ROADSTEAD_ROUTES_NAMESPACE"), "roadstead-routes");
    assert_eq!(env(&objects, "ROADSTEAD_GATEWAY_URL"), "https://models.example.com");
    let gateway = rendered_gateway(&[]);
    assert_eq!(
        at(only(&gateway, "Role"), "/metadata/namespace"),
        at(namespace, "/metadata/name"),
        "by default the same"
    );
}

#[test]
fn every_variable_is_a_flag_of_what_reads_it() {
    for (_, values) in VARIANTS {
        for deployment in of_kind(&rendered(values), "Deployment") {
            let container = at(deployment, "/spec/template/spec/containers/0");
            let known = variables(at(container, "/args/0").as_str().unwrap());
            let names =
                at(container, "/env").as_array().unwrap().iter().map(|variable| variable["name"].as_str().unwrap());
            for name in names.filter(|name| name.starts_with("ROADSTEAD_")) {
                assert!(known.contains(&name.to_owned()), "{name} is none of {known:?}");
            }
        }
    }
}

/// The environment variables that a subcommand reads.
pub fn variables(subcommand: &str) -> Vec<String> {
    use clap::CommandFactory;
    let cli = roadstead::cli::Cli::command();
    let command = cli.find_subcommand(subcommand).unwrap();
    command
        .get_arguments()
        .filter_map(|argument| argument.get_env())
        .map(|env| env.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_digest_wins_over_a_tag() {
    let image = |values: &str| at(pod(&rendered(&["--set", values])), "/containers/0/image").clone();
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    assert_eq!(image("image.repository=r.example.com/x"), format!("r.example.com/x:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(image("image.tag=v9"), "roadstead:v9");
    assert_eq!(image(&format!("image.tag=v9,image.digest={digest}")), format!("roadstead@{digest}"));
}

/// The notes of a chart: `helm template` leaves them out, so a copy of the chart puts them into an object.
pub fn notes(chart: &str, values: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(chart);
    std::fs::create_dir_all(copy.join("templates")).unwrap();
    for part in ["", "templates"] {
        for file in std::fs::read_dir(path("charts").join(chart).join(part)).unwrap().flatten() {
            if file.path().is_file() {
                std::fs::copy(file.path(), copy.join(part).join(file.file_name())).unwrap();
            }
        }
    }
    let object = r#"{"kind": "Notes", "text": {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}}"#;
    std::fs::write(copy.join("templates/notes.yaml"), object).unwrap();
    let copy = copy.to_str().unwrap();
    let args = ["template", "roadstead", copy, "--namespace", NAMESPACE, "--kube-version", "1.33.0", "--set", values];
    let objects = crate::helm::objects(&helm(&args).unwrap());
    only(&objects, "Notes")["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_notes_say_what_is_next_and_what_uninstalling_leaves() {
    let notes = notes("roadstead", "installId=prod");
    for part in
        ["\"prod\"", "deploy/member.yaml", "ServingTarget", "ModelDeployment", "removes only the operator", NAMESPACE]
    {
        assert!(notes.contains(part), "the notes do not say {part}:\n{notes}");
    }
    assert!(!notes.contains("{{") && !notes.contains("<no value>"), "{notes}");
    assert!(
        notes.contains("pod-security.kubernetes.io/enforce=restricted") && !notes.contains("only these namespaces")
    );
    let notes = self::notes("roadstead", "installId=prod,watchNamespaces={team-a,team-b}");
    assert!(notes.contains("only these namespaces: team-a, team-b"), "{notes}");
}

#[test]
fn the_definitions_stay_when_their_chart_goes() {
    let rendered = template("roadstead-crds", &[]).unwrap();
    let objects = crate::helm::objects(&rendered);
    assert_eq!(objects.len(), 3);
    for object in &objects {
        assert_eq!(object["kind"], "CustomResourceDefinition");
        assert_eq!(at(object, "/metadata/annotations/helm.sh~1resource-policy"), "keep");
    }
}

#[test]
fn an_older_cluster_is_refused() {
    for (chart, values) in
        [("roadstead-crds", "global.a=b"), ("roadstead-gateway", "global.a=b"), ("roadstead", "installId=prod")]
    {
        let chart = path("charts").join(chart);
        let args = ["template", "x", chart.to_str().unwrap(), "--set", values, "--kube-version", "1.32.0"];
        let error = helm(&args).unwrap_err();
        assert!(error.contains("kubeVersion"), "{error}");
    }
}
