//! Amazon SageMaker: the identity of the operator's pod or a key from a Secret, and a role that it assumes.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, SageMakerTarget, ServingTarget, reasons};
use roadstead_aws::{AssumedRole, CredentialSettings, CredentialSource, IDENTITY_OPERATION, LongLivedKey, SecretFault};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::ServiceDriver;
use roadstead_runtime::cache::Key;
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
    let credentials = credentials(context, settings, &region, endpoint.as_ref().map(ToString::to_string))?;
    let place = SageMakerPlace { region, account: settings.account_id.clone(), endpoint };
    Ok(Box::new(AccountRegion { place, credentials }))
}

fn credentials(
    context: &Context,
    settings: &SageMakerTarget,
    region: &str,
    endpoint: Option<String>,
) -> Result<CredentialSettings, ConnectError> {
    let source = match &settings.credentials_secret_ref {
        None => CredentialSource::Ambient,
        Some(reference) => CredentialSource::Key(key(context, &reference.name)?),
    };
    let role = settings.assume_role.as_ref().map(|role| AssumedRole {
        arn: role.role_arn.clone(),
        external_id: role.external_id.clone(),
        session: format!("roadstead-{}", context.settings.install_id),
    });
    Ok(CredentialSettings { source, role, region: region.to_owned(), endpoint })
}

fn key(context: &Context, name: &str) -> Result<LongLivedKey, ConnectError> {
    let namespace = &context.settings.namespace;
    let told = |message| ConnectError::new(reasons::CREDENTIALS_MISSING, message);
    let secret = context.caches.secrets.get(&Key::new(namespace, name));
    let secret = secret.ok_or_else(|| told(TargetMessage::AwsSecretMissing { namespace, name }))?;
    LongLivedKey::read(&secret.data.clone().unwrap_or_default()).map_err(|fault| {
        let (SecretFault::Missing(entry) | SecretFault::Malformed(entry)) = fault;
        told(TargetMessage::SecretEntryUnusable { namespace, name, entry })
    })
}

/// The way to ask an endpoint of SageMaker; the driver fills in a token.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str) -> (Probe, Reach) {
    (probe(url, endpoint.model_name()), reach(context, TYPE))
}

#[async_trait]
impl Source for AccountRegion {
    fn fingerprint(&self) -> String {
        let CredentialSettings { source, role, region, endpoint } = &self.credentials;
        let key = match source {
            CredentialSource::Ambient => [None, None, None],
            CredentialSource::Key(LongLivedKey { id, secret, session }) => {
                [Some(id.as_str()), Some(secret.expose()), session.as_ref().map(Redacted::expose)]
            }
        };
        let role = role.as_ref().map(|role| (role.arn.as_str(), role.external_id.as_deref().unwrap_or_default()));
        let (arn, external_id) = role.unwrap_or_default();
        let [id, secret, session] = key.map(|part| part.unwrap_or_default().as_bytes());
        let endpoint = endpoint.as_deref().unwrap_or_default().as_bytes();
        let account = self.place.account.as_bytes();
        fingerprint(&[
            account,
            region.as_bytes(),
            arn.as_bytes(),
            external_id.as_bytes(),
            id,
            secret,
            session,
            endpoint,
        ])
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
