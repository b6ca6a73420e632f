//! The custom role at Azure has exactly the actions that the driver needs.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use kube::ResourceExt;
use roadstead_api::v1alpha1::names;
use roadstead_azureml::{ACTIONS, OPERATIONS};
use roadstead_clouds::ServiceName;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_provider::{Claim, Redacted, Removal, Wanted};
use serde::Deserialize;

use crate::azureml::{AzureWorkspace, Workspaces};
use crate::life::{LOOKS, pause, reaches};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AzureRole {
    actions: BTreeSet<String>,
    data_actions: Vec<String>,
    not_actions: Vec<String>,
}

/// The role grants what is needed and nothing else, and every operation is called in the life of an endpoint.
pub async fn the_role_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let path = format!("{}/deploy/providers/azureml/role.json", env!("CARGO_MANIFEST_DIR"));
    let role: AzureRole = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let needed: BTreeSet<String> = ACTIONS.iter().map(|(action, _)| (*action).to_owned()).collect();
    ensure!(role.actions == needed, "the role grants {:?}, and the driver needs {needed:?}", role.actions);
    ensure!(role.data_actions.is_empty() && role.not_actions.is_empty(), "the role has more than actions");
    let permitted: BTreeSet<&str> = ACTIONS.iter().flat_map(|(_, operations)| operations.iter().copied()).collect();
    let own = BTreeSet::from(OPERATIONS);
    ensure!(permitted == own, "operations without an action: {:?}", own.difference(&permitted).collect::<Vec<_>>());
    let mut called = BTreeSet::new();
    for conduct in [Conduct::Ordinary, Conduct::LacksCapacity] {
        let workspace = Workspaces::workspace(conduct).await?;
        live(&workspace, conduct).await?;
        let requests = workspace.clouds.requests_after(0).into_iter();
        called.extend(
            requests.filter(|exchange| exchange.service == ServiceName::Azure).map(|exchange| exchange.operation),
        );
    }
    let called: BTreeSet<&str> = called.iter().map(String::as_str).collect();
    ensure!(own.is_subset(&called), "never called: {:?}", own.difference(&called).collect::<Vec<_>>());
    let beside: BTreeSet<&str> = called.difference(&own).copied().collect();
    ensure!(beside == BTreeSet::from(["Token"]), "called beside: {beside:?}");
    Ok(())
}

/// The right to read operations is missing: a failure shows, and says that its cause is unknown and which right is missing.
pub async fn a_failure_whose_cause_may_not_be_read_says_which_right_is_missing() -> anyhow::Result<()> {
    let workspace = Workspaces::workspace(Conduct::LacksCapacity).await?;
    workspace.clouds.add_fault(ScriptedFault {
        service: ServiceName::Azure,
        operation: "Operation_Get".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::Deny,
    });
    let driver = workspace.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours);
    let first = wanted(&workspace.target(), "prod", LLAMA)?;
    let trouble = reaches(&workspace, driver.as_ref(), &first, false).await?.trouble.context("it is in trouble")?;
    ensure!(
        trouble.message.contains("cause is unknown")
            && trouble.message.contains("Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read"),
        "{trouble:?}"
    );
    Ok(())
}

/// The life of an endpoint: made, scaled, updated, given another key, found by a rebuilt hub, and removed with everything that belongs to
/// it. Without machines it is removed once it has failed.
async fn live(workspace: &AzureWorkspace, conduct: Conduct) -> anyhow::Result<()> {
    let driver = workspace.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim("hub-one", None).await? == Claim::Ours);
    ensure!(driver.claim(HUB, None).await? == Claim::Other { hub_uid: "hub-one".to_owned() });
    ensure!(driver.claim(HUB, Some("hub-one")).await? == Claim::Ours);
    driver.watch(std::sync::Arc::new(|_| {}));
    let first = wanted(&workspace.target(), "prod", LLAMA)?;
    let scaled = edited(&first, |endpoint| endpoint.spec.replicas = 2);
    let updated = edited(&scaled, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()]);
    let last =
        Wanted { api_key: Redacted::new(format!("{}{}", names::API_KEY_PREFIX, "z".repeat(43))), ..updated.clone() };
    if conduct == Conduct::LacksCapacity {
        reaches(workspace, driver.as_ref(), &first, false).await?;
    } else {
        for form in [&first, &scaled, &updated, &last] {
            reaches(workspace, driver.as_ref(), form, true).await?;
        }
        let key = driver.api_key(&last.endpoint.name_any()).await?;
        ensure!(key.as_ref().map(Redacted::expose) == Some(last.api_key.expose()), "another key is set");
    }
    for _ in 0..LOOKS {
        if driver.remove(&last.endpoint).await? == Removal::Gone {
            let left = workspace.holds().await?;
            ensure!(left.is_empty(), "something is left: {left:?}");
            return Ok(());
        }
        pause(workspace).await?;
    }
    bail!("it is not removed")
}
