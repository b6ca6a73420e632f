//! Cases of what others at the place do: they have a name of ours, or the region is not that of the calls.

use anyhow::{Context, bail, ensure};
use kube::ResourceExt;
use roadstead_provider::{ErrorClass, Observation, ProviderError, Removal};

use crate::fixture::{Conduct, Fixture};
use crate::oddity::Oddity;
use crate::request::wanted;
use crate::stage::Stage;

/// It has no mark at all, and so belongs to no installation.
pub async fn leaves_alone_what_a_stranger_made(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let name = stage.wanted.endpoint.name_any();
    stage.place.make_foreign(&name).await?;
    let before = stage.place.holds().await?;
    ensure!(before.len() == 1, "the stranger made {before:?}");
    for _ in 0..3 {
        let seen = stage.driver.observe(&stage.wanted).await?;
        let Observation::Foreign { message } = &seen else { bail!("it is not foreign: {seen:?}") };
        ensure!(message.contains(&name), "its name is not told: {message}");
        is_conflict("ensure", stage.driver.ensure(&stage.wanted).await.as_ref().err())?;
        // The driver may say that it is another's, or that nothing of ours is there.
        match stage.driver.remove(&stage.wanted.endpoint).await {
            Ok(Removal::Gone) => {}
            Ok(step) => bail!("remove: {step:?}"),
            Err(error) => is_conflict("remove", Some(&error))?,
        }
        let key = stage.driver.api_key(&name).await;
        // What a driver made before it met the stranger has our key.
        ensure!(
            key.ok().flatten().is_none_or(|key| key == stage.wanted.api_key),
            "the driver returns the stranger's key"
        );
        stage.place.work().await?;
    }
    let inventory = stage.driver.inventory().context("there is an inventory")?;
    ensure!(inventory.found.is_empty(), "it is listed as ours: {inventory:?}");
    let after = stage.place.holds().await?;
    ensure!(after == before, "the place held {before:?} and holds {after:?}");
    stage.place.take_away(&name).await?;
    stage.serving().await?;
    stage.holds(1).await
}

fn is_conflict(call: &str, error: Option<&ProviderError>) -> anyhow::Result<()> {
    let class = error.map(|error| error.class);
    ensure!(class == Some(ErrorClass::Conflict), "{call}: {error:?}");
    Ok(())
}

/// The refusal names the region, whoever edits the target has to know of it, and what serves is not concluded to be gone.
pub async fn names_a_region_that_is_not_there(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let serving = stage.serving().await?;
    let other = wanted(&stage.place.target(), stage.place.installations()[0], "another")?;
    let region = stage.place.target().spec.region;
    stage.place.play(Some(Oddity::WrongRegion)).await?;
    let refused = stage.until("it is refused", async || {
        let answer = stage.driver.ensure(&other).await;
        Ok(answer.err().filter(|error| error.class != ErrorClass::Transient))
    });
    is_of_region(&refused.await?, &region)?;
    match stage.driver.observe(&serving).await {
        Ok(Observation::Present(_)) => {}
        Ok(seen) => bail!("what serves is {seen:?}"),
        Err(error) => {
            // Every call is refused: removals too.
            is_of_region(&error, &region)?;
            match stage.remove_once(&serving.endpoint).await {
                Err(error) => is_of_region(&error, &region)?,
                Ok(step) => bail!("each call is refused, and its removal says {step:?}"),
            }
        }
    }
    stage.place.play(None).await?;
    stage.serves(&serving).await.map(drop)
}

fn is_of_region(error: &ProviderError, region: &str) -> anyhow::Result<()> {
    let fits = matches!(error.class, ErrorClass::Unauthorized | ErrorClass::Refused | ErrorClass::Invalid);
    let text = error.message.to_lowercase();
    let says = ["region", "location", region].iter().any(|word| text.contains(word));
    ensure!(fits && says, "the refusal does not name the region: {error:?}");
    Ok(())
}
