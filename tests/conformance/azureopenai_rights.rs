//! The custom role at Azure has exactly the actions that the driver of Azure OpenAI needs.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use roadstead_azureopenai::{ACTIONS, DATA_ACTIONS, LIST_MODELS, OPERATIONS};
use roadstead_clouds::ServiceName;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_provider::probe::ProbeAnswer;
use roadstead_provider::{Claim, Removal};
use serde::Deserialize;

use crate::azureopenai::{CognitiveAccounts, OpenAiAccount};
use crate::life::{LOOKS, pause, reaches};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CognitiveRole {
    actions: BTreeSet<String>,
    data_actions: BTreeSet<String>,
    not_actions: Vec<String>,
}

/// Paths of requests, as the gateway sends them on, with the data actions that Azure's own role for users grants for each.
const TRAFFIC: [(&str, &[&str]); 4] = [
    ("chat/completions", &["deployments/chat/completions/action"]),
    ("completions", &["deployments/completions/action"]),
    ("embeddings", &["deployments/embeddings/action"]),
    ("responses", &["responses/read", "responses/write"]),
];

fn shipped(file: &str) -> anyhow::Result<CognitiveRole> {
    let path = format!("{}/deploy/providers/azureopenai/{file}", env!("CARGO_MANIFEST_DIR"));
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

/// The role of gateways lets them send requests, and nothing else: neither read nor change a deployment.
pub async fn the_role_of_gateways_grants_traffic_and_nothing_else() -> anyhow::Result<()> {
    let role = shipped("gateway-role.json")?;
    let of_traffic = TRAFFIC.iter().flat_map(|(_, actions)| actions.iter());
    let needed: BTreeSet<String> =
        of_traffic.map(|action| format!("Microsoft.CognitiveServices/accounts/OpenAI/{action}")).collect();
    ensure!(role.data_actions == needed, "the role grants {:?}, and requests need {needed:?}", role.data_actions);
    ensure!(role.actions.is_empty() && role.not_actions.is_empty(), "gateways may do {:?}", role.actions);
    Ok(())
}

/// The role grants what is needed and nothing else, and every operation is called in the life of a deployment.
pub async fn the_role_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let role = shipped("role.json")?;
    let needed = |actions: &[(&str, &[&str])]| -> BTreeSet<String> {
        actions.iter().map(|(action, _)| (*action).to_owned()).collect()
    };
    ensure!(role.actions == needed(&ACTIONS), "the role grants {:?}", role.actions);
    ensure!(role.data_actions == needed(&DATA_ACTIONS), "the role grants {:?}", role.data_actions);
    ensure!(role.not_actions.is_empty(), "the role takes actions away");
    let permitted: BTreeSet<&str> =
        ACTIONS.iter().chain(&DATA_ACTIONS).flat_map(|(_, operations)| operations.iter().copied()).collect();
    let own: BTreeSet<&str> = OPERATIONS.into_iter().chain([LIST_MODELS]).collect();
    ensure!(permitted == own, "operations without an action: {:?}", own.difference(&permitted).collect::<Vec<_>>());
    let mut called = BTreeSet::new();
    for conduct in [Conduct::Ordinary, Conduct::LacksCapacity] {
        let account = CognitiveAccounts::account(conduct).await?;
        live(&account, conduct).await?;
        let requests = account.clouds.requests_after(0).into_iter();
        let of_service = requests.filter(|exchange| exchange.service == ServiceName::AzureOpenAi);
        called.extend(of_service.map(|exchange| exchange.operation));
    }
    let called: BTreeSet<&str> = called.iter().map(String::as_str).collect();
    ensure!(own.is_subset(&called), "never called: {:?}", own.difference(&called).collect::<Vec<_>>());
    let beside: BTreeSet<&str> = called.difference(&own).copied().collect();
    ensure!(beside == BTreeSet::from(["Token"]), "called beside: {beside:?}");
    Ok(())
}

/// The right to read operations is missing: a failure shows, and says that its cause is unknown and which right is missing.
pub async fn a_failure_whose_cause_may_not_be_read_says_which_right_is_missing() -> anyhow::Result<()> {
    let account = CognitiveAccounts::account(Conduct::LacksCapacity).await?;
    account.clouds.add_fault(ScriptedFault {
        service: ServiceName::AzureOpenAi,
        operation: "Operation_Get".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::Deny,
    });
    let driver = account.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours);
    let first = wanted(&account.target(), "prod", LLAMA)?;
    let trouble = reaches(&account, driver.as_ref(), &first, false).await?.trouble.context("it is in trouble")?;
    ensure!(
        trouble.message.contains("cause is unknown")
            && trouble.message.contains("Microsoft.CognitiveServices/locations/operationStatuses/read"),
        "{trouble:?}"
    );
    Ok(())
}

/// The life of a deployment: made, probed, scaled, updated, and removed. Without units it is removed once it has failed.
async fn live(account: &OpenAiAccount, conduct: Conduct) -> anyhow::Result<()> {
    let driver = account.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours);
    driver.watch(std::sync::Arc::new(|_| {}));
    let first = wanted(&account.target(), "prod", LLAMA)?;
    let scaled = edited(&first, |endpoint| endpoint.spec.replicas = 2);
    let last = edited(&scaled, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()]);
    if conduct == Conduct::LacksCapacity {
        reaches(account, driver.as_ref(), &first, false).await?;
    } else {
        for form in [&first, &scaled, &last] {
            let present = reaches(account, driver.as_ref(), form, true).await?;
            let answer = driver.ask(&present.probe.context("it serves and there is no way to ask it")?).await;
            ensure!(answer == ProbeAnswer::Healthy, "{answer:?}");
        }
        ensure!(driver.claim("hub-two", None).await? == Claim::Other { hub_uid: HUB.to_owned() });
    }
    for _ in 0..LOOKS {
        if driver.remove(&last.endpoint).await? == Removal::Gone {
            let left = account.holds().await?;
            ensure!(left.is_empty(), "something is left: {left:?}");
            return Ok(());
        }
        pause(account).await?;
    }
    bail!("it is not removed")
}
