//! Amazon SageMaker: an account in a region, and the credentials with which it is used.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::{ConnectError, Source, aws};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_aws::{CredentialSettings, IDENTITY_OPERATION};
use roadstead_provider::Provider;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_rest::ServiceDriver;
use roadstead_sagemaker::{AccountAccess, GET_RESOURCES, OPERATIONS, SageMaker, SageMakerPlace, probe};

/// Name of the type in messages.
const TYPE: &str = "SageMaker";

/// Account, region and credentials of one target.
struct AccountRegion {
    place: SageMakerPlace,
    credentials: CredentialSettings,
}

/// Reads the settings of a driver for SageMaker.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.sage_maker else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.sageMaker" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    let region = target.spec.region.clone();
    let endpoint = context.settings.drivers.endpoint_override(TYPE);
    let (secret, role) = (settings.credentials_secret_ref.as_ref(), settings.assume_role.as_ref());
    let credentials = aws::credentials(context, secret, role, &region, endpoint.as_ref())?;
    let place = SageMakerPlace { region, account: settings.account_id.clone(), endpoint };
    Ok(Box::new(AccountRegion { place, credentials }))
}

/// The way to ask an endpoint of SageMaker; the driver fills in a token.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str) -> (Probe, Reach) {
    (probe(url, endpoint.model_name()), reach(context, TYPE))
}

#[async_trait]
impl Source for AccountRegion {
    fn fingerprint(&self) -> String {
        let mut parts = vec![self.place.account.as_bytes()];
        parts.extend(aws::parts(&self.credentials).map(str::as_bytes));
        fingerprint(&parts)
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used("sagemaker", &OPERATIONS);
        context.metrics.service_used("tagging", &[GET_RESOURCES]);
        context.metrics.service_used("sts", &[IDENTITY_OPERATION]);
        let service = SageMaker::new(AccountAccess {
            place: self.place.clone(),
            credentials: self.credentials.clone(),
            context: service_context(context),
        });
        let service =
            service.map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.message })?;
        Ok(as_used(context, ServiceDriver::new(service)))
    }
}
