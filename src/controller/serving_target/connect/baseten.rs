//! Baseten: an API key from a Secret.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::token::token;
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_baseten::{Baseten, BasetenAccess, BasetenAddresses, BasetenPlace, OPERATIONS, SERVICE, probe};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, ServiceDriver};

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "Baseten";
/// Interval between two listings: each reads the deployments of every model.
const LISTING_INTERVAL: Duration = Duration::from_mins(1);

/// Team, region and key of one target.
struct BasetenSource {
    place: BasetenPlace,
    key: Redacted,
    endpoint: Option<BaseUrl>,
}

/// Reads the settings of a driver for Baseten.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.baseten else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.baseten" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    Ok(Box::new(BasetenSource {
        place: BasetenPlace { team: settings.team.clone(), region: target.spec.region.clone() },
        key: token(context, &settings.api_key_secret_ref)?,
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    }))
}

/// The way to ask an endpoint of Baseten.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> (Probe, Reach) {
    (probe(endpoint.model_name(), url, key), reach(context, TYPE))
}

#[async_trait]
impl Source for BasetenSource {
    fn fingerprint(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let team = self.place.team.as_deref().unwrap_or_default();
        fingerprint(&[team, &self.place.region, self.key.expose(), &endpoint].map(str::as_bytes))
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used(SERVICE, &OPERATIONS);
        let addresses = BasetenAddresses::of(self.endpoint.as_ref())
            .map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.to_string() })?;
        let service = Baseten::new(BasetenAccess {
            addresses,
            place: self.place.clone(),
            key: self.key.clone(),
            reach: reach(context, TYPE),
            context: service_context(context),
        });
        Ok(as_used(context, ServiceDriver::new(service).listing_every(LISTING_INTERVAL)))
    }
}
