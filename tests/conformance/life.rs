//! Parts of the lives of endpoints in the tests of rights.

use std::sync::Arc;
use std::time::Duration;

use roadstead_clouds::Clouds;
use roadstead_conformance::Place;
use roadstead_provider::{Inventory, Observation, Present, Progress, Provider, Site, Wanted, Workload};

/// Looks until something must have happened.
pub const LOOKS: usize = 400;

/// The inventory, once the driver has listed.
pub async fn listed(driver: &impl Site) -> anyhow::Result<Arc<Inventory>> {
    for _ in 0..LOOKS {
        if let Some(inventory) = driver.inventory() {
            return Ok(inventory);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the driver has not listed")
}

/// Takes steps until it serves as wanted.
pub async fn settle(driver: &impl Workload, clouds: &Clouds, wanted: &Wanted) -> anyhow::Result<()> {
    for _ in 0..LOOKS {
        clouds.advance(Duration::from_mins(1));
        match driver.observe(wanted).await? {
            Observation::Present(present) if present.in_sync && present.progress == Progress::Serving => return Ok(()),
            Observation::Present(present) if present.in_sync => {}
            _ => driver.ensure(wanted).await.map(drop)?,
        }
    }
    anyhow::bail!("it does not serve")
}

/// Asks as the core does, until the endpoint serves in this form, or else is in trouble.
pub async fn reaches(place: &dyn Place, driver: &dyn Provider, form: &Wanted, serves: bool) -> anyhow::Result<Present> {
    for _ in 0..LOOKS {
        match driver.observe(form).await? {
            Observation::Present(present) if present.in_sync => {
                if if serves { present.progress == Progress::Serving } else { present.trouble.is_some() } {
                    return Ok(*present);
                }
            }
            _ => drop(driver.ensure(form).await),
        }
        pause(place).await?;
    }
    anyhow::bail!("it does not come about")
}

/// A moment, in which the place works.
pub async fn pause(place: &dyn Place) -> anyhow::Result<()> {
    place.work().await?;
    tokio::time::sleep(Duration::from_millis(25)).await;
    Ok(())
}
