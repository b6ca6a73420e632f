//! A hub that is lost: its successor adopts what runs at every service and makes nothing again, and lists what has no deployment any more.
//! Neither shows a secret.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};
use roadstead_clouds::record::Exchange;
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{DIGITAL_OCEAN, HUGGING_FACE, clouds, overrides};
use super::stage::{Key, LONG, ServiceStage, TEAM, cents};
use super::swept::{self, SweptService, deployment_at};

/// Changes that an adoption needs: they claim the place for the new hub, mark what it adopts, and issue a key where the service shows none
/// again.
const ADOPTING: [(ServiceName, &[&str]); 8] = [
    (ServiceName::SageMaker, &["AddTags"]),
    (ServiceName::HuggingFace, &["update"]),
    (ServiceName::VertexAi, &["UpdateEndpoint"]),
    (ServiceName::Azure, &["EnvironmentContainers_CreateOrUpdate"]),
    (ServiceName::AzureOpenAi, &["Deployments_Update"]),
    (ServiceName::Baseten, &["upsertSecret", "deleteSecret", "createKey", "deleteKey"]),
    (ServiceName::Bedrock, &["TagResource"]),
    (ServiceName::DigitalOcean, &["update", "createToken", "deleteToken"]),
];

/// Tokens for which the operator exchanges the contents of Secrets.
const TOKENS: [&str; 2] = [roadstead_clouds::azure::TOKEN, roadstead_clouds::vertex_ai::TOKEN];

/// The deployment at a service has the name of its target.
fn deployment(service: &SweptService) -> (Key, Value) {
    let mut deployment = deployment_at(service.target);
    deployment["metadata"]["name"] = json!(service.target.2);
    (("mdep", TEAM, service.target.2), deployment)
}

/// Targets whose offers have no price: that of the service counts.
const STATED: [(Key, &str); 2] = [(HUGGING_FACE, "80.00"), (DIGITAL_OCEAN, "23.92")];

/// A hub with all targets.
fn hub(clouds: &Clouds, options: &[String]) -> anyhow::Result<ServiceStage> {
    let hub = ServiceStage::set(&[overrides(clouds), options.to_vec()].concat())?;
    for service in swept::all() {
        let mut objects = service.objects;
        if STATED.iter().any(|(target, _)| *target == service.target) {
            let offer = objects.last_mut().and_then(|target| target["spec"]["offers"][0].as_object_mut());
            offer.context("no offer")?.remove("hourlyPrice");
        }
        objects.iter().try_for_each(|object| hub.apply(object))?;
    }
    Ok(hub)
}

/// Applies the deployments, and waits until each serves at its service.
fn serve(hub: &ServiceStage) -> anyhow::Result<()> {
    let services = swept::all();
    services.iter().try_for_each(|service| hub.apply(&deployment(service).1))?;
    for service in &services {
        hub.served_on(deployment(service).0, service.target.2)?;
    }
    Ok(())
}

/// The UID of a hub.
fn uid(hub: &ServiceStage) -> anyhow::Result<String> {
    let namespace = hub.get(("namespace", "", "kube-system"))?;
    Ok(namespace["metadata"]["uid"].as_str().context("no UID")?.to_owned())
}

/// The ids of everything at the services, or the names where there are none.
fn identities(clouds: &Clouds) -> BTreeMap<ServiceName, BTreeSet<String>> {
    let of = |service: ServiceName| {
        let mut found = BTreeSet::new();
        collect(&clouds.state(service), &mut found);
        (service, found)
    };
    swept::all().iter().map(|service| of(service.service)).collect()
}

fn collect(state: &Value, found: &mut BTreeSet<String>) {
    match state {
        Value::Array(all) => {
            found.extend(all.iter().filter_map(Value::as_str).map(ToOwned::to_owned));
            for one in all {
                collect(one, found);
            }
        }
        Value::Object(members) => {
            let id = members.get("id").or(members.get("name")).and_then(Value::as_str);
            found.extend(id.map(ToOwned::to_owned));
            // Marks and claims name the hub.
            let lasting = members.iter().filter(|(name, _)| *name != "tags" && *name != "secrets");
            for (_, one) in lasting {
                collect(one, found);
            }
        }
        _ => {}
    }
}

/// The requests after this one by which an operator changed something.
fn changes(clouds: &Clouds, before: usize) -> Vec<Exchange> {
    let services = swept::all();
    let is_change = |one: &Exchange| {
        let is_read =
            one.method == "GET" || ["List", "Describe", "Get"].iter().any(|word| one.operation.contains(word));
        let is_own = |service: &SweptService| {
            service.service == one.service && (service.operations)().contains(&one.operation.as_str())
        };
        !is_read && services.iter().any(is_own)
    };
    clouds.requests_after(before).into_iter().filter(is_change).collect()
}

