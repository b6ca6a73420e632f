//! The cases. Each is a promise that the core relies on, whatever the place is.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use kube::ResourceExt;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Claim, ErrorClass, Observation, Progress, ProviderError, Removal, TroubleKind};

use crate::budget::asks_little_of_what_is_settled;
use crate::cold::{leaves_alone_what_the_service_put_to_zero, says_what_is_degraded_and_keeps_it};
use crate::edits::{
    names_its_type_where_settings_of_the_engine_have_no_effect, scales_in_place, scales_to_zero_and_back,
    serves_on_after_an_edit_of_its_offer, updates_in_place,
};
use crate::faults::{Call, Fault, InjectedRefusal};
use crate::fixture::{Conduct, Fixture};
use crate::oddities::{
    believes_in_no_removal_that_never_ends, guesses_no_meaning_of_an_unknown_state,
    makes_once_what_is_not_shown_at_once, removes_what_is_still_being_created,
    removes_what_the_service_failed_to_delete, shows_a_creation_that_never_ends_and_removes_it,
    takes_nothing_for_there_that_is_still_listed, tells_of_an_update_that_was_rolled_back,
    updates_what_is_still_being_updated,
};
use crate::oddity::Oddity;
use crate::refusals::{
    concludes_nothing_from_an_answer_of_another_hand, passes_on_how_long_to_wait,
    reports_expired_credentials_at_each_call, reports_refused_credentials_at_each_call,
};
use crate::request::{LLAMA, TEAM, of_rebuilt_hub, recorded};
use crate::scarcity::{reports_a_lack_of_capacity_at_once, reports_a_quota_that_is_used_up_at_once};
use crate::stage::{HUB, Stage, connect};
use crate::strangers::{leaves_alone_what_a_stranger_made, names_a_region_that_is_not_there};

/// The hub that is built after the loss of [`HUB`].
const REBUILT_HUB: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// A hub that never had the place.
const FURTHER_HUB: &str = "3d813cbb-47fb-4323-9b59-4a8b9c0f7d6e";

/// A case: its name, and what it does with the places of a fixture.
pub struct Case {
    /// The promise that it shows.
    pub name: &'static str,
    /// The oddity that the service has to play, if any.
    pub oddity: Option<Oddity>,
    /// It has something go wrong at the place, which only one that is played does on request.
    pub disturbs: bool,
    run: Run,
}

type Run = for<'a> fn(&'a dyn Fixture) -> LocalBoxFuture<'a, anyhow::Result<()>>;

impl Case {
    /// Runs the case.
    ///
    /// # Errors
    /// The promise that the driver broke.
    pub async fn run(&self, fixture: &dyn Fixture) -> anyhow::Result<()> {
        (self.run)(fixture).await
    }
}

macro_rules! cases {
    (calm: $($calm:ident),*; disturbed: $($disturbed:ident),*; odd: $($odd:ident: $oddity:ident),*;) => {
        /// Every case.
        pub const CASES: &[Case] = &[
            $(case(stringify!($calm), false, None, |fixture| $calm(fixture).boxed_local()),)*
            $(case(stringify!($disturbed), true, None, |fixture| $disturbed(fixture).boxed_local()),)*
            $(case(stringify!($odd), true, Some(Oddity::$oddity), |fixture| $odd(fixture).boxed_local()),)*
        ];
    };
}

const fn case(name: &'static str, disturbs: bool, oddity: Option<Oddity>, run: Run) -> Case {
    Case { name, oddity, disturbs, run }
}

