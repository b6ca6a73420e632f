//! The chart's objects for Prometheus and Grafana.

use serde_json::Value;

use crate::helm::{NAMESPACE, at, of_kind, only, rendered, text};

#[test]
fn nothing_is_made_for_prometheus_or_grafana_unless_it_is_asked_for() {
    for kind in ["ServiceMonitor", "PrometheusRule", "ConfigMap"] {
        assert!(of_kind(&rendered(&[]), kind).is_empty(), "{kind}");
    }
}

#[test]
fn a_service_monitor_leads_to_the_metrics_service() {
    let objects = rendered(&["--set", "metrics.serviceMonitor.enabled=true"]);
    let monitor = only(&objects, "ServiceMonitor");
    let service = only(&objects, "Service");
    let labels = at(service, "/metadata/labels");
    for (key, value) in at(monitor, "/spec/selector/matchLabels").as_object().unwrap() {
        assert_eq!(labels.get(key), Some(value));
    }
    assert_eq!(at(monitor, "/spec/namespaceSelector/matchNames/0"), NAMESPACE);
    assert_eq!(at(monitor, "/spec/endpoints/0/port"), at(service, "/spec/ports/0/name"));
    assert_eq!(at(monitor, "/spec/endpoints/0/honorLabels"), true, "namespace is that of a deployment");
    assert_eq!(at(monitor, "/spec/endpoints/0").get("interval"), None);
}

#[test]
fn a_prometheus_rule_has_the_alerts_of_the_file_with_the_runbook_where_the_value_says() {
    let file: Value = serde_saphyr::from_str(&text("charts/roadstead/monitoring/alerts.yaml")).unwrap();
    let objects = rendered(&["--set", "metrics.prometheusRule.enabled=true"]);
    assert_eq!(only(&objects, "PrometheusRule")["spec"], file, "as it is by default");
    let base = "https://docs.example.com/runbook";
    let value = format!("metrics.prometheusRule.enabled=true,metrics.prometheusRule.runbookBaseUrl={base}");
    let elsewhere = rendered(&["--set", &value]);
    let rules = at(only(&elsewhere, "PrometheusRule"), "/spec/groups/0/rules").as_array().unwrap().clone();
    for rule in rules {
        let anchor = rule["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(rule["annotations"]["runbook_url"], format!("{base}#{anchor}"));
    }
}

#[test]
fn the_dashboard_is_that_of_the_file_under_the_label_of_the_sidecar() {
    let objects = rendered(&["--set", "metrics.dashboard.enabled=true"]);
    let map = only(&objects, "ConfigMap");
    assert_eq!(at(map, "/metadata/labels/grafana_dashboard"), "1");
    let shipped: Value = serde_json::from_str(map["data"]["roadstead.json"].as_str().unwrap()).unwrap();
    let file: Value = serde_json::from_str(&text("charts/roadstead/monitoring/dashboard.json")).unwrap();
    assert_eq!(shipped, file);
}
