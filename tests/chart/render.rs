//! What the charts render, over the values that change it.

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, at, helm, of_kind, only, path, rendered, template};

/// Sets of values, each of which changes what is rendered.
const VALUES: [&[&str]; 13] = [
    &[],
    &["--set", "replicaCount=1"],
    &["--set", "replicaCount=5,concurrency=4"],
    &["--set", "takeover=01234567-89ab-cdef-0123-456789abcdef"],
    &["--set", "image.repository=registry.example.com:5000/a/roadstead,image.tag=v9,image.pullPolicy=Always"],
    &["--set-json", r#"imagePullSecrets=[{"name":"regcred"}]"#],
    &["--set-json", r#"allowKubeconfig=["exec","file-paths"]"#],
    &["--set", "log.level=info\\,roadstead=debug,log.format=text"],
    &["--set", "serviceAccount.create=false,serviceAccount.name=mine"],
    &["--set", "podDisruptionBudget.enabled=false,metrics.service.enabled=false"],
    &["--set", "orphans.delete=true,orphans.minAgeSeconds=86400"],
    &["--set-json", r#"resources={"requests":{"cpu":1},"limits":{"memory":"1Gi"}}"#],
    &[
        "--set-json",
        r#"nodeSelector={"a":"b"},tolerations=[{"operator":"Exists"}],affinity={"nodeAffinity":{}},podLabels={"team":"x"},podAnnotations={"a/b":"c"}"#,
    ],
];

fn pod(objects: &[Value]) -> &Value {
    at(only(objects, "Deployment"), "/spec/template/spec")
}

fn env(objects: &[Value], name: &str) -> Value {
    let variables = at(pod(objects), "/containers/0/env").as_array().unwrap();
    let found = variables.iter().find(|variable| variable["name"] == name);
    found.map_or(Value::Null, |variable| variable.get("value").or(variable.get("valueFrom")).unwrap().clone())
}

#[test]
fn helm_finds_no_fault() {
    for (chart, values) in [("roadstead-crds", &[][..]), ("roadstead", &["--set", "installId=prod"][..])] {
        let chart = path("charts").join(chart);
        let mut args = vec!["lint", "--strict", "--kube-version", "1.33.0", chart.to_str().unwrap()];
        args.extend(values);
        helm(&args).unwrap_or_else(|error| panic!("{}: {error}", chart.display()));
    }
}

#[test]
fn every_set_of_values_renders_whole_objects() {
    for values in VALUES {
        let objects = rendered(values);
        for object in &objects {
            let name = at(object, "/metadata/name").as_str().unwrap();
            assert!(!name.is_empty() && object["kind"].is_string() && object["apiVersion"].is_string());
            let labels = at(object, "/metadata/labels");
            assert_eq!(labels["app.kubernetes.io/name"], "roadstead", "{name} with {values:?}");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{name} with {values:?}");
            let cluster_wide = object["kind"].as_str().unwrap().starts_with("Cluster");
            assert_eq!(object["metadata"]["namespace"] == NAMESPACE, !cluster_wide, "{name} with {values:?}");
        }
        the_pod_is_restricted(pod(&objects), values);
        the_selectors_match(&objects, values);
    }
}

/// What the pod security level `restricted` asks for, and a read-only root besides.
fn the_pod_is_restricted(pod: &Value, values: &[&str]) {
    assert_eq!(at(pod, "/securityContext/runAsNonRoot"), true, "{values:?}");
    assert_eq!(at(pod, "/securityContext/runAsUser"), 65532, "{values:?}");
    assert_eq!(at(pod, "/securityContext/seccompProfile/type"), "RuntimeDefault", "{values:?}");
    let container = at(pod, "/containers/0/securityContext");
    assert_eq!(container["allowPrivilegeEscalation"], false, "{values:?}");
    assert_eq!(container["readOnlyRootFilesystem"], true, "{values:?}");
    assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}), "{values:?}");
    assert!(pod.get("volumes").is_none() && pod.get("hostNetwork").is_none(), "{values:?}");
}

/// Everything that selects the operator's pods selects them.
fn the_selectors_match(objects: &[Value], values: &[&str]) {
    let labels = at(only(objects, "Deployment"), "/spec/template/metadata/labels");
    let pod = pod(objects);
    let mut selectors = vec![
        at(only(objects, "Deployment"), "/spec/selector/matchLabels"),
        at(pod, "/topologySpreadConstraints/0/labelSelector/matchLabels"),
    ];
    selectors.extend(of_kind(objects, "Service").iter().map(|service| at(service, "/spec/selector")));
    selectors
        .extend(of_kind(objects, "PodDisruptionBudget").iter().map(|budget| at(budget, "/spec/selector/matchLabels")));
    for selector in selectors {
        for (key, value) in selector.as_object().unwrap() {
            assert_eq!(labels.get(key), Some(value), "{values:?}");
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
    assert_eq!(at(pod(&objects), "/topologySpreadConstraints/0/topologyKey"), "kubernetes.io/hostname");
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
fn every_variable_is_a_flag_of_the_operator() {
    let known = roadstead_variables();
    let objects = rendered(&[
        "--set",
        "takeover=01234567-89ab-cdef-0123-456789abcdef",
        "--set-json",
        r#"allowKubeconfig=["exec"]"#,
    ]);
    for variable in at(pod(&objects), "/containers/0/env").as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(known.contains(&name.to_owned()), "{name} is none of {known:?}");
    }
}

/// The environment variables that `roadstead run` reads.
fn roadstead_variables() -> Vec<String> {
    use clap::CommandFactory;
    let cli = roadstead::cli::Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    run.get_arguments()
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

/// The notes: `helm template` leaves them out, so a copy of the chart puts them into an object.
fn notes(values: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("roadstead");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    for part in ["", "templates"] {
        for file in std::fs::read_dir(path("charts/roadstead").join(part)).unwrap().flatten() {
            if file.path().is_file() {
                std::fs::copy(file.path(), chart.join(part).join(file.file_name())).unwrap();
            }
        }
    }
    let object = r#"{"kind": "Notes", "text": {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}}"#;
    std::fs::write(chart.join("templates/notes.yaml"), object).unwrap();
    let chart = chart.to_str().unwrap();
    let args = ["template", "roadstead", chart, "--namespace", NAMESPACE, "--kube-version", "1.33.0", "--set", values];
    let objects = crate::helm::objects(&helm(&args).unwrap());
    only(&objects, "Notes")["text"].as_str().unwrap().to_owned()
}

#[test]
fn the_notes_say_what_is_next_and_what_uninstalling_leaves() {
    let notes = notes("installId=prod");
    for part in
        ["\"prod\"", "deploy/member.yaml", "ServingTarget", "ModelDeployment", "removes the operator only", NAMESPACE]
    {
        assert!(notes.contains(part), "the notes do not say {part}:\n{notes}");
    }
    assert!(!notes.contains("{{") && !notes.contains("<no value>"), "{notes}");
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
    for (chart, values) in [("roadstead-crds", "global.a=b"), ("roadstead", "installId=prod")] {
        let chart = path("charts").join(chart);
        let args = ["template", "x", chart.to_str().unwrap(), "--set", values, "--kube-version", "1.32.0"];
        let error = helm(&args).unwrap_err();
        assert!(error.contains("kubeVersion"), "{error}");
    }
}