cases![
    calm:
        creates_what_is_wanted,
        creates_it_once,
        reports_a_start_until_it_succeeds,
        leaves_alone_what_another_installation_made,
        leaves_a_place_to_the_hub_that_has_it,
        recognises_its_endpoints_for_a_rebuilt_hub,
        scales_in_place,
        updates_in_place,
        updates_what_is_still_being_updated,
        scales_to_zero_and_back,
        serves_on_after_an_edit_of_its_offer,
        names_its_type_where_settings_of_the_engine_have_no_effect,
        removes_what_is_still_being_created,
        removes_until_nothing_is_left,
        removes_what_it_found_and_lists_it_no_more;
    disturbed:
        finds_what_it_created_where_the_answer_was_lost,
        reports_a_lack_of_capacity_that_shows_late,
        reports_a_quota_that_shows_late,
        passes_on_how_long_to_wait,
        reports_refused_credentials_at_each_call,
        reports_expired_credentials_at_each_call,
        concludes_nothing_from_an_answer_of_another_hand,
        believes_in_no_removal_that_is_refused_for_an_hour,
        keeps_a_place_that_it_took_over,
        sees_what_another_hand_removed,
        relies_on_no_listing_that_lags,
        lists_a_crowd_of_endpoints,
        asks_little_of_what_is_settled,
        reads_nothing_as_gone_from_another_place,
        repeats_no_secret;
    odd:
        shows_a_creation_that_never_ends_and_removes_it: CreationHangs,
        makes_once_what_is_not_shown_at_once: CreationHides,
        believes_in_no_removal_that_never_ends: DeletionHangs,
        removes_what_the_service_failed_to_delete: DeletionFails,
        takes_nothing_for_there_that_is_still_listed: DeletionLingers,
        guesses_no_meaning_of_an_unknown_state: UnknownState,
        tells_of_an_update_that_was_rolled_back: UpdateRollsBack,
        reports_a_quota_that_is_used_up_at_once: QuotaNow,
        reports_a_lack_of_capacity_at_once: CapacityNow,
        leaves_alone_what_a_stranger_made: NameTaken,
        names_a_region_that_is_not_there: WrongRegion,
        leaves_alone_what_the_service_put_to_zero: Cold,
        says_what_is_degraded_and_keeps_it: Degraded;
];

async fn creates_what_is_wanted(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let before = stage.driver.observe(&stage.wanted).await?;
    ensure!(before == Observation::Absent, "before its creation: {before:?}");
    let id = stage.make().await?;
    ensure!(id.site() == stage.identity, "the handle names the place {:?}, not {:?}", id.site(), stage.identity);
    let wanted = recorded(&stage.wanted, &id);
    let present = stage.serves(&wanted).await?;
    ensure!(present.external_id == id, "the handle {id:?} became {:?}", present.external_id);
    ensure!(present.trouble.is_none(), "it serves and is in trouble: {:?}", present.trouble);
    let probe = present.probe.context("it serves and there is no way to ask it")?;
    ensure!(probe.model == stage.place.habits().model, "the probe asks for the model {:?}", probe.model);
    stage.holds(1).await
}

async fn creates_it_once(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let (one, other) = tokio::join!(stage.driver.ensure(&stage.wanted), stage.driver.ensure(&stage.wanted));
    // The later one of two concurrent calls may have to retry.
    for answer in [&one, &other] {
        let harmless = answer.as_ref().err().is_none_or(|error| error.class == ErrorClass::Transient);
        ensure!(harmless, "asked twice at once: {answer:?}");
    }
    let id = stage.make().await?;
    ensure!(stage.make().await? == id, "asked again, it is another one");
    stage.serves(&recorded(&stage.wanted, &id)).await?;
    stage.holds(1).await
}

async fn finds_what_it_created_where_the_answer_was_lost(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    stage.set_fault(Fault::AnswerLost(Call::Create));
    let error = stage.driver.ensure(&stage.wanted).await.err().context("the answer was lost")?;
    ensure!(error.class == ErrorClass::Transient, "a lost answer proves nothing: {error:?}");
    let id = stage.make().await?;
    stage.serves(&recorded(&stage.wanted, &id)).await?;
    stage.holds(1).await
}

