//! Hosted vendors: an API key from a Secret.

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::reach;
use super::token::token;
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{ServingTarget, reasons};
use roadstead_openai::{HostedVendor, OPERATIONS, SERVICE, VendorParts};
use roadstead_provider::address::Reach;
use roadstead_provider::meter::ServiceMeter;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, Insecure};

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "OpenAICompatible";

/// Address and key of one target.
struct VendorSource {
    base: BaseUrl,
    reach: Reach,
    key: Redacted,
}

/// Reads the settings of a driver for a hosted vendor.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.open_ai_compatible else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.openAICompatible" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    let override_ = context.settings.drivers.endpoint_override(TYPE);
    let declared = || BaseUrl::parse(&settings.base_url, Insecure::Refused);
    let base = override_.map_or_else(declared, Ok).map_err(|error| ConnectError {
        reason: reasons::INVALID_SPEC,
        message: format!("spec.openAICompatible.baseURL: {error}"),
    })?;
    let (reach, key) = (reach(context, TYPE), token(context, &settings.key_secret_ref)?);
    Ok(Box::new(VendorSource { base, reach, key }))
}

#[async_trait]
impl Source for VendorSource {
    fn fingerprint(&self) -> String {
        fingerprint(&[self.base.to_string().as_bytes(), self.key.expose().as_bytes()])
    }

    async fn connect(&self, context: &Context, target: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used(SERVICE, &OPERATIONS);
        let driver = HostedVendor::new(VendorParts {
            base: self.base.clone(),
            target: target.name_any(),
            key: self.key.clone(),
            reach: self.reach,
            gate: Arc::clone(&context.gate),
            meter: Arc::clone(&context.metrics) as Arc<dyn ServiceMeter>,
            clock: context.clock,
        });
        Ok(as_used(context, driver))
    }
}
