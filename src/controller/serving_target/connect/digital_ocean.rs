//! `DigitalOcean` Dedicated Inference: an access token from a Secret.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::token::token;
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_digitalocean::{
    DedicatedAccess, DedicatedAddresses, DedicatedInference, DedicatedPlace, OPERATIONS, SERVICE, probe,
};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, ServiceDriver};

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "DigitalOcean";

/// Region, settings and token of one target.
struct OceanSource {
    place: DedicatedPlace,
    token: Redacted,
    endpoint: Option<BaseUrl>,
}

/// Reads the settings of a driver for `DigitalOcean`.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.digital_ocean else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.digitalOcean" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    Ok(Box::new(OceanSource {
        place: DedicatedPlace { region: target.spec.region.clone(), settings: settings.clone() },
        token: token(context, &settings.token_secret_ref)?,
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    }))
}

/// The way to ask an endpoint of `DigitalOcean`, which knows the model by its slug.
pub fn recorded_probe(
    context: &Context,
    target: &ServingTarget,
    endpoint: &InferenceEndpointSpec,
    url: &str,
    key: Redacted,
) -> Option<(Probe, Reach)> {
    let slug = target.spec.digital_ocean.as_ref()?.slug(endpoint.template.model.source.as_deref()?)?;
    Some((probe(slug, url, key), reach(context, TYPE)))
}

#[async_trait]
impl Source for OceanSource {
    fn fingerprint(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let DedicatedPlace { region, settings } = &self.place;
        let models = settings.models.iter().flat_map(|model| [model.source.as_str(), model.slug.as_str()]);
        let parts =
            [region, self.token.expose(), settings.vpc_uuid.as_str(), endpoint.as_str()].into_iter().chain(models);
        fingerprint(&parts.map(str::as_bytes).collect::<Vec<_>>())
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used(SERVICE, &OPERATIONS);
        let addresses = DedicatedAddresses::of(self.endpoint.as_ref())
            .map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.to_string() })?;
        let service = DedicatedInference::new(DedicatedAccess {
            addresses,
            place: self.place.clone(),
            token: self.token.clone(),
            reach: reach(context, TYPE),
            context: service_context(context),
        });
        Ok(as_used(context, ServiceDriver::new(service)))
    }
}