async fn reports_a_start_until_it_succeeds(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = recorded(&stage.wanted, &stage.make().await?);
    let present = stage.present(&wanted).await?;
    let Progress::Starting { message } = &present.progress else { bail!("it serves at once: {present:?}") };
    ensure!(!message.is_empty() && present.trouble.is_none(), "a start is no trouble: {present:?}");
    stage.serves(&wanted).await.map(drop)
}

async fn reports_a_lack_of_capacity_that_shows_late(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::LacksCapacity).await?;
    late_trouble(&stage, |kind, class| kind == TroubleKind::AwaitsRoom || class == ErrorClass::CapacityExhausted).await
}

async fn reports_a_quota_that_shows_late(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::LacksQuota).await?;
    if !stage.place.habits().tells_reasons {
        return late_trouble(&stage, |_, class| class == ErrorClass::CapacityExhausted).await;
    }
    late_trouble(&stage, |_, class| class == ErrorClass::QuotaExceeded).await
}

/// A creation is accepted, and the place says later why nothing comes of it; it can be removed nevertheless.
async fn late_trouble(stage: &Stage, fits: fn(TroubleKind, ErrorClass) -> bool) -> anyhow::Result<()> {
    let wanted = recorded(&stage.wanted, &stage.make().await?);
    let shown = stage.until("the lack shows", async || {
        let present = stage.present(&wanted).await?;
        if present.trouble.is_none() && !present.in_sync {
            stage.ask(&wanted).await?;
        }
        Ok(present.trouble)
    });
    let trouble = shown.await?;
    ensure!(fits(trouble.kind, trouble.class) && !trouble.message.is_empty(), "{trouble:?}");
    ensure!(stage.present(&wanted).await?.progress != Progress::Serving, "it serves without any room");
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await
}

async fn leaves_alone_what_another_installation_made(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let [prod, other] = stage.place.installations();
    let (staging, _) = connect(stage.place.as_ref(), other).await?;
    // Another installation creates an endpoint of the same name: only the tags identify its owner.
    staging.ensure(&stage.wanted).await?;
    let ours = &stage.driver;
    let seen = ours.observe(&stage.wanted).await?;
    let Observation::Foreign { message } = &seen else { bail!("it is not foreign: {seen:?}") };
    ensure!(message.contains(other) && message.contains(prod), "it does not name both installations: {message}");
    let conflict = |call: &str, error: Option<ProviderError>| {
        let class = error.as_ref().map(|error| error.class);
        ensure!(class == Some(ErrorClass::Conflict), "{call}: {error:?}");
        Ok(())
    };
    conflict("ensure", ours.ensure(&stage.wanted).await.err())?;
    conflict("remove", ours.remove(&stage.wanted.endpoint).await.err())?;
    conflict("api_key", ours.api_key(&stage.wanted.endpoint.name_any()).await.err())?;
    let inventory = ours.inventory().context("there is an inventory")?;
    ensure!(inventory.found.is_empty(), "it is listed as ours: {inventory:?}");
    let theirs = staging.observe(&stage.wanted).await?;
    ensure!(matches!(&theirs, Observation::Present(present) if present.in_sync), "it was touched: {theirs:?}");
    stage.holds(1).await
}

async fn leaves_a_place_to_the_hub_that_has_it(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let other = stage.place.driver(stage.place.installations()[0]).await?;
    other.identity().await?;
    for takeover in [None, Some(FURTHER_HUB)] {
        let claim = other.claim(REBUILT_HUB, takeover).await?;
        let told = Claim::Other { hub_uid: HUB.to_owned() };
        ensure!(claim == told, "another hub that may take over from {takeover:?} is told {claim:?}");
    }
    let claim = stage.driver.claim(HUB, None).await?;
    ensure!(claim == Claim::Ours, "the hub that has the place is told {claim:?}");
    stage.serves(&wanted).await.map(drop)
}

