//! Cases in which every call fails in the same way: the failure has its class, and nothing is concluded from it.

use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_provider::ErrorClass;

use crate::faults::{ASKED, Fault, Garbled, InjectedRefusal};
use crate::fixture::{Conduct, Fixture, PROD};
use crate::request::wanted;
use crate::stage::{HUB, Stage};

/// Words of services for expired credentials; a refusal contains at least one of them.
const EXPIRED: [&str; 4] = ["expired", "authenti", "api key", "unauthorized"];

pub async fn passes_on_how_long_to_wait(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let named = Some(Duration::from_secs(7));
    let throttled = |after| (refused(InjectedRefusal::Throttled(after)), ErrorClass::Throttled { after });
    each_call_fails(fixture, &[throttled(named), throttled(None)]).await
}

pub async fn reports_refused_credentials_at_each_call(fixture: &dyn Fixture) -> anyhow::Result<()> {
    each_call_fails(fixture, &[(refused(InjectedRefusal::Unauthorized), ErrorClass::Unauthorized)]).await
}

/// Words of the service on them are passed on, so that somebody renews them.
pub async fn reports_expired_credentials_at_each_call(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let expired = refused(InjectedRefusal::Expired);
    each_call_fails(fixture, &[(expired.clone(), ErrorClass::Unauthorized)]).await?;
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let serving = stage.serving().await?;
    stage.set_fault(expired);
    // As often as the core looks within an hour.
    for _ in 0..120 {
        let error = stage.driver.observe(&serving).await.err().context("it was refused")?;
        let text = error.message.to_lowercase();
        let says = EXPIRED.iter().any(|word| text.contains(word));
        ensure!(says, "the refusal does not mention the credentials: {error:?}");
    }
    stage.holds(1).await?;
    stage.mend();
    stage.serves(&serving).await.map(drop)
}

/// A proxy answers by a page, with a status that the service itself gives for what is not there, too; or an answer breaks off.
pub async fn concludes_nothing_from_an_answer_of_another_hand(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let answers = [Garbled::Html(200), Garbled::Html(404), Garbled::Html(502), Garbled::Cut];
    let faults = answers.map(|answer| (Fault::Garbled { calls: &ASKED, answer }, ErrorClass::Transient));
    each_call_fails(fixture, &faults).await
}

fn refused(refusal: InjectedRefusal) -> Fault {
    Fault::Refused { calls: &ASKED, refusal }
}

/// Under each fault every call fails, says so by its class, and changes nothing.
async fn each_call_fails(fixture: &dyn Fixture, faults: &[(Fault, ErrorClass)]) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let serving = stage.serving().await?;
    let found = stage.found().await?;
    let other = wanted(&stage.place.target(), PROD, "another")?;
    let driver = &stage.driver;
    for (fault, class) in faults {
        stage.set_fault(fault.clone());
        let failures = [
            ("identity", driver.identity().await.err()),
            ("claim", driver.claim(HUB, None).await.err()),
            ("observe", driver.observe(&serving).await.err()),
            ("ensure", driver.ensure(&other).await.err()),
            ("remove", driver.remove(&serving.endpoint).await.err()),
            ("remove_found", driver.remove_found(&found).await.err()),
            ("api_key", driver.api_key(&found.name).await.err()),
        ];
        for (call, failure) in failures {
            let failure = failure.with_context(|| format!("{fault:?}: {call} says nothing of it"))?;
            ensure!(failure.class == *class, "{fault:?}: {call}: {failure:?}, not {class:?}");
        }
    }
    stage.mend();
    stage.serves(&serving).await?;
    stage.holds(1).await
}
