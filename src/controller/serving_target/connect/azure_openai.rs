//! Azure OpenAI: an account with its models, and the identity with which it is used.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::{ConnectError, Source, azure};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{AzureOpenAiTarget, InferenceEndpointSpec, Offer, ServingTarget, reasons};
use roadstead_azure::{EntraIdentity, TOKEN_OPERATIONS};
use roadstead_azureopenai::{AzureOpenAi, CatalogModel, CognitiveAccess, CognitivePlace, OPERATIONS, probe};
use roadstead_provider::Provider;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_rest::ServiceDriver;

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "AzureOpenAI";

/// Account and identity of one target.
struct AccountSource {
    place: CognitivePlace,
    identity: EntraIdentity,
}

/// Reads the settings of a driver for Azure OpenAI.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.azure_open_ai else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.azureOpenAI" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    let identity = azure::identity(context, settings.credentials_secret_ref.as_ref())?;
    let place = CognitivePlace {
        subscription: settings.subscription_id.clone(),
        resource_group: settings.resource_group.clone(),
        account: settings.account.clone(),
        region: target.spec.region.clone(),
        models: models(settings),
        units: units(&target.spec.offers),
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    };
    Ok(Box::new(AccountSource { place, identity }))
}

fn models(settings: &AzureOpenAiTarget) -> BTreeMap<String, CatalogModel> {
    let model = |one: &roadstead_api::v1alpha1::AzureCatalogModel| CatalogModel {
        format: one.format.clone(),
        name: one.name.clone(),
        version: one.version.clone(),
    };
    settings.models.iter().map(|one| (one.source.clone(), model(one))).collect()
}

/// Units of the largest offer of each SKU.
fn units(offers: &[Offer]) -> BTreeMap<String, u32> {
    let mut units = BTreeMap::new();
    for offer in offers {
        let most: &mut u32 = units.entry(offer.instance_type.clone()).or_default();
        *most = (*most).max(u32::try_from(offer.accelerator.count).unwrap_or(0));
    }
    units
}

/// The way to ask whether the account of an endpoint answers; the driver fills in a token.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str) -> (Probe, Reach) {
    (probe(url, endpoint.model_name()), reach(context, TYPE))
}

#[async_trait]
impl Source for AccountSource {
    fn fingerprint(&self) -> String {
        let CognitivePlace { subscription, resource_group, account, region, models, units, endpoint } = &self.place;
        let endpoint = endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let [tenant, client, secret] = azure::parts(&self.identity);
        let catalog = format!("{models:?} {units:?}");
        let parts =
            [subscription, resource_group, account, region, &catalog, endpoint.as_str(), tenant, client, secret];
        fingerprint(&parts.map(str::as_bytes))
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used("azureopenai", &OPERATIONS);
        context.metrics.service_used(TOKEN_OPERATIONS.0, &[TOKEN_OPERATIONS.1]);
        let driver = AzureOpenAi::new(CognitiveAccess {
            place: self.place.clone(),
            identity: self.identity.clone(),
            context: service_context(context),
        });
        let driver = driver.map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.message })?;
        Ok(as_used(context, ServiceDriver::new(driver)))
    }
}
