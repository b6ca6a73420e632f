//! The token of the operator at Hugging Face has exactly the permissions that the driver needs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use roadstead_clouds::ServiceName;
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_huggingface::{OPERATIONS, PERMISSION};
use roadstead_provider::{Removal, Site, Workload};
use serde_json::Value;

use crate::huggingface::Namespaces;
use crate::life::listed;

/// Permissions that the file grants.
fn granted() -> anyhow::Result<BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/providers/huggingface/token.json");
    let token: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let scoped = token["scoped"].as_array().into_iter().flatten();
    let permissions = scoped.flat_map(|scope| scope["permissions"].as_array().into_iter().flatten());
    let all = permissions.chain(token["global"].as_array().into_iter().flatten());
    Ok(all.filter_map(|permission| permission.as_str().map(ToOwned::to_owned)).collect())
}

/// The token file grants what the driver needs and nothing else, and every operation is called in the life of an endpoint.
pub async fn the_token_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let granted = granted()?;
    ensure!(granted == BTreeSet::from([PERMISSION.to_owned()]), "the file grants {granted:?}, not {PERMISSION}");
    let namespace = Namespaces::namespace(Conduct::Ordinary).await?;
    let driver = namespace.plain_driver("prod")?;
    driver.identity().await?;
    driver.claim(HUB, None).await?;
    let one = wanted(&namespace.target(), "prod", LLAMA)?;
    driver.ensure(&one).await?;
    namespace.clouds.advance(Duration::from_mins(10));
    for replicas in [2, 0, 1] {
        driver.ensure(&edited(&one, |endpoint| endpoint.spec.replicas = replicas)).await?;
        namespace.clouds.advance(Duration::from_mins(10));
    }
    driver.watch(Arc::new(|_| {}));
    let terms = listed(&driver).await?.terms.clone();
    ensure!(!terms.is_empty() && terms.values().all(|terms| terms.hourly.is_some()), "a price is missing: {terms:?}");
    ensure!(driver.remove(&one.endpoint).await? == Removal::Gone, "it is not removed");
    let requests = namespace.clouds.requests_after(0);
    let requests = requests.iter().filter(|exchange| exchange.service == ServiceName::HuggingFace);
    let called: BTreeSet<&str> = requests.map(|exchange| exchange.operation.as_str()).collect();
    ensure!(called == BTreeSet::from(OPERATIONS), "called: {called:?}, and the driver says {OPERATIONS:?}");
    Ok(())
}
