//! Values: refused when they cannot be meant, and each one documented.

use serde_json::Value;

use crate::helm::{template, text};

fn refused(values: &[&str], naming: &str) {
    match template("roadstead", values) {
        Ok(_) => panic!("{values:?} was accepted"),
        Err(error) => assert!(error.contains(naming), "{values:?} was refused without naming {naming:?}:\n{error}"),
    }
}

/// An install id and one more value.
fn refused_beside(flag: &str, value: &str, naming: &str) {
    refused(&["--set", "installId=prod", flag, value], naming);
}

#[test]
fn an_install_id_is_required_and_has_a_form() {
    refused(&[], "installId");
    for bad in ["1prod", "Prod", "prod-", "-prod", "pro_d", "a23456789012345678901234567890123"] {
        refused(&["--set-string", &format!("installId={bad}")], "installId");
    }
    for good in ["a", "prod", "prod-eu-1", "a2345678901234567890123456789012"] {
        template("roadstead", &["--set-string", &format!("installId={good}")]).unwrap();
    }
}

#[test]
fn the_charts_form_of_an_install_id_is_that_of_the_operator() {
    for id in ["a", "prod", "p-1", "1a", "-a", "a-", "A", "a_b", &"a".repeat(32), &"a".repeat(33)] {
        let by_chart = template("roadstead", &["--set-string", &format!("installId={id}")]).is_ok();
        let by_operator = roadstead_api::v1alpha1::names::check_install_id(id).is_ok();
        assert_eq!(by_chart, by_operator, "{id:?}");
    }
}

