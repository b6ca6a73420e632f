//! Parts that the operator gives to the driver of every service.

use std::sync::Arc;

use roadstead_api::planning;
use roadstead_model::Timestamp;
use roadstead_provider::meter::ServiceMeter;
use roadstead_runtime::client::WriteGate;
use roadstead_runtime::clock::Clock;

use crate::authorize::Authorize;
use crate::base::BaseUrl;
use crate::client::{ClientParts, RestClient};
use crate::profile::ServiceProfile;
use crate::transport::Transport;

/// Installation, gate, counter, clock and pace of a driver.
#[derive(Clone)]
pub struct ServiceContext {
    /// Id of this installation.
    pub install_id: String,
    /// Gate for writes.
    pub gate: WriteGate,
    /// Counts the calls.
    pub meter: Arc<dyn ServiceMeter>,
    /// The time.
    pub clock: Clock,
    /// True if calls keep to the pace of the service. The fakes of tests need none.
    pub paced: bool,
}

impl ServiceContext {
    /// A client of one service at `base`.
    #[must_use]
    pub fn client(
        &self,
        profile: ServiceProfile,
        base: BaseUrl,
        transport: &Transport,
        credentials: Arc<dyn Authorize>,
    ) -> RestClient {
        let profile = if self.paced { profile } else { ServiceProfile { paces: &[], ..profile } };
        RestClient::new(ClientParts {
            profile,
            base,
            transport: transport.clone(),
            credentials,
            gate: Arc::clone(&self.gate),
            meter: Arc::clone(&self.meter),
            clock: self.clock,
        })
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        planning::now(self.clock.wall())
    }
}
