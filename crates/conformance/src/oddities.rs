//! Cases of states in between: what is still being made, changed or removed, and services that do it in an odd way.

use anyhow::ensure;
use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::{ErrorClass, Observation, Present, Progress, Removal, Wanted};

use crate::fixture::{Conduct, Fixture};
use crate::oddity::{Oddity, ROLLED_BACK, UNKNOWN_STATE};
use crate::request::{edited, recorded};
use crate::stage::Stage;
use crate::verdict::updates;

/// Looks at something that does not end.
const LOOKS: usize = 30;

pub async fn removes_what_is_still_being_created(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = recorded(&stage.wanted, &stage.make().await?);
    let present = stage.present(&wanted).await?;
    ensure!(present.progress != Progress::Serving, "it serves at once: {present:?}");
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await?;
    let after = stage.driver.observe(&wanted).await?;
    ensure!(after == Observation::Absent, "after its removal: {after:?}");
    stage.inventory("it is listed no more", |inventory| inventory.found.is_empty()).await.map(drop)
}

pub async fn updates_what_is_still_being_updated(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    if !updates(&stage)? {
        return Ok(());
    }
    let first = stage.serving().await?;
    let [second, third] = ["--max-model-len=2048", "--max-model-len=4096"].map(|arg| with_argument(&first, arg));
    stage.ask(&second).await?;
    let between = stage.present(&second).await?;
    ensure!(between.progress != Progress::Serving, "the update ends at once: {between:?}");
    stage.ask(&third).await?;
    let after = stage.serves(&third).await?;
    ensure!(after.external_id == between.external_id, "it was made anew: {after:?}");
    stage.holds(1).await
}

/// The operator ends it after a time of its own. Until then it starts and is in no trouble.
pub async fn shows_a_creation_that_never_ends_and_removes_it(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    stage.place.play(Some(Oddity::CreationHangs)).await?;
    let wanted = recorded(&stage.wanted, &stage.make().await?);
    for _ in 0..LOOKS {
        stage.place.work().await?;
        let present = stage.present(&wanted).await?;
        is_starting(&present)?;
        if !present.in_sync {
            stage.ask(&wanted).await?;
        }
    }
    if stage.place.habits().stops_creations {
        stage.remove(&wanted.endpoint).await?;
        return stage.holds(0).await;
    }
    stays_while_it_is_removed(&stage, &wanted).await
}

pub async fn makes_once_what_is_not_shown_at_once(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    stage.place.play(Some(Oddity::CreationHides)).await?;
    for _ in 0..3 {
        ensured_meanwhile(&stage).await?;
    }
    let made = stage.until("it is shown", async || ensured_meanwhile(&stage).await).await?;
    let wanted = recorded(&stage.wanted, &made);
    stage.serves(&wanted).await?;
    stage.holds(1).await?;
    stage.place.play(None).await?;
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await
}

/// Asks for what is wanted while time goes on at the place: some drivers wait for what they have made. `None` if it has to be asked for again.
async fn ensured_meanwhile(stage: &Stage) -> anyhow::Result<Option<ExternalId>> {
    let ensured = stage.driver.ensure(&stage.wanted);
    tokio::pin!(ensured);
    loop {
        tokio::select! {
            answer = &mut ensured => return match answer {
                Ok(id) => Ok(Some(id)),
                Err(error) if error.class == ErrorClass::Transient => Ok(None),
                Err(error) => Err(error.into()),
            },
            () = tokio::time::sleep(stage.place.tempo().pause) => stage.place.work().await?,
        }
    }
}

pub async fn believes_in_no_removal_that_never_ends(fixture: &dyn Fixture) -> anyhow::Result<()> {
    removal_does_not_come_about(fixture, Oddity::DeletionHangs).await.map(drop)
}

pub async fn removes_what_the_service_failed_to_delete(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let (stage, wanted) = removal_does_not_come_about(fixture, Oddity::DeletionFails).await?;
    stage.place.play(None).await?;
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await
}

async fn removal_does_not_come_about(fixture: &dyn Fixture, oddity: Oddity) -> anyhow::Result<(Stage, Wanted)> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    stage.place.play(Some(oddity)).await?;
    stays_while_it_is_removed(&stage, &wanted).await?;
    Ok((stage, wanted))
}

