//! Simulated places: each target is one, in the cloud at the operator's `--simulated-cloud` address.

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_provider::address::{self, Reach};
use roadstead_provider::probe::Probe;
use roadstead_provider::{Capabilities, Provider, Redacted};
use roadstead_simulated::Simulated;
use roadstead_simulated::cloud::CloudAddress;
use roadstead_simulated::cloud::wire::Profile;

struct SimulatedPlace {
    cloud: CloudAddress,
    profile: Profile,
    capabilities: Capabilities,
}

/// Reads the settings of a simulated place's driver.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let cloud = context
        .settings
        .drivers
        .simulated_cloud
        .clone()
        .ok_or_else(|| ConnectError::new(reasons::SIMULATION_DISABLED, TargetMessage::SimulationDisabled))?;
    let (profile, capabilities) =
        (roadstead_simulated::profile(&target.spec), roadstead_simulated::capabilities(&target.spec));
    Ok(Box::new(SimulatedPlace { cloud, profile, capabilities }))
}

/// The way to ask an endpoint of a simulated place.
pub fn recorded_probe(endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> (Probe, Reach) {
    (roadstead_simulated::probe(endpoint.model_name(), url, key), address::anywhere)
}

#[async_trait]
impl Source for SimulatedPlace {
    fn fingerprint(&self) -> String {
        fingerprint(&[&serde_json::to_vec(&(&self.profile, &self.capabilities)).unwrap_or_default()])
    }

    async fn connect(&self, context: &Context, target: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        let install_id = context.settings.install_id.clone();
        let (cloud, profile, gate) = (self.cloud.clone(), self.profile.clone(), context.gate.clone());
        let driver = Simulated::new(cloud, target.name_any(), install_id, profile, gate);
        Ok(as_used(context, driver.able_to(self.capabilities.clone())))
    }
}
