//! The custom roles at Google have exactly the permissions that the driver and the gateways need.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use kube::ResourceExt;
use roadstead_clouds::ServiceName;
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_provider::{Claim, ErrorClass, Observation, Removal};
use roadstead_vertex::{OPERATIONS, PERMISSIONS, PROJECTS};
use serde::Deserialize;

use crate::life::{LOOKS, pause, reaches};
use crate::vertex::{Project, Projects};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CustomRole {
    included_permissions: BTreeSet<String>,
}

/// Permissions that a file grants.
fn granted(file: &str) -> anyhow::Result<BTreeSet<String>> {
    let path = format!("{}/deploy/providers/vertex/{file}", env!("CARGO_MANIFEST_DIR"));
    let role: CustomRole = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    Ok(role.included_permissions)
}

/// The roles grant what is needed and nothing else, and every operation is called in the life of an endpoint.
pub async fn the_roles_grant_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let needed: BTreeSet<String> = PERMISSIONS.iter().map(|(permission, _)| (*permission).to_owned()).collect();
    let granted_to_operator = granted("role.yaml")?;
    ensure!(granted_to_operator == needed, "the role grants {granted_to_operator:?}, and the driver needs {needed:?}");
    let of_gateway = granted("gateway-role.yaml")?;
    ensure!(of_gateway == BTreeSet::from(["aiplatform.endpoints.predict".to_owned()]), "gateways: {of_gateway:?}");
    let permitted: BTreeSet<&str> = PERMISSIONS.iter().flat_map(|(_, operations)| operations.iter().copied()).collect();
    let own: BTreeSet<&str> = OPERATIONS.into_iter().chain(PROJECTS).collect();
    ensure!(permitted == own, "operations without a permission: {:?}", own.difference(&permitted).collect::<Vec<_>>());
    let project = Projects::project(Conduct::Ordinary).await?;
    live(&project).await?;
    let requests = project.clouds.requests_after(0);
    let requests = requests.iter().filter(|exchange| exchange.service == ServiceName::VertexAi);
    let called: BTreeSet<&str> = requests.map(|exchange| exchange.operation.as_str()).collect();
    ensure!(own.is_subset(&called), "never called: {:?}", own.difference(&called).collect::<Vec<_>>());
    let beside: BTreeSet<&str> = called.difference(&own).copied().collect();
    ensure!(beside == BTreeSet::from(["MetadataToken"]), "called beside: {beside:?}");
    Ok(())
}

/// A model whose image cannot be read is refused with the service's words, and nothing is deployed.
pub async fn an_upload_that_fails_says_why() -> anyhow::Result<()> {
    let project = Projects::project(Conduct::Ordinary).await?;
    let reason = "The service agent does not have permission to read the image in Artifact Registry.".to_owned();
    project.clouds.add_fault(ScriptedFault {
        service: ServiceName::VertexAi,
        operation: "UploadModel".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate { after_seconds: 3, reason: reason.clone(), leaves: AfterFailure::Failed },
    });
    let driver = project.driver("prod").await?;
    let form = wanted(&project.target(), "prod", LLAMA)?;
    for _ in 0..LOOKS {
        match driver.ensure(&form).await {
            Err(error) if error.class == ErrorClass::Invalid => {
                ensure!(error.message.contains(&reason), "{error}");
                let Observation::Present(present) = driver.observe(&form).await? else { bail!("the endpoint is gone") };
                ensure!(present.replicas == 0, "something is billed: {present:?}");
                return Ok(());
            }
            _ => pause(&project).await?,
        }
    }
    bail!("the failure is not told")
}

/// The life of an endpoint: made, scaled, updated, found by a rebuilt hub, and removed with everything that belongs to it.
async fn live(project: &Project) -> anyhow::Result<()> {
    let driver = project.driver("prod").await?;
    driver.identity().await?;
    ensure!(driver.claim("hub-one", None).await? == Claim::Ours);
    ensure!(driver.claim(HUB, None).await? == Claim::Other { hub_uid: "hub-one".to_owned() });
    ensure!(driver.claim(HUB, Some("hub-one")).await? == Claim::Ours);
    driver.watch(std::sync::Arc::new(|_| {}));
    let first = wanted(&project.target(), "prod", LLAMA)?;
    let scaled = edited(&first, |endpoint| endpoint.spec.replicas = 2);
    let last = edited(&scaled, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()]);
    for form in [first, scaled, last.clone()] {
        reaches(project, driver.as_ref(), &form, true).await?;
    }
    ensure!(driver.api_key(&last.endpoint.name_any()).await?.is_some());
    for _ in 0..LOOKS {
        if driver.remove(&last.endpoint).await? == Removal::Gone {
            let state = project.clouds.state(ServiceName::VertexAi);
            let models = state[0]["models"].as_array().context("the fake has models")?;
            ensure!(models.is_empty() && project.holds().await?.is_empty(), "something is left: {state}");
            return Ok(());
        }
        pause(project).await?;
    }
    bail!("it is not removed")
}