/// Its removal is asked for again and again, and it is still there, listed and billed.
async fn stays_while_it_is_removed(stage: &Stage, wanted: &Wanted) -> anyhow::Result<()> {
    for _ in 0..LOOKS {
        stage.place.work().await?;
        match stage.remove_once(&wanted.endpoint).await {
            Ok(Removal::InProgress { message }) => ensure!(!message.is_empty(), "its removal goes on without a word"),
            Err(error) if error.class == ErrorClass::Transient => {}
            step => anyhow::bail!("it is there, and its removal says {step:?}"),
        }
    }
    stage.holds(1).await?;
    stage.found().await?;
    let seen = stage.driver.observe(wanted).await?;
    ensure!(matches!(seen, Observation::Present(_)), "it is not seen: {seen:?}");
    Ok(())
}

pub async fn takes_nothing_for_there_that_is_still_listed(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let found = stage.found().await?;
    stage.place.play(Some(Oddity::DeletionLingers)).await?;
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await?;
    let seen = stage.driver.observe(&wanted).await?;
    ensure!(seen == Observation::Absent, "it is listed and taken for there: {seen:?}");
    // The listing may show it once more, and the core then removes what it found.
    let step = stage.driver.remove_found(&found).await?;
    ensure!(step == Removal::Gone, "it is listed, and its removal says {step:?}");
    stage.inventory("it is listed no more", |inventory| inventory.found.is_empty()).await?;
    let id = stage.make().await?;
    let known = wanted.endpoint.external_id();
    ensure!(Some(&id) != known, "the new one is taken for the one that was deleted: {id:?}");
    stage.serves(&recorded(&stage.wanted, &id)).await.map(drop)
}

pub async fn guesses_no_meaning_of_an_unknown_state(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let new = recorded(&stage.wanted, &stage.make().await?);
    stage.place.play(Some(Oddity::UnknownState)).await?;
    let early = stage.present(&new).await?;
    ensure!(early.ready_replicas == 0, "it has never served, and answers: {early:?}");
    stage.place.play(None).await?;
    let wanted = stage.serving().await?;
    let before = stage.present(&wanted).await?;
    stage.place.play(Some(Oddity::UnknownState)).await?;
    let present = stage.present(&wanted).await?;
    let said = is_starting(&present)?;
    ensure!(said.contains(UNKNOWN_STATE), "the state is not named: {said}");
    let counts = |present: &Present| (present.replicas, present.ready_replicas);
    ensure!(counts(&present) == counts(&before), "its replicas are gone, or do not answer: {present:?}");
    stage.ask(&wanted).await?;
    stage.holds(1).await?;
    stage.found().await?;
    stage.place.play(None).await?;
    stage.serves(&wanted).await.map(drop)
}

pub async fn tells_of_an_update_that_was_rolled_back(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    if !updates(&stage)? {
        return Ok(());
    }
    let first = stage.serving().await?;
    let before = stage.present(&first).await?;
    let second = with_argument(&first, "--max-model-len=2048");
    stage.place.play(Some(Oddity::UpdateRollsBack)).await?;
    stage.ask(&second).await?;
    let told = stage.until("the failure is told", async || {
        let present = stage.present(&second).await?;
        let serves = present.in_sync && present.progress == Progress::Serving;
        ensure!(!serves, "it serves in the form that failed: {present:?}");
        let refused = stage.driver.ensure(&second).await.err().map(|error| error.message);
        let trouble = present.trouble.map(|trouble| trouble.message);
        Ok(trouble.into_iter().chain(refused).find(|message| message.contains(ROLLED_BACK)))
    });
    told.await?;
    let present = stage.present(&second).await?;
    ensure!(present.ready_replicas == before.ready_replicas, "the former form does not serve on: {present:?}");
    stage.place.play(None).await?;
    // The user takes the change back.
    let after = stage.serves(&first).await?;
    ensure!(after.template_hash == before.template_hash, "the former form is another one: {after:?}");
    stage.remove(&first.endpoint).await?;
    stage.holds(0).await
}

fn with_argument(wanted: &Wanted, argument: &str) -> Wanted {
    edited(wanted, |endpoint| endpoint.spec.template.args = vec![argument.to_owned()])
}

/// Checks that an endpoint starts and is in no trouble; returns what it waits for.
fn is_starting(present: &Present) -> anyhow::Result<String> {
    let Progress::Starting { message } = &present.progress else { anyhow::bail!("it serves: {present:?}") };
    ensure!(!message.is_empty() && present.trouble.is_none(), "it does not just start: {present:?}");
    Ok(message.clone())
}
