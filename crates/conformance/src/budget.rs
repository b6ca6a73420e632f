//! The case that counts calls: services bill and limit them, and an operator at rest makes nothing else.

use anyhow::ensure;

use crate::faults::Fault;
use crate::fixture::{CallBudget, Conduct, Fixture};
use crate::stage::Stage;

/// Pauses without a call after which none is under way.
const QUIET: usize = 8;
/// Rounds of the core that are counted.
const ROUNDS: usize = 3;

pub async fn asks_little_of_what_is_settled(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    stage.found().await?;
    // Listings go on by themselves: none ends, and so none asks for more.
    stage.set_fault(Fault::ListingsLag);
    quiet(&stage).await?;
    let CallBudget { observe, ensure } = stage.place.habits().budget;
    for _ in 0..ROUNDS {
        let before = stage.place.calls();
        stage.driver.observe(&wanted).await?;
        let looked = stage.place.calls();
        stage.driver.ensure(&wanted).await?;
        let ensured = stage.place.calls();
        let made = CallBudget { observe: looked - before, ensure: ensured - looked };
        ensure!(
            made.observe <= observe && made.ensure <= ensure,
            "a round of the core takes {made:?}, more than {:?}",
            CallBudget { observe, ensure }
        );
    }
    Ok(())
}

/// Waits until no call is under way.
async fn quiet(stage: &Stage) -> anyhow::Result<()> {
    let (mut calls, mut still) = (stage.place.calls(), 0);
    stage
        .until("it is quiet", async || {
            let now = stage.place.calls();
            still = if now == calls { still + 1 } else { 0 };
            calls = now;
            Ok((still > QUIET).then_some(()))
        })
        .await
}
