//! The operations of the driver at Baseten are exactly those that it says, whose key may do everything in its team.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::ByteString;
use kube::ResourceExt;
use roadstead_baseten::{KEY_TYPE, OPERATIONS};
use roadstead_clouds::ServiceName;
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_conformance::request::{LLAMA, edited, recorded, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_provider::{Claim, Observation, Removal, Secret, Site, Wanted, Workload};
use serde_json::{Value, json};

use crate::baseten::{Teams, secrets};
use crate::life::{listed, settle};

/// The wanted endpoint with a variable from a Secret.
fn with_secret(one: &Wanted) -> Wanted {
    let mut wanted = edited(one, |endpoint| {
        let variable = json!({"name": "HF_TOKEN", "secretKeyRef": {"name": "hf", "key": "token"}});
        endpoint.spec.template.env = serde_json::from_value(json!([variable])).unwrap();
    });
    let data = [("token".to_owned(), ByteString(b"word-of-the-hub".to_vec()))].into();
    wanted.secrets = Arc::new([("hf".to_owned(), Secret { kind: "Opaque".to_owned(), data })].into());
    wanted
}

/// Every operation is called in the lives of two endpoints, and no other one; the file names the type of the key.
pub async fn every_operation_is_called_and_no_other() -> anyhow::Result<()> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/providers/baseten/key.json");
    let key: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    ensure!(key["type"] == KEY_TYPE, "the file asks for a key of type {}", key["type"]);
    let team = Teams::team(Conduct::Ordinary).await?;
    let driver = team.plain_driver("prod")?;
    driver.identity().await?;
    driver.claim(HUB, None).await?;
    let one = with_secret(&wanted(&team.target(), "prod", LLAMA)?);
    let one = recorded(&one, &driver.ensure(&one).await?);
    driver.api_key(&one.endpoint.name_any()).await?.context("no key is issued")?;
    for replicas in [2, 0, 1] {
        settle(&driver, &team.clouds, &edited(&one, |endpoint| endpoint.spec.replicas = replicas)).await?;
    }
    settle(&driver, &team.clouds, &edited(&one, |endpoint| endpoint.spec.template.args = vec!["--seed=1".to_owned()]))
        .await?;
    driver.watch(Arc::new(|_| {}));
    let terms = listed(&driver).await?.terms.clone();
    ensure!(!terms.is_empty() && terms.values().all(|terms| terms.hourly.is_some()), "a price is missing: {terms:?}");

    let failing = Effect::FailLate { after_seconds: 60, reason: "no".to_owned(), leaves: AfterFailure::Failed };
    let (service, operation, times) = (ServiceName::Baseten, "create".to_owned(), Some(1));
    team.clouds.add_fault(ScriptedFault { service, operation, skip: 0, times, effect: failing });
    let other = wanted(&team.target(), "prod", "other")?;
    driver.ensure(&other).await?;
    team.clouds.advance(Duration::from_mins(10));
    let Observation::Present(failed) = driver.observe(&other).await? else { anyhow::bail!("it is gone") };
    ensure!(failed.trouble.is_some_and(|trouble| trouble.message.contains("no")), "a failure has no reason");
    for endpoint in [&one.endpoint, &other.endpoint] {
        ensure!(driver.remove(endpoint).await? == Removal::Gone, "it is not removed");
    }
    let state = team.clouds.state(ServiceName::Baseten);
    ensure!(state["keys"] == 0 && secrets(&state).is_empty() && state["models"] == json!([]), "left: {state}");
    let requests = team.clouds.requests_after(0);
    let called: BTreeSet<&str> = requests.iter().map(|exchange| exchange.operation.as_str()).collect();
    ensure!(called == BTreeSet::from(OPERATIONS), "called: {called:?}, and the driver says {OPERATIONS:?}");
    Ok(())
}

/// A new key leaves the former one valid, and no third one; each serves, and none manages.
pub async fn a_new_key_leaves_the_former_one_valid() -> anyhow::Result<()> {
    let team = Teams::team(Conduct::Ordinary).await?;
    let driver = team.plain_driver("prod")?;
    driver.identity().await?;
    driver.claim(HUB, None).await?;
    let one = wanted(&team.target(), "prod", LLAMA)?;
    let name = one.endpoint.name_any();
    ensure!(driver.api_key(&name).await?.is_none(), "a key is issued for an endpoint that is not there");
    driver.ensure(&one).await?;
    let mut keys = Vec::new();
    for _ in 0..3 {
        team.clouds.advance(Duration::from_secs(1));
        keys.push(driver.api_key(&name).await?.context("no key is issued")?);
    }
    ensure!(team.clouds.state(ServiceName::Baseten)["keys"] == 2, "{}", team.clouds.state(ServiceName::Baseten));
    ensure!(keys[1] != keys[2], "the key is issued twice");
    Ok(())
}

/// Two hubs claim a team at once, so that both secrets are there: the older one holds, and the hub of the other one takes it back.
pub async fn of_two_claims_at_once_the_older_one_is_left() -> anyhow::Result<()> {
    let team = Teams::team(Conduct::Ordinary).await?;
    let driver = team.plain_driver("prod")?;
    driver.identity().await?;
    ensure!(driver.claim("hub-two", None).await? == Claim::Ours);
    team.clouds.advance(Duration::from_secs(1));
    team.clouds.baseten.write_secret("roadstead-claim_prod_hub-one");
    ensure!(driver.claim("hub-one", None).await? == Claim::Other { hub_uid: "hub-two".to_owned() });
    ensure!(driver.claim("hub-two", None).await? == Claim::Ours);
    let left = team.clouds.state(ServiceName::Baseten)["secrets"].clone();
    ensure!(left == json!(["roadstead-claim_prod_hub-two"]), "an heir waits: {left}");
    Ok(())
}