/// True if the request is one of an adoption, and leaves everything as it is but for marks.
fn adopts(one: &Exchange) -> bool {
    let body: Value = serde_json::from_str(&one.body).unwrap_or_default();
    let is_known =
        ADOPTING.iter().any(|(service, all)| *service == one.service && all.contains(&one.operation.as_str()));
    let members: Vec<&String> = body.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    is_known
        && match (one.service, one.operation.as_str()) {
            (ServiceName::HuggingFace, "update") => members == ["tags"],
            // The service wants the units with the tags.
            (ServiceName::AzureOpenAi, _) => members == ["sku", "tags"] && body["sku"]["capacity"] == 8,
            (ServiceName::VertexAi, _) => one.target.ends_with("?updateMask=labels"),
            (ServiceName::DigitalOcean, "update") => {
                let accelerators = &body["spec"]["model_deployments"][0]["accelerators"];
                accelerators[0]["scale"] == 1 && accelerators[1].is_null()
            }
            _ => true,
        }
}

/// Checks that each service has what it had, and that no change was asked for after this request but those of an adoption.
fn check_kept(clouds: &Clouds, had: &BTreeMap<ServiceName, BTreeSet<String>>, before: usize) -> anyhow::Result<()> {
    let changes = changes(clouds, before);
    if let Some(other) = changes.iter().find(|one| !adopts(one)) {
        bail!("an adoption asked {:?} for {} {}: {}", other.service, other.operation, other.target, other.body);
    }
    for (service, _) in ADOPTING {
        ensure!(changes.iter().any(|one| one.service == service), "nothing was adopted at {service:?}");
    }
    let has = identities(clouds);
    ensure!(has == *had, "{has:?} instead of {had:?}");
    for service in swept::all() {
        ensure!((service.held)(clouds) == service.whole, "{}", clouds.state(service.service));
    }
    Ok(())
}

/// Checks that the report lists the endpoint of each service with its own cost, and their sum.
fn check_costs(report: &Value, text: &str) -> anyhow::Result<()> {
    let mut sum = 0;
    let lines = report["orphans"].as_array().context("no orphans")?;
    for service in swept::all() {
        let target = service.objects.last().context("no target")?;
        let stated = STATED.iter().find(|(target, _)| *target == service.target).map(|(_, price)| json!(price));
        let price = stated.unwrap_or_else(|| target["spec"]["offers"][0]["hourlyPrice"].clone());
        let of_target: Vec<&Value> = lines.iter().filter(|line| line["target"] == service.target.2).collect();
        ensure!(of_target.len() == 1 && of_target[0]["hourlyCost"] == price, "{}: {of_target:?}", service.target.2);
        let is_line = |line: &str| line.contains(service.target.2) && line.contains(price.as_str().unwrap_or("?"));
        ensure!(text.lines().any(is_line), "no line of {} with {price}: {text}", service.target.2);
        sum += cents(&price)?;
    }
    ensure!(cents(&report["hourlyCost"])? == sum, "the sum is not {sum} cents: {report}");
    ensure!(text.contains(&format!("{} orphans for ${}.{:02}/h.", lines.len(), sum / 100, sum % 100)), "{text}");
    Ok(())
}

#[test]
fn what_runs_is_adopted_and_what_nobody_wants_is_listed_with_its_cost() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let first = hub(&clouds, &[])?;
    serve(&first)?;
    let former = uid(&first)?;
    first.leaks_nothing(&TOKENS)?;
    drop(first);
    let (had, before) = (identities(&clouds), clouds.requests_after(0).len());

    let rebuilt = hub(&clouds, &[format!("--takeover={former}")])?;
    serve(&rebuilt)?;
    check_kept(&clouds, &had, before)?;
    let former = uid(&rebuilt)?;
    drop(rebuilt);

    // A backup from before the deployments.
    let restored = hub(&clouds, &[format!("--takeover={former}"), "--orphan-interval-seconds=2".to_owned()])?;
    let listed = |count: usize| {
        wait(&format!("{count} endpoints are listed"), LONG, || {
            let report: Value = serde_json::from_str(&restored.roadstead(&["orphans", "-o", "json"])?)?;
            let orphans = report["orphans"].as_array().map_or(0, Vec::len);
            let is_known = report["notSwept"] == json!([]) && report["unknownPrices"] == 0;
            ensure!(orphans == count && is_known, "{report}");
            Ok(report)
        })
    };
    check_costs(&listed(swept::all().len())?, &restored.roadstead(&["orphans"])?)?;
    serve(&restored)?;
    listed(0)?;
    restored.leaks_nothing(&TOKENS)?;
    check_kept(&clouds, &had, before)
}
