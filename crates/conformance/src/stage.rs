//! The stage of a case: a place, a driver that is connected to it, and a request.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use kube::ResourceExt;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};
use roadstead_model::{Found, Timestamp};
use roadstead_provider::{
    Claim, ErrorClass, Inventory, Observation, Present, Progress, Provider, ProviderError, Removal, Wanted, remove_from,
};

use crate::faults::Fault;
use crate::fixture::{Conduct, Fixture, Place, Tempo};
use crate::request::{LLAMA, edited, recorded, wanted};

/// The first answer of what serves: in 2100, because clocks of fakes run ahead.
const FIRST_ANSWER: Timestamp = Timestamp(4_102_444_800);

/// The hub of the cases.
pub const HUB: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

/// A place with a connected driver.
pub struct Stage {
    /// The place.
    pub place: Box<dyn Place>,
    /// Its driver, as the operator has it.
    pub driver: Arc<dyn Provider>,
    /// The identity of the place.
    pub identity: String,
    /// The request for one replica.
    pub wanted: Wanted,
}

impl Stage {
    /// A place that behaves so, with a connected driver.
    pub async fn set(fixture: &dyn Fixture, conduct: Conduct) -> anyhow::Result<Self> {
        let place = fixture.place(conduct).await?;
        let install_id = place.installations()[0];
        let wanted = edited(&wanted(&place.target(), install_id, LLAMA)?, |endpoint| place.adapt(endpoint));
        let (driver, identity) = connect(place.as_ref(), install_id).await?;
        Ok(Self { place, driver, identity, wanted })
    }

    /// Waits until `look` finds what it looks for, while the place does its work.
    pub async fn until<T, L>(&self, what: &str, mut look: L) -> anyhow::Result<T>
    where
        L: AsyncFnMut() -> anyhow::Result<Option<T>>,
    {
        let Tempo { patience, pause } = self.place.tempo();
        let mut waited = Duration::ZERO;
        loop {
            self.place.work().await?;
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if waited > patience {
                bail!("{what}: not within {} s", patience.as_secs());
            }
            tokio::time::sleep(pause).await;
            waited += pause;
        }
    }

    /// Creates what is wanted; returns its handle.
    pub async fn make(&self) -> anyhow::Result<ExternalId> {
        self.driver.ensure(&self.wanted).await.context("it is refused")
    }

    /// Waits until all replicas of `wanted` serve in its newest form. As the core does, it asks for what is not in sync.
    pub async fn serves(&self, wanted: &Wanted) -> anyhow::Result<Box<Present>> {
        let replicas = wanted.endpoint.spec.replicas;
        self.until("it serves", async || {
            let present = self.present(wanted).await?;
            if !present.in_sync {
                self.ask(wanted).await?;
                return Ok(None);
            }
            let all = present.in_sync && present.replicas == replicas && present.ready_replicas == replicas;
            Ok(Some(present).filter(|present| all && present.progress == Progress::Serving))
        })
        .await
    }

    /// Asks for what is not in sync. A driver may take several steps, and refuse one for the moment.
    pub async fn ask(&self, wanted: &Wanted) -> anyhow::Result<()> {
        match self.driver.ensure(wanted).await {
            Err(error) if error.class != ErrorClass::Transient => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The endpoint as its place shows it, which must be there.
    pub async fn present(&self, wanted: &Wanted) -> anyhow::Result<Box<Present>> {
        match self.driver.observe(wanted).await? {
            Observation::Present(present) => Ok(present),
            other => bail!("the endpoint is not there: {other:?}"),
        }
    }

    /// Creates what is wanted and waits until it serves; returns the request with the handle on record.
    pub async fn serving(&self) -> anyhow::Result<Wanted> {
        let id = self.make().await?;
        let wanted = edited(&recorded(&self.wanted, &id), |endpoint| {
            endpoint.status.get_or_insert_default().first_ready_time = Some(planning::time(FIRST_ANSWER));
        });
        self.serves(&wanted).await?;
        Ok(wanted)
    }

    /// One step of a removal, as the core takes it.
    pub async fn remove_once(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        remove_from(self.driver.as_ref(), endpoint, &self.identity).await
    }

    /// Removes an endpoint until it is gone.
    pub async fn remove(&self, endpoint: &InferenceEndpoint) -> anyhow::Result<()> {
        self.until("it is gone", async || Ok((self.remove_once(endpoint).await? == Removal::Gone).then_some(()))).await
    }

    /// Checks that the place holds exactly so many endpoints.
    pub async fn holds(&self, count: usize) -> anyhow::Result<()> {
        let held = self.place.holds().await?;
        ensure!(held.len() == count, "the place holds {held:?}, which should be {count}");
        Ok(())
    }

    /// Waits until the inventory is as `fits` asks.
    pub async fn inventory(&self, what: &str, fits: impl Fn(&Inventory) -> bool) -> anyhow::Result<Arc<Inventory>> {
        self.until(what, async || Ok(self.driver.inventory().filter(|inventory| fits(inventory)))).await
    }

    /// The endpoint in the inventory, once it is there.
    pub async fn found(&self) -> anyhow::Result<Found> {
        let name = self.wanted.endpoint.name_any();
        let named = |inventory: &Inventory| inventory.found.iter().find(|found| found.name == name).cloned();
        let inventory = self.inventory("it is listed", |inventory| named(inventory).is_some()).await?;
        named(&inventory).context("it is listed")
    }

    /// Has something go wrong.
    pub fn set_fault(&self, fault: Fault) {
        self.place.set(Some(fault));
    }

    /// Has everything go well again.
    pub fn mend(&self) {
        self.place.set(None);
    }
}

/// A driver that was led through first contact, and the identity of its place.
///
/// # Errors
/// If the place is not ours, or is not listed in time.
pub async fn connect(place: &dyn Place, install_id: &str) -> anyhow::Result<(Arc<dyn Provider>, String)> {
    let driver = place.driver(install_id).await?;
    let identity = driver.identity().await?;
    ensure!(driver.claim(HUB, None).await? == Claim::Ours, "a free place is not ours");
    driver.watch(Arc::new(|_| {}));
    let Tempo { patience, pause } = place.tempo();
    let mut waited = Duration::ZERO;
    while driver.inventory().is_none() {
        ensure!(waited < patience, "no inventory within {} s", patience.as_secs());
        tokio::time::sleep(pause).await;
        waited += pause;
    }
    Ok((driver, identity))
}
