//! The policy of the operator at SageMaker has exactly the rights that the driver needs.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use kube::ResourceExt;
use roadstead_clouds::ServiceName;
use roadstead_conformance::request::wanted;
use roadstead_conformance::{Conduct, Place, request};
use roadstead_provider::{Claim, Removal, Wanted};
use roadstead_sagemaker::{ACTIONS, OPERATIONS};
use serde_json::Value;

use crate::life::{LOOKS, pause, reaches};
use crate::sagemaker::{Account, Accounts};

/// The hub of the test, and the one that takes over from it.
const HUBS: [&str; 2] = ["hub-one", "hub-two"];
/// Rights that the file grants.
fn granted() -> anyhow::Result<BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/providers/sagemaker/policy.json");
    let policy: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let statements = policy["Statement"].as_array().context("the policy has statements")?;
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    Ok(actions.filter_map(|action| action.as_str().map(ToOwned::to_owned)).collect())
}

/// Rights that the driver says it needs.
fn needed() -> BTreeSet<String> {
    let operations = OPERATIONS.into_iter().map(|operation| format!("sagemaker:{operation}"));
    operations.chain(ACTIONS.into_iter().map(ToOwned::to_owned)).collect()
}

/// The policy grants what the driver needs and nothing else, and every operation is called in the life of an endpoint.
pub async fn the_policy_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let (granted, needed) = (granted()?, needed());
    ensure!(granted == needed, "the policy grants {granted:?}, and the driver needs {needed:?}");
    let account = Accounts::account(Conduct::Ordinary).await?;
    live(&account).await?;
    let called: BTreeSet<String> = account
        .clouds
        .requests_after(0)
        .into_iter()
        .filter(|exchange| exchange.service == ServiceName::SageMaker)
        .map(|exchange| exchange.operation.rsplit('.').next().unwrap_or_default().to_owned())
        .collect();
    let own: BTreeSet<String> = OPERATIONS.into_iter().map(ToOwned::to_owned).collect();
    let beside: BTreeSet<&str> = called.difference(&own).map(String::as_str).collect();
    ensure!(own.is_subset(&called), "never called: {:?}", own.difference(&called).collect::<Vec<_>>());
    ensure!(beside == BTreeSet::from(["GetCallerIdentity", "GetResources"]), "called beside: {beside:?}");
    Ok(())
}

/// The life of an endpoint: made, scaled, updated twice, found by a rebuilt hub, and removed.
async fn live(account: &Account) -> anyhow::Result<()> {
    let driver = account.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim(HUBS[0], None).await? == Claim::Ours);
    ensure!(driver.claim(HUBS[1], None).await? == Claim::Other { hub_uid: HUBS[0].to_owned() });
    ensure!(driver.claim(HUBS[1], Some(HUBS[0])).await? == Claim::Ours);
    driver.watch(std::sync::Arc::new(|_| {}));
    let first = wanted(&account.target(), "prod", request::LLAMA)?;
    let scaled = request::edited(&first, |endpoint| endpoint.spec.replicas = 2);
    let args = |wanted: &Wanted, arg: &str| {
        let args = vec![arg.to_owned()];
        request::edited(wanted, |endpoint| endpoint.spec.template.args = args)
    };
    let last = args(&scaled, "--max-model-len=3");
    for form in [first, scaled.clone(), args(&scaled, "--max-model-len=2"), last.clone()] {
        driver.ensure(&form).await?;
        reaches(account, driver.as_ref(), &form, true).await?;
    }
    ensure!(driver.api_key(&last.endpoint.name_any()).await?.is_some());
    for _ in 0..LOOKS {
        if driver.remove(&last.endpoint).await? == Removal::Gone {
            let state = account.clouds.state(ServiceName::SageMaker);
            let left = |kind: &str| state[0][kind].as_array().map_or(0, Vec::len);
            let left = ["endpoints", "configs", "models"].map(left);
            ensure!(left == [0, 0, 0], "something is left: {state}");
            return Ok(());
        }
        pause(account).await?;
    }
    anyhow::bail!("it is not removed")
}