#[test]
fn unknown_values_are_refused() {
    refused_beside("--set", "instalId=x", "instalId");
    refused_beside("--set", "image.tagg=x", "tagg");
    refused_beside("--set", "gateway.adress=x", "adress");
    refused_beside("--set", "log.colour=red", "colour");
    refused_beside("--set", "replacements.most=9", "most");
    refused_beside("--set", "orphans.remove=true", "remove");
    refused_beside("--set", "serviceAccount.nam=x", "nam");
    refused_beside("--set", "metrics.service.prt=1", "prt");
    refused_beside("--set", "metrics.serviceMonitor.intervall=30s", "intervall");
    refused_beside("--set", "networkPolicy.enable=true", "enable");
    assert!(template("roadstead-crds", &["--set", "installId=prod"]).is_err());
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    refused_beside("--set", "takeover=prod", "takeover");
    refused_beside("--set", "replicaCount=-1", "replicaCount");
    refused_beside("--set", "concurrency=0", "concurrency");
    refused_beside("--set", "replacements.max=0", "max");
    refused_beside("--set", "replacements.max=10001", "max");
    refused_beside("--set", "replacements.maxPerNamespace=0", "maxPerNamespace");
    refused_beside("--set", "replacements.maxPerTarget=10001", "maxPerTarget");
    refused_beside("--set", "image.digest=sha256:abc", "digest");
    refused_beside("--set", "image.repository=", "repository");
    refused_beside("--set", "image.pullPolicy=Sometimes", "pullPolicy");
    refused_beside("--set", "log.format=xml", "format");
    refused_beside("--set", "gateway.enabled=true", "for example --set gateway.url=https://models.example.com");
    for url in ["models.example.com", "ftp://models.example.com", "https://models.example.com/v1", "https://a.example/"]
    {
        refused_beside("--set", &format!("gateway.url={url}"), "url");
    }
    let own = "gateway.enabled=true,gateway.url=https://a.example,gateway.routesNamespace=roadstead-system";
    refused_beside("--set", own, "the operator's own namespace");
    refused_beside("--set", "endpointOverrides.VertexAI=restricted.example.com", "endpointOverrides");
    refused_beside(
        "--set-json",
        r#"endpointOverrides={"VertexAI":"https://a.example,SageMaker=x"}"#,
        "endpointOverrides",
    );
    refused_beside("--set-json", r#"extraEnv=[{"name":"ROADSTEAD_NAMESPACE","value":"other"}]"#, "extraEnv");
    refused_beside("--set-json", r#"extraEnv=[{"name":"A"}]"#, "extraEnv");
    refused_beside("--set", "federation.google.configMap=google", "federation.google.audience is required");
    refused_beside("--set", "federation.azure.tenantId=directory", "federation.azure.clientId is required");
    refused_beside("--set", "federation.google.audience=hub", "federation.google.configMap is required");
    refused_beside("--set", "federation.azure.clientId=application", "federation.azure.tenantId is required");
    refused_beside("--set", "orphans.delete=perhaps", "delete");
    refused_beside("--set", "orphans.minAgeSeconds=599", "minAgeSeconds");
    refused_beside("--set", "metrics.deployments=-1", "deployments");
    refused_beside("--set", "metrics.serviceMonitor.interval=often", "interval");
    let without_service = "metrics.serviceMonitor.enabled=true,metrics.service.enabled=false";
    refused_beside("--set", without_service, "metrics.service.enabled");
    refused_beside("--set", "metrics.prometheusRule.runbookBaseUrl=", "runbookBaseUrl");
    refused_beside("--set-json", r#"allowKubeconfig=["anything"]"#, "allowKubeconfig");
    refused_beside("--set-json", r#"nodeSelector={"a":1}"#, "nodeSelector");
    refused_beside("--set", "watchNamespaces=team-a", "watchNamespaces");
    for namespace in ["", "Team", "team_a", "-a", "a.b"] {
        refused_beside("--set-json", &format!("watchNamespaces=[{namespace:?}]"), "watchNamespaces");
    }
    refused_beside("--set-json", r#"watchNamespaces=["a","a"]"#, "watchNamespaces");
    refused_beside("--set-json", r#"networkPolicy={"metricsFrom":[{}]}"#, "metricsFrom");
}

#[test]
fn every_kubeconfig_feature_can_be_allowed() {
    use clap::ValueEnum;
    let features = roadstead_kubernetes::cluster::kubeconfig::Feature::value_variants();
    let names: Vec<String> = features.iter().map(|feature| format!("{:?}", feature.as_str())).collect();
    template(
        "roadstead",
        &["--set", "installId=prod", "--set-json", &format!("allowKubeconfig=[{}]", names.join(","))],
    )
    .unwrap();
}

#[test]
fn every_value_has_a_default_a_type_and_a_sentence() {
    for chart in ["roadstead", "roadstead-gateway"] {
        the_values_are_explained(chart);
    }
}

fn the_values_are_explained(chart: &str) {
    let source = text(&format!("charts/{chart}/values.yaml"));
    let defaults: Value = serde_saphyr::from_str(&source).unwrap();
    let schema: Value = serde_json::from_str(&text(&format!("charts/{chart}/values.schema.json"))).unwrap();
    same_keys(&defaults, &schema, "");

    let lines: Vec<&str> = source.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let key = line.trim_start();
        if key.is_empty() || key.starts_with('#') {
            continue;
        }
        // A struct is explained by its fields, and the amounts in a default explain themselves.
        let opens = line.ends_with(':');
        let amount = ["cpu:", "memory:"].iter().any(|name| key.starts_with(name));
        let explained = index > 0 && lines[index - 1].trim_start().starts_with('#');
        assert!(explained || opens || amount, "{chart}/values.yaml:{}: {line} has no comment above it", index + 1);
    }
}

/// Every default is in the schema, and the reverse; structs in the schema are closed.
fn same_keys(defaults: &Value, schema: &Value, path: &str) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
    let Some(defaults) = defaults.as_object() else { return };
    for key in defaults.keys() {
        assert!(properties.contains_key(key), "{path}/{key} has a default and is not in the schema");
    }
    for (key, schema) in properties {
        // Helm hands global to every chart, and amounts have no names of their own.
        if key == "global" || path.ends_with("/resources") {
            continue;
        }
        let default = defaults.get(key).unwrap_or_else(|| panic!("{path}/{key} is in the schema and has no default"));
        same_keys(default, schema, &format!("{path}/{key}"));
    }
}
