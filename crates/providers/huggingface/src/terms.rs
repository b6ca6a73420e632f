//! Price and quota of a region's hardware, read now and then beside the listing.

use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{RestClient, StatedTerms, TermsByType};
use roadstead_runtime::clock::Clock;

use crate::hardware::Vendors;
use crate::service::{HubPaths, PROFILE};
use crate::view::{HubCompute, HubProvider};

/// The newest terms of one region.
pub struct HubTerms {
    /// Cloud, such as `aws`.
    cloud: String,
    /// Region of that cloud.
    region: String,
    stated: StatedTerms,
}

impl HubTerms {
    /// Terms that were never read.
    #[must_use]
    pub fn new(cloud: &str, region: &str, clock: Clock) -> Self {
        let (cloud, region) = (cloud.to_owned(), region.to_owned());
        Self { cloud, region, stated: StatedTerms::new(PROFILE.title, clock) }
    }

    /// True for an endpoint that runs where these terms hold.
    #[must_use]
    pub fn is_of(&self, provider: &HubProvider) -> bool {
        (&provider.vendor, &provider.region) == (&self.cloud, &self.region)
    }

    /// Words of the refusal to read them.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.stated.refusal()
    }

    /// The newest terms, where the endpoints of the installation in this region have this hardware.
    pub async fn newest<'a>(
        &self,
        client: &RestClient,
        paths: &HubPaths,
        ours: impl Iterator<Item = &'a HubCompute>,
    ) -> TermsByType {
        let read = self.stated.newest(async |now| {
            let vendors: Vendors = client.call(paths.hardware()).await?.json()?;
            vendors.terms(&self.cloud, &self.region, ours, now).ok_or_else(|| {
                let message = format!("Hugging Face offers no hardware in region {} of {}", self.region, self.cloud);
                ProviderError::new(ErrorClass::Invalid, message)
            })
        });
        read.await
    }
}
