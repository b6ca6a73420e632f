//! Cases of creations that are refused in the answer to their call: a quota that is used up, or no room.

use anyhow::ensure;
use roadstead_provider::{ErrorClass, Observation, Progress, ProviderError};

use crate::fixture::{Conduct, Fixture};
use crate::oddity::Oddity;
use crate::request::recorded;
use crate::stage::Stage;

pub async fn reports_a_quota_that_is_used_up_at_once(fixture: &dyn Fixture) -> anyhow::Result<()> {
    refused_at_once(fixture, Oddity::QuotaNow, ErrorClass::QuotaExceeded, &["quota", "limit"]).await
}

pub async fn reports_a_lack_of_capacity_at_once(fixture: &dyn Fixture) -> anyhow::Result<()> {
    refused_at_once(fixture, Oddity::CapacityNow, ErrorClass::CapacityExhausted, &["capacity", "free"]).await
}

/// Each creation is refused with this class, in one of these words; what is left of it costs nothing, can be removed, and does not hinder
/// the same request later.
async fn refused_at_once(
    fixture: &dyn Fixture,
    oddity: Oddity,
    class: ErrorClass,
    words: &[&str],
) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    for is_removed_first in [true, false] {
        stage.place.play(Some(oddity)).await?;
        for asked in ["at first", "asked again"] {
            let refusal = refusal(&stage).await?;
            let text = refusal.message.to_lowercase();
            let says = words.iter().any(|word| text.contains(word));
            ensure!(
                refusal.class == class && says,
                "{asked}: {refusal:?}, not {class:?} in one of the words {words:?}"
            );
            costs_nothing(&stage).await?;
        }
        if is_removed_first {
            stage.remove(&stage.wanted.endpoint).await?;
            stage.holds(0).await?;
        }
        stage.place.play(None).await?;
        let wanted = recorded(&stage.wanted, &stage.make().await?);
        stage.serves(&wanted).await?;
        stage.holds(1).await?;
        stage.remove(&wanted.endpoint).await?;
        stage.holds(0).await?;
    }
    Ok(())
}

/// The refusal of a creation. A driver may take several steps, of which a later one is refused.
async fn refusal(stage: &Stage) -> anyhow::Result<ProviderError> {
    stage
        .until("it is refused", async || {
            let answer = stage.driver.ensure(&stage.wanted).await;
            Ok(answer.err().filter(|error| error.class != ErrorClass::Transient))
        })
        .await
}

/// Checks that nothing runs: a service whose endpoints have parts may have made the empty one.
async fn costs_nothing(stage: &Stage) -> anyhow::Result<()> {
    match stage.driver.observe(&stage.wanted).await? {
        Observation::Absent => stage.holds(0).await,
        Observation::Present(present) => {
            let runs = present.progress == Progress::Serving || present.ready_replicas > 0;
            ensure!(!runs, "it was refused, and serves: {present:?}");
            Ok(())
        }
        Observation::Foreign { message } => anyhow::bail!("it was refused, and is another's: {message}"),
    }
}