async fn recognises_its_endpoints_for_a_rebuilt_hub(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let mut stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let before = stage.present(&wanted).await?;
    (stage.driver, _) = connect(stage.place.as_ref(), stage.place.installations()[0]).await?;
    let spec = &wanted.endpoint.spec;
    let found = stage.found().await?;
    ensure!(
        (found.deployment.namespace.as_str(), found.deployment.name.as_str()) == (TEAM, LLAMA)
            && (found.target.as_str(), found.offer.as_str()) == (spec.target.as_str(), spec.offer.as_str())
            && (found.shape.as_str(), found.slot, found.replicas) == ("one", 0, 1),
        "its tags do not say what it is: {found:?}"
    );
    if stage.place.habits().keeps_records {
        let runs = found.runs.context("nothing tells what really runs")?;
        ensure!(
            (runs.accelerator.kind.as_str(), i64::from(runs.accelerator.count))
                == (spec.accelerator.type_.as_str(), i64::from(spec.accelerator.count))
                && runs.engine == spec.template.engine.as_str(),
            "it runs as {runs:?}"
        );
    }
    let key = stage.driver.api_key(&found.name).await?.context("its key is not found")?;
    if stage.driver.issues_keys() {
        ensure!(names::is_issued_key(key.expose()), "what is issued is no key");
    } else {
        ensure!(key == wanted.api_key, "it is another key");
    }
    let again = of_rebuilt_hub(&stage.wanted);
    let id = stage.driver.ensure(&again).await?;
    let after = stage.serves(&recorded(&again, &id)).await?;
    ensure!(after.external_id == before.external_id, "it was made anew: {after:?}, not {before:?}");
    stage.holds(1).await
}

async fn removes_until_nothing_is_left(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    stage.found().await?;
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await?;
    let after = stage.driver.observe(&wanted).await?;
    ensure!(after == Observation::Absent, "after its removal: {after:?}");
    ensure!(stage.remove_once(&wanted.endpoint).await? == Removal::Gone, "asked again, it is not gone any more");
    stage.inventory("it is listed no more", |inventory| inventory.found.is_empty()).await.map(drop)
}

async fn removes_what_it_found_and_lists_it_no_more(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    stage.serving().await?;
    let found = stage.found().await?;
    let gone = async || Ok((stage.driver.remove_found(&found).await? == Removal::Gone).then_some(()));
    stage.until("it is gone", gone).await?;
    stage.holds(0).await?;
    stage.inventory("it is listed no more", |inventory| inventory.found.is_empty()).await.map(drop)
}

async fn believes_in_no_removal_that_is_refused_for_an_hour(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    stage.set_fault(Fault::Refused { calls: &[Call::Delete], refusal: InjectedRefusal::Unavailable });
    // As often as the core asks within an hour: drivers keep no time, the number of refusals is what they see of it.
    for _ in 0..120 {
        let step = stage.remove_once(&wanted.endpoint).await;
        ensure!(!matches!(step, Ok(Removal::Gone)), "it is told to be gone although each removal is refused");
    }
    stage.holds(1).await?;
    stage.mend();
    stage.remove(&wanted.endpoint).await?;
    stage.holds(0).await
}

async fn keeps_a_place_that_it_took_over(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let mut stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let first = stage.serving().await?;
    let rebuilt = stage.place.driver(stage.place.installations()[0]).await?;
    rebuilt.identity().await?;
    let taken = rebuilt.claim(REBUILT_HUB, Some(HUB)).await?;
    ensure!(taken == Claim::Ours, "the place of a hub that gives way: {taken:?}");
    rebuilt.watch(Arc::new(|_| {}));
    stage.driver = rebuilt;
    // It adopts the endpoint as the core does.
    let again = of_rebuilt_hub(&first);
    let adopted = recorded(&again, &stage.driver.ensure(&again).await?);
    stage.serves(&adopted).await?;
    let kept = async |when: &str| {
        let claim = stage.driver.claim(REBUILT_HUB, None).await?;
        ensure!(claim == Claim::Ours, "{when}, the place that it took over is not its own: {claim:?}");
        Ok(())
    };
    kept("with the adopted endpoint").await?;
    stage.remove(&adopted.endpoint).await?;
    kept("after the endpoint's removal").await
}

