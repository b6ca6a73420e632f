//! Custom model import of Amazon Bedrock: an account in a region, and the credentials with which it is used.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::service_context;
use super::{ConnectError, Source, aws};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{ServingTarget, reasons};
use roadstead_aws::{CredentialSettings, IDENTITY_OPERATION};
use roadstead_bedrock::{Bedrock, BedrockAccess, BedrockPlace, GET_RESOURCES, OPERATIONS};
use roadstead_provider::Provider;
use roadstead_rest::ServiceDriver;

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "Bedrock";

/// Account, region and credentials of one target.
struct ImportSource {
    place: BedrockPlace,
    credentials: CredentialSettings,
}

/// Reads the settings of a driver for Bedrock.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.bedrock else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.bedrock" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    let region = target.spec.region.clone();
    let endpoint = context.settings.drivers.endpoint_override(TYPE);
    let (secret, role) = (settings.credentials_secret_ref.as_ref(), settings.assume_role.as_ref());
    let credentials = aws::credentials(context, secret, role, &region, endpoint.as_ref())?;
    let place = BedrockPlace {
        region,
        account: settings.account_id.clone(),
        import_role: settings.import_role_arn.clone(),
        mirrors: settings.model_mirrors.clone(),
        endpoint,
    };
    Ok(Box::new(ImportSource { place, credentials }))
}

#[async_trait]
impl Source for ImportSource {
    fn fingerprint(&self) -> String {
        let BedrockPlace { account, import_role, mirrors, region: _, endpoint: _ } = &self.place;
        let mut parts = vec![account.as_bytes(), import_role.as_bytes()];
        parts.extend(mirrors.iter().flat_map(|mirror| [mirror.source.as_bytes(), mirror.mirror.as_bytes()]));
        // They name the region and the address, too.
        parts.extend(aws::parts(&self.credentials).map(str::as_bytes));
        fingerprint(&parts)
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used("bedrock", &OPERATIONS);
        context.metrics.service_used("tagging", &[GET_RESOURCES]);
        context.metrics.service_used("sts", &[IDENTITY_OPERATION]);
        let service = Bedrock::new(BedrockAccess {
            place: self.place.clone(),
            credentials: self.credentials.clone(),
            context: service_context(context),
        });
        let service =
            service.map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.message })?;
        Ok(as_used(context, ServiceDriver::new(service)))
    }
}
