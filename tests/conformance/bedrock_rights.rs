//! The policies of the operator at Bedrock have exactly the rights that its drivers need.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use k8s_openapi::ByteString;
use kube::ResourceExt;
use roadstead_bedrock::{IMPORT_ACTIONS, IMPORT_OPERATIONS, THROUGHPUT_ACTIONS, THROUGHPUT_OPERATIONS};
use roadstead_clouds::ServiceName;
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_provider::{Claim, Observation, Removal, Secret, Wanted};
use serde_json::{Value, json};

use crate::bedrock::{BedrockAccount, BedrockAccounts};
use crate::life::{LOOKS, pause, reaches};
use crate::trust::{actions, statement};

/// Rights that a file grants.
fn granted(file: &str) -> anyhow::Result<BTreeSet<String>> {
    let path = format!("{}/deploy/providers/bedrock/{file}", env!("CARGO_MANIFEST_DIR"));
    let policy: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let statements = policy["Statement"].as_array().context("the policy has statements")?;
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().into_iter().flatten());
    Ok(actions.filter_map(|action| action.as_str().map(ToOwned::to_owned)).collect())
}

/// The role of an import reads the weights of one bucket of its own account, and nothing else.
pub async fn the_role_of_imports_reads_weights_alone() -> anyhow::Result<()> {
    let file = "bedrock/import-policy.json";
    let statement = statement(file)?;
    let granted = actions(&statement);
    ensure!(granted == BTreeSet::from(["s3:GetObject", "s3:ListBucket"]), "{file} grants {granted:?}");
    let resources = json!(["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"]);
    ensure!(statement["Resource"] == resources, "{file} leads to {}", statement["Resource"]);
    let condition = json!({"StringEquals": {"aws:ResourceAccount": "ACCOUNT"}});
    ensure!(statement["Condition"] == condition, "{file} demands {}", statement["Condition"]);
    Ok(())
}

/// The policy for imports grants what their driver needs and nothing else, and every operation is called in the life of an endpoint.
pub async fn the_policy_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let (operations, actions) = (&IMPORT_OPERATIONS, &IMPORT_ACTIONS);
    held_both_ways(BedrockAccounts::Imports, "policy.json", operations, actions).await
}

/// The same for provisioned throughput.
pub async fn the_policy_for_throughput_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let (operations, actions) = (&THROUGHPUT_OPERATIONS, &THROUGHPUT_ACTIONS);
    held_both_ways(BedrockAccounts::Throughput, "throughput-policy.json", operations, actions).await
}

async fn held_both_ways(
    accounts: BedrockAccounts,
    file: &str,
    operations: &[&str],
    actions: &[&str],
) -> anyhow::Result<()> {
    let named = operations.iter().map(|operation| format!("bedrock:{operation}"));
    let needed: BTreeSet<String> = named.chain(actions.iter().map(|action| (*action).to_owned())).collect();
    let granted = granted(file)?;
    ensure!(granted == needed, "{file} grants {granted:?}, and the driver needs {needed:?}");
    let account = accounts.account(Conduct::Ordinary).await?;
    live(&account).await?;
    let requests = account.clouds.requests_after(0);
    let requests = requests.iter().filter(|exchange| exchange.service == ServiceName::Bedrock);
    let called: BTreeSet<&str> = requests.map(|exchange| exchange.operation.as_str()).collect();
    let own: BTreeSet<&str> = operations.iter().copied().collect();
    ensure!(own.is_subset(&called), "never called: {:?}", own.difference(&called).collect::<Vec<_>>());
    let beside: BTreeSet<&str> = called.difference(&own).copied().collect();
    ensure!(beside == BTreeSet::from(["GetCallerIdentity", "GetResources"]), "called beside: {beside:?}");
    Ok(())
}

/// The life of an endpoint: imported, given to another offer, found by a rebuilt hub, and removed. It is never asked anything.
async fn live(account: &BedrockAccount) -> anyhow::Result<()> {
    let driver = account.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim("hub-one", None).await? == Claim::Ours);
    driver.watch(Arc::new(|_| {}));
    let first = wanted(&account.target(), "prod", LLAMA)?;
    reaches(account, driver.as_ref(), &first, true).await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Other { hub_uid: "hub-one".to_owned() });
    ensure!(driver.claim(HUB, Some("hub-one")).await? == Claim::Ours);
    let last = edited(&first, |endpoint| "other".clone_into(&mut endpoint.spec.offer));
    reaches(account, driver.as_ref(), &last, true).await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours, "the place that it took over is not its own");
    ensure!(driver.api_key(&last.endpoint.name_any()).await?.is_some());
    let Observation::Present(present) = driver.observe(&last).await? else { bail!("the endpoint is gone") };
    let probe = present.probe.context("there is a probe")?;
    ensure!(driver.ask(&probe).await.is_healthy(), "the control plane does not know the model");
    for _ in 0..LOOKS {
        if driver.remove(&last.endpoint).await? == Removal::Gone {
            let state = account.clouds.state(ServiceName::Bedrock);
            // The job of the former hub stays listed.
            ensure!(driver.claim(HUB, None).await? == Claim::Ours, "the place is not its own after the removal");
            ensure!(account.holds().await?.is_empty() && state[0]["billedUnitWindows"] == 0, "left or billed: {state}");
            return Ok(());
        }
        pause(account).await?;
    }
    bail!("it is not removed")
}

/// A Secret whose value is rotated leaves the model as it is: Bedrock starts the server, and no variable reaches it.
pub async fn a_rotated_secret_changes_nothing(accounts: BedrockAccounts) -> anyhow::Result<()> {
    let account = accounts.account(Conduct::Ordinary).await?;
    let driver = account.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours);
    let first = with_token(&wanted(&account.target(), "prod", LLAMA)?, "first");
    let before = reaches(&account, driver.as_ref(), &first, true).await?;
    let rotated = with_token(&first, "second");
    let Observation::Present(present) = driver.observe(&rotated).await? else { bail!("the endpoint is gone") };
    ensure!(present.in_sync, "the model waits for a change that Bedrock cannot make");
    ensure!(present.external_id == before.external_id, "it is another one");
    // What is in force has the rotated value, or else the core would wait for it.
    ensure!(present.template_hash != before.template_hash && !present.template_hash.is_empty(), "{present:?}");
    Ok(())
}

/// The wanted endpoint with a variable from a Secret with this value.
fn with_token(one: &Wanted, value: &str) -> Wanted {
    let mut wanted = edited(one, |endpoint| {
        let variable = json!({"name": "HF_TOKEN", "secretKeyRef": {"name": "hf", "key": "token"}});
        endpoint.spec.template.env = serde_json::from_value(json!([variable])).unwrap();
    });
    let data = [("token".to_owned(), ByteString(value.as_bytes().to_vec()))].into();
    wanted.secrets = Arc::new([("hf".to_owned(), Secret { kind: "Opaque".to_owned(), data })].into());
    wanted
}
