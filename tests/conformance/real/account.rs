//! A real account as a place of the cases.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::bail;
use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget};
use roadstead_conformance::faults::Fault;
use roadstead_conformance::request::{self, LLAMA};
use roadstead_conformance::{Conduct, Fixture, Habits, Oddity, Place, Tempo, connect};
use roadstead_provider::{Observation, Provider, Wanted};

use super::drivers;
use super::settings::RealSettings;
use crate::odd;

/// Installations of the cases, which nobody else has: everything of them is removed.
pub const INSTALLATIONS: [&str; 2] = ["roadstead-conformance", "roadstead-conformance-other"];

/// The account of the settings.
pub struct RealAccounts(pub Arc<RealSettings>);

#[async_trait]
impl Fixture for RealAccounts {
    fn cannot_play(&self, _: Oddity) -> Option<&'static str> {
        Some(odd::NO_FAKE)
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        if conduct != Conduct::Ordinary {
            bail!("a real service does not behave as {conduct:?} on request");
        }
        Ok(Box::new(RealAccount(Arc::clone(&self.0))))
    }
}

struct RealAccount(Arc<RealSettings>);

#[async_trait]
impl Place for RealAccount {
    fn target(&self) -> ServingTarget {
        self.0.target.clone()
    }

    /// As in the fixtures of the fakes: `DigitalOcean` has no tags, and calls models by names of its own.
    fn habits(&self) -> Habits {
        let ocean = self.0.target.spec.digital_ocean.as_ref();
        let Some(slug) = ocean.and_then(|ocean| ocean.slug(&self.0.model)) else { return Habits::default() };
        Habits { keeps_records: false, tells_reasons: false, model: slug.to_owned(), ..Habits::default() }
    }

    fn installations(&self) -> [&str; 2] {
        INSTALLATIONS
    }

    fn tempo(&self) -> Tempo {
        Tempo { patience: self.0.case_time, pause: self.0.pause }
    }

    fn adapt(&self, endpoint: &mut InferenceEndpoint) {
        let spec = &mut endpoint.spec;
        spec.cloud.clone_from(&self.0.target.spec.cloud);
        spec.region.clone_from(&self.0.target.spec.region);
        if let Some(offer) = self.0.target.spec.offers.first() {
            spec.accelerator.count = offer.accelerator.count;
        }
        spec.template.image.clone_from(&self.0.image);
        spec.template.model.source = Some(self.0.model.clone());
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        drivers::driver(&self.0, install_id)
    }

    /// No case that asks for a fault runs here.
    fn set(&self, _: Option<Fault>) {}

    /// No case that runs there counts calls.
    fn calls(&self) -> usize {
        0
    }

    async fn make_foreign(&self, _: &str) -> anyhow::Result<()> {
        anyhow::bail!(odd::NO_FAKE)
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        odd::nothing(oddity)
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        bail!("nobody takes {endpoint} away from a real account")
    }

    /// As new listings show them for either installation, and by the name of the cases, which either may have.
    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for install_id in INSTALLATIONS {
            let (driver, _) = connect(self, install_id).await?;
            names.extend(driver.inventory().iter().flat_map(|known| &known.found).map(|found| found.name.clone()));
            let wanted = wanted(self)?;
            if driver.observe(&wanted).await? != Observation::Absent {
                names.insert(wanted.endpoint.name_any());
            }
        }
        Ok(names.into_iter().collect())
    }
}

/// The request of the cases. One of them has the other installation make an endpoint of this name, which no listing shows.
pub fn wanted(place: &dyn Place) -> anyhow::Result<Wanted> {
    let wanted = request::wanted(&place.target(), INSTALLATIONS[0], LLAMA)?;
    Ok(request::edited(&wanted, |endpoint| place.adapt(endpoint)))
}
