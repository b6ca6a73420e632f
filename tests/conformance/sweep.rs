//! Sweep over the changes that a driver makes at a service: each is cut off before it has an effect, cut off after it, or delivered
//! twice. After each failure a new driver continues, as after a crash of the operator. The result is the same as without the failure.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{HUB, Place};
use roadstead_provider::{Claim, ErrorClass, Observation, Progress, Provider, ProviderError, Removal, Wanted};

/// Steps until something must have happened.
const STEPS: usize = 600;
/// Lives that are led at once.
const AT_ONCE: usize = 8;
/// Calls of an operation that are hit, each in a life of its own: the first and the second one.
const HITS: u32 = 2;

/// A service whose driver is swept.
pub struct Swept<P> {
    /// The service.
    pub service: ServiceName,
    /// Operations that change something.
    pub changes: &'static [&'static str],
    /// The fakes of a place.
    pub clouds: fn(&P) -> &Clouds,
    /// Number of things that exist beside endpoints.
    pub parts: fn(&Clouds) -> usize,
}

/// Leads a life for each change and each way in which it can fail.
pub async fn the_end_is_the_same<P: Place>(
    swept: &Swept<P>,
    place: impl AsyncFn() -> anyhow::Result<P>,
) -> anyhow::Result<()> {
    let faults = swept.changes.iter().flat_map(|operation| {
        let effects = [Effect::LoseRequest, Effect::LoseAnswer, Effect::Twice];
        effects.into_iter().flat_map(move |effect| (0..HITS).map(move |skip| (*operation, effect.clone(), skip)))
    });
    let lives = stream::iter(faults).map(|(operation, effect, skip)| {
        let place = &place;
        async move {
            let fault = ScriptedFault {
                service: swept.service,
                operation: operation.to_owned(),
                skip,
                times: Some(1),
                effect: effect.clone(),
            };
            let place = place().await?;
            (swept.clouds)(&place).add_fault(fault);
            let told = || format!("{operation}, call {}, {effect:?}", skip + 1);
            live(swept, &place).await.with_context(told)?;
            let hit = (swept.clouds)(&place).requests_after(0).iter().any(|exchange| exchange.fault.is_some());
            // Not every change is made twice in a life.
            ensure!(hit || skip > 0, "{} has hit nothing", told());
            Ok(())
        }
    });
    lives.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

/// One life: created, updated in place, put to sleep and woken where the service can, and removed.
async fn live<P: Place>(swept: &Swept<P>, place: &P) -> anyhow::Result<()> {
    let before = (swept.parts)((swept.clouds)(place));
    let first = wanted(&place.target(), "prod", LLAMA)?;
    let last = edited(&first, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()]);
    let asleep = edited(&last, |endpoint| endpoint.spec.replicas = 0);
    let able = place.driver("prod").await?.capabilities();
    let (updates, sleeps) = (able.update_in_place, able.scale_to_zero);
    let forms = [Some(&first), updates.then_some(&last), sleeps.then_some(&asleep), sleeps.then_some(&last)];
    for form in forms.into_iter().flatten() {
        until(place, "it serves", async |driver| serves(driver.as_ref(), form).await).await?;
        ensure!(place.holds().await?.len() == 1, "there are {:?}", place.holds().await?);
    }
    until(place, "it is gone", async |driver| Ok(driver.remove(&last.endpoint).await? == Removal::Gone)).await?;
    let left = (swept.parts)((swept.clouds)(place));
    ensure!(place.holds().await?.is_empty() && left == before, "left: {:?} and {left} parts", place.holds().await?);
    Ok(())
}

/// Takes a step until it is the last one. After a failure a new driver, which remembers nothing, takes the next one.
async fn until<P: Place>(
    place: &P,
    what: &str,
    step: impl AsyncFn(&Arc<dyn Provider>) -> Result<bool, ProviderError>,
) -> anyhow::Result<()> {
    let mut driver: Option<Arc<dyn Provider>> = None;
    for _ in 0..STEPS {
        place.work().await?;
        let taken = if let Some(driver) = &driver {
            step(driver).await
        } else {
            let new = place.driver("prod").await?;
            let connected = connect(new.as_ref()).await;
            driver = connected.is_ok().then_some(new);
            connected.map(|()| false)
        };
        match taken {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.class == ErrorClass::Transient => driver = None,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    bail!("{what}: not in time")
}

async fn connect(driver: &dyn Provider) -> Result<(), ProviderError> {
    driver.identity().await?;
    match driver.claim(HUB, None).await? {
        Claim::Ours => Ok(()),
        Claim::Other { hub_uid } => Err(ProviderError::new(ErrorClass::Conflict, format!("claimed by {hub_uid}"))),
    }
}

/// One look as the core takes it; true if the endpoint serves in this form.
async fn serves(driver: &dyn Provider, form: &Wanted) -> Result<bool, ProviderError> {
    match driver.observe(form).await? {
        Observation::Present(present) if present.in_sync => Ok(present.progress == Progress::Serving),
        _ => driver.ensure(form).await.map(|_| false),
    }
}
