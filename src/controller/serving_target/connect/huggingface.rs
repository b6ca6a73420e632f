//! Hugging Face Inference Endpoints: a token from a Secret.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::token::token;
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_huggingface::{HubAccess, HubAddresses, HubPlace, HuggingFace, OPERATIONS, SERVICE, probe};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, ServiceDriver};

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "HuggingFace";

/// Namespace, region and token of one target.
struct HubSource {
    place: HubPlace,
    token: Redacted,
    endpoint: Option<BaseUrl>,
}

/// Reads the settings of a driver for Hugging Face.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.hugging_face else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.huggingFace" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    Ok(Box::new(HubSource {
        place: HubPlace {
            namespace: settings.owner.clone(),
            cloud: target.spec.cloud.clone(),
            region: target.spec.region.clone(),
        },
        token: token(context, &settings.token_secret_ref)?,
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    }))
}

/// The way to ask an endpoint of Hugging Face.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> (Probe, Reach) {
    (probe(endpoint.model_name(), url, key), reach(context, TYPE))
}

#[async_trait]
impl Source for HubSource {
    fn fingerprint(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let HubPlace { namespace, cloud, region } = &self.place;
        let parts = [namespace, cloud, region, self.token.expose(), endpoint.as_str()];
        fingerprint(&parts.map(str::as_bytes))
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used(SERVICE, &OPERATIONS);
        let addresses = HubAddresses::of(self.endpoint.as_ref())
            .map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.to_string() })?;
        let service = HuggingFace::new(HubAccess {
            addresses,
            place: self.place.clone(),
            token: self.token.clone(),
            reach: reach(context, TYPE),
            context: service_context(context),
        });
        Ok(as_used(context, ServiceDriver::new(service)))
    }
}
