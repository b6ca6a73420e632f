//! The driver of one vendor.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use http::StatusCode;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};
use roadstead_model as model;
use roadstead_provider::address::Reach;
use roadstead_provider::meter::ServiceMeter;
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, Observation, ProviderError, Redacted, Removal, Site, Wanted,
    Workload,
};
use roadstead_rest::{BaseUrl, Bearer, ClientParts, RestClient, RestFailure, ServiceRoute, Transport};
use roadstead_runtime::client::WriteGate;
use roadstead_runtime::clock::Clock;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::service::{NAME, PROFILE, models};

/// Time for which an answer of the vendor is believed: it is asked once a minute and not with every check.
const BELIEVED: Duration = Duration::from_mins(1);

/// Parts of a driver.
pub struct VendorParts {
    /// Address of the API, up to its version.
    pub base: BaseUrl,
    /// Name of the target: several targets may be at one vendor, with keys of their own.
    pub target: String,
    /// The API key.
    pub key: Redacted,
    /// Addresses to which the vendor may lead.
    pub reach: Reach,
    /// Gate for writes.
    pub gate: WriteGate,
    /// Counts the calls.
    pub meter: Arc<dyn ServiceMeter>,
    /// The time.
    pub clock: Clock,
}

/// The driver of one vendor.
pub struct HostedVendor {
    client: RestClient,
    identity: String,
    clock: Clock,
    answered: Mutex<Option<Instant>>,
}

impl HostedVendor {
    /// A driver that has asked nothing.
    #[must_use]
    pub fn new(parts: VendorParts) -> Self {
        let VendorParts { base, target, key, reach, gate, meter, clock } = parts;
        let digest = HEXLOWER.encode(&Sha256::digest(format!("{base} {target}")));
        let client = RestClient::new(ClientParts {
            profile: PROFILE,
            base,
            transport: Transport::new(ServiceRoute { authorities: String::new(), reach }),
            credentials: Arc::new(Bearer::new(key)),
            gate,
            meter,
            clock,
        });
        Self { client, identity: digest.chars().take(32).collect(), clock, answered: Mutex::default() }
    }

    fn is_believed(&self) -> bool {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.is_some_and(|at| self.clock.now().saturating_duration_since(at) < BELIEVED)
    }
}

/// True for a vendor without a list of models, which answers nevertheless.
fn has_no_list(failure: &RestFailure) -> bool {
    matches!(failure.status, Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED))
}

/// No record of an endpoint names a vendor; one that does was written by another hand.
fn nothing_placed() -> ProviderError {
    ProviderError::new(
        ErrorClass::Refused,
        "nothing is placed at a hosted vendor: its models are used by failover.hosted",
    )
}

#[async_trait]
impl Site for HostedVendor {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::of_vendor()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        if !self.is_believed() {
            match self.client.call(models()).await {
                Err(failure) if !has_no_list(&failure) => return Err(failure.into()),
                Ok(_) | Err(_) => {}
            }
            *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        }
        Ok(self.identity.clone())
    }

    async fn claim(&self, _: &str, _: Option<&str>) -> Result<Claim, ProviderError> {
        // Nothing is there that two hubs could both own.
        Ok(Claim::Ours)
    }

    fn watch(&self, _: Listener) {}

    fn inventory(&self) -> Option<Arc<Inventory>> {
        Some(Arc::default())
    }
}

#[async_trait]
impl Workload for HostedVendor {
    async fn observe(&self, _: &Wanted) -> Result<Observation, ProviderError> {
        Ok(Observation::Absent)
    }

    async fn ensure(&self, _: &Wanted) -> Result<ExternalId, ProviderError> {
        Err(nothing_placed())
    }

    async fn remove(&self, _: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        Ok(Removal::Gone)
    }

    async fn remove_found(&self, _: &model::Found) -> Result<Removal, ProviderError> {
        Ok(Removal::Gone)
    }

    async fn api_key(&self, _: &str) -> Result<Option<Redacted>, ProviderError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_that_has_no_list_of_models_answers_and_one_that_refuses_the_key_does_not() {
        for (status, answers) in [(404, true), (405, true), (401, false), (403, false), (500, false)] {
            let status = StatusCode::from_u16(status).unwrap();
            let refused = ProviderError::new(ErrorClass::Invalid, "no");
            let failure = RestFailure { status: Some(status), ..RestFailure::from(refused) };
            assert_eq!(has_no_list(&failure), answers, "{status}");
        }
    }
}
