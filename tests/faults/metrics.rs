//! A running operator's `/metrics`: the current fleet, and the metrics of alerts and dashboard.

use anyhow::{Context, ensure};
use roadstead_ground::promql::{Query, Scrape};
use serde_json::{Value, json};

use super::objects::{deployment, places};
use super::rig::{LONG, Rig, TEAM, wait};

/// The labels of the one deployment.
const LLAMA: [(&str, &str); 2] = [("namespace", TEAM), ("deployment", "llama")];

/// Figures follow the objects and go with them; counters begin at zero; nothing is asked for that there is not.
pub fn tell_of_the_fleet(rig: &Rig) -> anyhow::Result<()> {
    // A process that has just started, so that everything it counted happened in this test.
    rig.stop_operator();
    rig.start_operator()?;
    let begun = wait("the operator answers", LONG, || scrape(rig))?;
    for counter in ["controller_runtime_reconcile_panics_total", "roadstead_endpoints_abandoned_total"] {
        let values = begun.values(counter, &[]);
        ensure!(!values.is_empty() && values.iter().all(|value| *value < 0.5), "{counter} begins at {values:?}");
    }
    for target in places(&json!({})) {
        rig.apply(&target)?;
    }
    rig.apply(&deployment())?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    let object = rig.get(&["mdep", "llama", "-n", TEAM])?;
    let serving = wait("the metrics tell of a ready deployment", LONG, || {
        let scrape = scrape(rig)?;
        is(&scrape, "roadstead_deployment_ready", &[&LLAMA[..], &[("reason", "Ready")]].concat(), 1.0)?;
        Ok(scrape)
    })?;
    let replicas = object["spec"]["replicas"].as_f64().context("no replicas")?;
    is(&serving, "roadstead_deployment_replicas_wanted", &LLAMA, replicas)?;
    is(&serving, "roadstead_deployment_replicas_ready", &LLAMA, replicas)?;
    let cost: f64 = object["status"]["hourlyCost"].as_str().context("no cost")?.parse()?;
    is(&serving, "roadstead_deployment_hourly_cost_dollars", &LLAMA, cost)?;
    is(&serving, "roadstead_hourly_cost_dollars", &[], cost)?;
    is(&serving, "roadstead_deployments", &[("ready", "True"), ("reason", "Ready")], 1.0)?;
    is(&serving, "roadstead_target_ready", &[("target", "east")], 1.0)?;
    is(&serving, "roadstead_replacements_under_way", &[], 0.0)?;
    is(&serving, "roadstead_time_to_ready_seconds_count", &[], 1.0)?;
    for process in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"] {
        ensure!(serving.values(process, &[]).iter().all(|value| *value > 0.0), "{process}");
    }
    asks_for_what_there_is(&serving)?;

    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=true", "--timeout=60s"])?;
    wait("the series of the deployment are gone", LONG, || {
        let scrape = scrape(rig)?;
        ensure!(scrape.values("roadstead_deployment_ready", &LLAMA).is_empty());
        ensure!(scrape.values("roadstead_deployment_hourly_cost_dollars", &LLAMA).is_empty());
        Ok(())
    })
}

fn scrape(rig: &Rig) -> anyhow::Result<Scrape> {
    Ok(Scrape::read(&rig.http_get(rig.operator.listen, "/metrics")?))
}

fn is(scrape: &Scrape, metric: &str, labels: &[(&str, &str)], wanted: f64) -> anyhow::Result<()> {
    let values = scrape.values(metric, labels);
    ensure!(matches!(values[..], [value] if (value - wanted).abs() < 1e-6), "{metric}: {values:?}, not {wanted}");
    Ok(())
}

/// Metrics that not every operator has: orphans exist only after the first sweep.
const NOT_YET: [&str; 1] = ["roadstead_orphans"];

/// Every expression of the alerts and of the dashboard finds its metrics and labels in this answer.
fn asks_for_what_there_is(scrape: &Scrape) -> anyhow::Result<()> {
    let file = |name: &str| {
        let path = format!("{}/charts/roadstead/monitoring/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path)
    };
    let alerts: Value = serde_saphyr::from_str(&file("alerts.yaml")?)?;
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")?)?;
    let expressions = expressions(&alerts).into_iter().chain(expressions(&dashboard));
    let mut count = 0;
    for expression in expressions {
        let mut query = Query::read(&expression);
        query.selectors.retain(|(metric, _)| !NOT_YET.contains(&metric.as_str()));
        if query.selectors.is_empty() {
            continue;
        }
        count += 1;
        let missing = query.missing(scrape);
        ensure!(missing.is_empty(), "{expression}: there is not {missing:?}");
    }
    ensure!(count > 15, "only {count} expressions were found");
    Ok(())
}

/// All texts under the key `expr`.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == "expr" => vec![text.clone()],
                value => expressions(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}