async fn sees_what_another_hand_removed(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let name = wanted.endpoint.name_any();
    stage.place.take_away(&name).await?;
    stage
        .until("it is absent", async || Ok((stage.driver.observe(&wanted).await? == Observation::Absent).then_some(())))
        .await?;
    stage.remove(&wanted.endpoint).await?;
    let id = stage.make().await?;
    ensure!(
        Some(&id) != wanted.endpoint.status.as_ref().and_then(|status| status.external_id.as_ref()),
        "it is the same"
    );
    stage.serves(&recorded(&stage.wanted, &id)).await?;
    stage.holds(1).await
}

async fn relies_on_no_listing_that_lags(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    stage.set_fault(Fault::ListingsLag);
    let wanted = recorded(&stage.wanted, &stage.make().await?);
    ensure!(stage.driver.inventory().is_some_and(|known| known.found.is_empty()), "the listing does not lag");
    stage.present(&wanted).await?;
    ensure!(stage.make().await? == stage.present(&wanted).await?.external_id, "it is made anew");
    stage.holds(1).await?;
    stage.mend();
    stage.found().await?;
    stage.set_fault(Fault::ListingsLag);
    stage.remove(&wanted.endpoint).await?;
    ensure!(stage.driver.observe(&wanted).await? == Observation::Absent, "it is there after its removal");
    stage.mend();
    stage.inventory("it is listed no more", |inventory| inventory.found.is_empty()).await.map(drop)
}

async fn lists_a_crowd_of_endpoints(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Crowded).await?;
    let inventory = stage.driver.inventory().context("there is an inventory")?;
    ensure!(inventory.cut.is_none(), "the inventory is cut: {:?}", inventory.cut);
    let (listed, many) = (inventory.found.len(), fixture.many());
    ensure!(listed == many, "{listed} of {many} endpoints are listed");
    Ok(())
}

async fn reads_nothing_as_gone_from_another_place(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    stage.place.take_away(&wanted.endpoint.name_any()).await?;
    stage.set_fault(Fault::OtherPlace);
    ensure!(stage.driver.identity().await? != stage.identity, "the other place has the same identity");
    for _ in 0..5 {
        stage.place.work().await?;
        let step = stage.remove_once(&wanted.endpoint).await;
        ensure!(!matches!(step, Ok(Removal::Gone)), "another place's word is believed");
    }
    stage.mend();
    stage.remove(&wanted.endpoint).await
}

async fn repeats_no_secret(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let secret = stage.wanted.api_key.expose().to_owned();
    let told = format!("the field apiKey: {secret} is not accepted");
    stage.set_fault(Fault::Refused { calls: &[Call::Create], refusal: InjectedRefusal::Echo(told) });
    let error = stage.driver.ensure(&stage.wanted).await.err().context("it was refused")?;
    ensure!(error.message.contains("is not accepted"), "the place's words are lost: {error}");
    for text in [error.to_string(), format!("{error:?}"), format!("{:?}", stage.wanted.api_key)] {
        ensure!(!text.contains(&secret), "the secret is repeated: {text}");
    }
    stage.mend();
    let wanted = stage.serving().await?;
    let shown = format!("{:?}", stage.present(&wanted).await?);
    ensure!(!shown.contains(&secret), "the secret is shown: {shown}");
    stage.set_fault(Fault::Refused { calls: &[Call::Read], refusal: InjectedRefusal::Echo(secret.clone()) });
    let error = stage.driver.observe(&wanted).await.err().context("it was refused")?;
    ensure!(!error.to_string().contains(&secret), "the secret is repeated: {error}");
    Ok(())
}
