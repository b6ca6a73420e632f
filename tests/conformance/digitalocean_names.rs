//! Names of instances at `DigitalOcean`, which hold their marks: who renames one, and what the driver concludes from it.

use anyhow::{Context, ensure};
use kube::ResourceExt;
use roadstead_clouds::ServiceName;
use roadstead_conformance::request::{LLAMA, recorded, wanted};
use roadstead_conformance::{Conduct, HUB, Place};
use roadstead_digitalocean::DedicatedInference;
use roadstead_provider::{Claim, ErrorClass, ProviderError, Removal, Site, Wanted, Workload};
use roadstead_rest::ServiceDriver;
use serde_json::{Value, json};

use crate::digitalocean::{OceanTeam, OceanTeams, crowd_body};
use crate::life::settle;

/// The hub that takes over from [`HUB`].
const NEXT_HUB: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// A driver that knows nothing yet, as after a restart.
async fn driver(team: &OceanTeam) -> anyhow::Result<ServiceDriver<DedicatedInference>> {
    let driver = team.plain_driver("prod")?;
    driver.identity().await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours, "the place is not ours");
    Ok(driver)
}

/// An endpoint that serves.
async fn served(team: &OceanTeam, driver: &ServiceDriver<DedicatedInference>) -> anyhow::Result<Wanted> {
    let one = wanted(&team.target(), "prod", LLAMA)?;
    let one = recorded(&one, &driver.ensure(&one).await?);
    settle(driver, &team.clouds, &one).await?;
    Ok(one)
}

fn instances(team: &OceanTeam) -> Vec<Value> {
    team.clouds.state(ServiceName::DigitalOcean)["instances"].as_array().cloned().unwrap_or_default()
}

/// Is the refusal one that names the endpoint and the instance's present name?
fn names_both(error: Option<ProviderError>, name: &str, call: &str) -> anyhow::Result<()> {
    let error = error.with_context(|| format!("{call} takes no notice of the other name"))?;
    let names = error.message.contains(name) && error.message.contains("\"mine\"");
    ensure!(error.class == ErrorClass::Conflict && names, "{call}: {error:?}");
    Ok(())
}

/// An instance that somebody renamed is neither made again nor gone, also after a restart of the operator.
pub async fn a_renamed_instance_is_neither_made_again_nor_gone() -> anyhow::Result<()> {
    let team = OceanTeams::team(Conduct::Ordinary).await?;
    let first = driver(&team).await?;
    let one = served(&team, &first).await?;
    let name = one.endpoint.name_any();
    ensure!(team.clouds.digital_ocean.rename(&name, "mine"), "there is no instance");
    for driver in [first, driver(&team).await?] {
        names_both(driver.observe(&one).await.err(), &name, "observe")?;
        names_both(driver.ensure(&one).await.err(), &name, "ensure")?;
        names_both(driver.remove(&one.endpoint).await.err(), &name, "remove")?;
        ensure!(instances(&team).len() == 1, "{:?}", instances(&team));
    }
    ensure!(team.clouds.digital_ocean.take_away("mine"), "the instance is gone");
    ensure!(driver(&team).await?.remove(&one.endpoint).await? == Removal::Gone, "it does not count as gone");
    Ok(())
}

/// An instance of another hand whose name begins with an endpoint's does not hide ours.
pub async fn a_foreign_name_with_the_same_beginning_does_not_hide_ours() -> anyhow::Result<()> {
    let team = OceanTeams::team(Conduct::Ordinary).await?;
    team.clouds.digital_ocean.crowd(1, |number| {
        let mut foreign = crowd_body(number);
        foreign["spec"]["name"] = json!("theirs");
        foreign
    });
    let one = served(&team, &driver(&team).await?).await?;
    let name = one.endpoint.name_any();
    ensure!(team.clouds.digital_ocean.rename("theirs", &format!("{name}__x")), "there is no instance");
    // What is found by its name alone, as after the loss of the record.
    let bare = wanted(&team.target(), "prod", LLAMA)?;
    let driver = driver(&team).await?;
    settle(&driver, &team.clouds, &bare).await?;
    ensure!(instances(&team).len() == 2, "{:?}", instances(&team));
    while instances(&team).iter().any(|one| one["name"] != format!("{name}__x")) {
        driver.remove(&bare.endpoint).await?;
        team.clouds.advance(std::time::Duration::from_mins(1));
    }
    Ok(())
}

/// A hub that took over keeps the place without `takeover`, and the former hub does not get it back.
pub async fn a_place_that_was_taken_over_stays_taken_over() -> anyhow::Result<()> {
    let team = OceanTeams::team(Conduct::Ordinary).await?;
    let former = driver(&team).await?;
    let one = served(&team, &former).await?;
    let next = team.plain_driver("prod")?;
    next.identity().await?;
    ensure!(matches!(next.claim(NEXT_HUB, None).await?, Claim::Other { .. }), "a place is taken without takeover");
    ensure!(next.claim(NEXT_HUB, Some(HUB)).await? == Claim::Ours, "a place is not taken over");
    settle(&next, &team.clouds, &one).await?;
    let restarted = team.plain_driver("prod")?;
    restarted.identity().await?;
    let claim = restarted.claim(NEXT_HUB, None).await?;
    ensure!(claim == Claim::Ours, "the place is lost once takeover is removed: {claim:?}");
    ensure!(matches!(former.claim(HUB, None).await?, Claim::Other { .. }), "the former hub has the place again");
    let updates = team.clouds.requests_after(0).iter().filter(|exchange| exchange.operation == "update").count();
    ensure!(updates == 1 && instances(&team).len() == 1, "{updates} updates, {:?}", instances(&team));
    Ok(())
}
