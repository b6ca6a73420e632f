//! The token of the operator at `DigitalOcean` has exactly the scopes that the driver needs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use kube::ResourceExt;
use roadstead_clouds::ServiceName;
use roadstead_clouds::digital_ocean::{OceanToken, TEAM, TOKEN};
use roadstead_conformance::request::{LLAMA, edited, recorded, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_digitalocean::{OPERATIONS, SCOPES};
use roadstead_provider::{ErrorClass, ProviderError, Removal, Site, Workload};
use serde_json::Value;

use crate::digitalocean::{OceanTeam, OceanTeams};
use crate::life::{listed, settle};

/// Looks until something must have happened.
const LOOKS: usize = 400;

/// Scopes that the file grants.
fn granted() -> anyhow::Result<BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/providers/digitalocean/token.json");
    let token: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let scopes = token["scopes"].as_array().into_iter().flatten();
    Ok(scopes.filter_map(|scope| scope.as_str().map(ToOwned::to_owned)).collect())
}

/// Gives the token of the driver these scopes alone.
fn grant(team: &OceanTeam, scopes: impl IntoIterator<Item = String>) {
    let (token, scopes) = (TOKEN.to_owned(), scopes.into_iter().collect());
    team.clouds
        .digital_ocean
        .configure(|settings| settings.tokens = vec![OceanToken { token, team: TEAM.to_owned(), scopes }]);
}

/// A life with every operation of the driver.
async fn live(team: &OceanTeam) -> anyhow::Result<()> {
    let driver = team.plain_driver("prod")?;
    driver.identity().await?;
    driver.claim(HUB, None).await?;
    let one = wanted(&team.target(), "prod", LLAMA)?;
    let name = one.endpoint.name_any();
    ensure!(driver.api_key(&name).await?.is_none(), "a key is issued for an endpoint that is not there");
    let one = recorded(&one, &driver.ensure(&one).await?);
    let mut keys = Vec::new();
    for _ in 0..3 {
        team.clouds.advance(Duration::from_secs(1));
        keys.push(driver.api_key(&name).await?.context("no key is issued")?);
    }
    ensure!(keys[1] != keys[2], "the key is issued twice");
    // One of the service's own, the newest one, and the one before it.
    let state = team.clouds.state(ServiceName::DigitalOcean);
    ensure!(state["instances"][0]["tokens"] == 3, "{state}");
    settle(&driver, &team.clouds, &one).await?;
    settle(&driver, &team.clouds, &edited(&one, |endpoint| endpoint.spec.replicas = 2)).await?;
    driver.watch(Arc::new(|_| {}));
    let terms = listed(&driver).await?.terms.clone();
    ensure!(!terms.is_empty() && terms.values().all(|terms| terms.hourly.is_some()), "a price is missing: {terms:?}");
    for _ in 0..LOOKS {
        if driver.remove(&one.endpoint).await? == Removal::Gone {
            return Ok(());
        }
        team.clouds.advance(Duration::from_mins(1));
    }
    anyhow::bail!("it is not removed")
}

/// With the scopes of the file everything is done, every operation is called, and the model keeps its id when it is scaled; without one of
/// them something is refused.
pub async fn the_token_grants_what_is_called_and_nothing_else() -> anyhow::Result<()> {
    let granted = granted()?;
    let needed: BTreeSet<String> = SCOPES.iter().map(|(scope, _)| (*scope).to_owned()).collect();
    ensure!(granted == needed, "the file grants {granted:?}, not {needed:?}");
    let team = OceanTeams::team(Conduct::Ordinary).await?;
    grant(&team, granted.clone());
    live(&team).await?;
    let requests = team.clouds.requests_after(0);
    let called: BTreeSet<&str> = requests.iter().map(|exchange| exchange.operation.as_str()).collect();
    ensure!(called == BTreeSet::from(OPERATIONS), "called: {called:?}, and the driver says {OPERATIONS:?}");
    let update = requests.iter().find(|exchange| exchange.operation == "update").context("nothing is updated")?;
    let body: Value = serde_json::from_str(&update.body)?;
    let id = body["spec"]["model_deployments"][0]["model_id"].as_str().unwrap_or_default();
    ensure!(!id.is_empty(), "an update makes another model: {body}");
    for scope in &granted {
        let team = OceanTeams::team(Conduct::Ordinary).await?;
        grant(&team, granted.iter().filter(|other| *other != scope).cloned());
        let refused = live(&team).await.err().with_context(|| format!("{scope} is not needed"))?;
        // A price is read beside the listing, whose failure is no error of the driver's.
        let class = refused.downcast_ref::<ProviderError>().map(|error| error.class);
        ensure!(class == Some(ErrorClass::Unauthorized), "without {scope}: {refused:?}");
    }
    Ok(())
}

/// A model that the service does not serve on the GPUs of the offer is refused before anything is created, and a gated one without a token.
pub async fn a_model_that_is_not_on_offer_is_refused_before_anything_is_created() -> anyhow::Result<()> {
    let team = OceanTeams::team(Conduct::Ordinary).await?;
    let driver = team.plain_driver("prod")?;
    driver.identity().await?;
    driver.claim(HUB, None).await?;
    let one = wanted(&team.target(), "prod", LLAMA)?;
    for (source, class, words) in [
        ("hf://org/unknown", ErrorClass::Refused, "it serves there: example/llama"),
        ("s3://bucket/llama", ErrorClass::Invalid, "loads from the Hub alone"),
    ] {
        let other = edited(&one, |endpoint| endpoint.spec.template.model.source = Some(source.to_owned()));
        let error = driver.ensure(&other).await.err().with_context(|| format!("{source} is accepted"))?;
        ensure!(error.class == class && error.message.contains(words), "{source}: {error:?}");
    }
    team.clouds.digital_ocean.configure(|settings| settings.models.iter_mut().for_each(|model| model.gated = true));
    let error = driver.ensure(&one).await.err().context("a gated model is accepted without a token")?;
    ensure!(error.class == ErrorClass::Refused && error.message.contains("HF_TOKEN"), "{error:?}");
    let created = team.clouds.requests_after(0).iter().any(|exchange| exchange.operation == "create");
    ensure!(!created, "something was created");
    Ok(())
}
