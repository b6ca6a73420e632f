//! Azure Machine Learning: a workspace, and the identity with which it is used.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::{ConnectError, Source, azure};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_azure::{EntraIdentity, TOKEN_OPERATIONS};
use roadstead_azureml::{AzureMl, AzureMlPlace, OPERATIONS, WorkspaceAccess, probe};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::ServiceDriver;

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "AzureML";

/// Workspace and identity of one target.
struct WorkspaceSource {
    place: AzureMlPlace,
    identity: EntraIdentity,
}

/// Reads the settings of a driver for Azure ML.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.azure_ml else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.azureML" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    let identity = azure::identity(context, settings.credentials_secret_ref.as_ref())?;
    let place = AzureMlPlace {
        subscription: settings.subscription_id.clone(),
        resource_group: settings.resource_group.clone(),
        workspace: settings.workspace.clone(),
        region: target.spec.region.clone(),
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    };
    Ok(Box::new(WorkspaceSource { place, identity }))
}

/// The way to ask an endpoint of Azure ML.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> (Probe, Reach) {
    (probe(endpoint.model_name(), url, key), reach(context, TYPE))
}

#[async_trait]
impl Source for WorkspaceSource {
    fn fingerprint(&self) -> String {
        let AzureMlPlace { subscription, resource_group, workspace, region, endpoint } = &self.place;
        let endpoint = endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let [tenant, client, secret] = azure::parts(&self.identity);
        let parts = [subscription, resource_group, workspace, region, endpoint.as_str(), tenant, client, secret];
        fingerprint(&parts.map(str::as_bytes))
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used("azureml", &OPERATIONS);
        context.metrics.service_used(TOKEN_OPERATIONS.0, &[TOKEN_OPERATIONS.1]);
        let driver = AzureMl::new(WorkspaceAccess {
            place: self.place.clone(),
            identity: self.identity.clone(),
            context: service_context(context),
        });
        let driver = driver.map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.message })?;
        Ok(as_used(context, ServiceDriver::new(driver)))
    }
}
