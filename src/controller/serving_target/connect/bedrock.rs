//! Amazon Bedrock: an account in a region, the credentials with which it is used, and the way in which it serves.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::service_context;
use super::{ConnectError, Source, aws};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{BedrockTarget, ServingTarget, reasons};
use roadstead_aws::{CredentialSettings, IDENTITY_OPERATION};
use roadstead_bedrock::{
    Bedrock, BedrockAccess, BedrockPlace, BedrockThroughput, GET_RESOURCES, IMPORT_OPERATIONS, ImportSettings,
    THROUGHPUT_OPERATIONS,
};
use roadstead_provider::{Provider, ProviderError};
use roadstead_rest::ServiceDriver;

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "Bedrock";

/// Account, region and credentials of one target, and the way in which it serves.
struct BedrockSource {
    place: BedrockPlace,
    credentials: CredentialSettings,
    way: ServingWay,
}

/// One of two ways to serve.
#[derive(Clone)]
enum ServingWay {
    Imports(ImportSettings),
    /// With these models, by the sources of their weights.
    Throughput(BTreeMap<String, String>),
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
    let place = BedrockPlace { region, account: settings.account_id.clone(), endpoint };
    Ok(Box::new(BedrockSource { place, credentials, way: way(settings) }))
}

fn way(settings: &BedrockTarget) -> ServingWay {
    if settings.models.is_empty() {
        let role = settings.import_role_arn.clone().unwrap_or_default();
        return ServingWay::Imports(ImportSettings { role, mirrors: settings.model_mirrors.clone() });
    }
    let models = settings.models.iter().map(|model| (model.source.clone(), model.model_id.clone()));
    ServingWay::Throughput(models.collect())
}

impl ServingWay {
    fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Imports(ImportSettings { role, mirrors }) => {
                let mirrors = mirrors.iter().flat_map(|mirror| [mirror.source.as_bytes(), mirror.mirror.as_bytes()]);
                [b"imports".as_slice(), role.as_bytes()].into_iter().chain(mirrors).collect()
            }
            Self::Throughput(models) => {
                let models = models.iter().flat_map(|(source, model)| [source.as_bytes(), model.as_bytes()]);
                [b"throughput".as_slice()].into_iter().chain(models).collect()
            }
        }
    }
}

#[async_trait]
impl Source for BedrockSource {
    fn fingerprint(&self) -> String {
        let BedrockPlace { account, region: _, endpoint: _ } = &self.place;
        let mut parts = vec![account.as_bytes()];
        parts.extend(self.way.parts());
        // They name the region and the address, too.
        parts.extend(aws::parts(&self.credentials).map(str::as_bytes));
        fingerprint(&parts)
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used("tagging", &[GET_RESOURCES]);
        context.metrics.service_used("sts", &[IDENTITY_OPERATION]);
        let access = BedrockAccess {
            place: self.place.clone(),
            credentials: self.credentials.clone(),
            context: service_context(context),
        };
        let invalid = |error: ProviderError| ConnectError { reason: reasons::INVALID_SPEC, message: error.message };
        Ok(match self.way.clone() {
            ServingWay::Imports(settings) => {
                context.metrics.service_used("bedrock", &IMPORT_OPERATIONS);
                as_used(context, ServiceDriver::new(Bedrock::new(access, settings).map_err(invalid)?))
            }
            ServingWay::Throughput(models) => {
                context.metrics.service_used("bedrock", &THROUGHPUT_OPERATIONS);
                as_used(context, ServiceDriver::new(BedrockThroughput::new(access, models).map_err(invalid)?))
            }
        })
    }
}
