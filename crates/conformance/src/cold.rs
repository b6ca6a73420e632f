//! Cases of endpoints that do not serve with all that they have, by no wish of ours: at zero, cold or degraded.

use anyhow::ensure;
use roadstead_provider::{Present, Progress, Wanted};

use crate::fixture::{Conduct, Fixture};
use crate::oddity::Oddity;
use crate::stage::Stage;

/// Looks at an endpoint in such a state.
const LOOKS: usize = 10;

/// A service takes the replicas away while no request comes, and gives them back for the next one.
pub async fn leaves_alone_what_the_service_put_to_zero(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let before = stage.present(&wanted).await?;
    stage.place.play(Some(Oddity::Cold)).await?;
    for _ in 0..LOOKS {
        let present = stage.present(&wanted).await?;
        ensure!(present.trouble.is_none(), "it is at zero and in trouble: {present:?}");
        ensure!(present.external_id == before.external_id, "it was made anew: {present:?}");
        if !present.in_sync {
            stage.ask(&wanted).await?;
        }
        stage.place.work().await?;
    }
    serves_again(&stage, &wanted, &before).await
}

pub async fn says_what_is_degraded_and_keeps_it(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let before = stage.present(&wanted).await?;
    stage.place.play(Some(Oddity::Degraded)).await?;
    let shown = stage.until("it is shown", async || {
        let present = stage.present(&wanted).await?;
        let said = match (&present.progress, &present.trouble) {
            (_, Some(trouble)) => Some(trouble.message.clone()),
            (Progress::Starting { message }, None) => Some(message.clone()),
            (Progress::Serving, None) => None,
        };
        Ok(said)
    });
    let said = shown.await?;
    ensure!(!said.is_empty(), "it is degraded without a word");
    for _ in 0..LOOKS {
        let present = stage.present(&wanted).await?;
        ensure!(present.external_id == before.external_id, "it was made anew: {present:?}");
        if !present.in_sync {
            // What is refused changes nothing.
            let _ = stage.driver.ensure(&wanted).await;
        }
        stage.place.work().await?;
    }
    serves_again(&stage, &wanted, &before).await
}

/// The oddity ends, and the same endpoint serves.
async fn serves_again(stage: &Stage, wanted: &Wanted, before: &Present) -> anyhow::Result<()> {
    stage.holds(1).await?;
    stage.place.play(None).await?;
    let after = stage.serves(wanted).await?;
    ensure!(after.external_id == before.external_id, "it was made anew: {after:?}");
    stage.holds(1).await
}
