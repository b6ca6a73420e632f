//! Vertex AI: the identity of the operator's pod or the key of a service account from a Secret, and an account that it acts as.
//! The credential file of the pod is read at each look at a target, so a changed one makes another driver.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::{GoogleKeyFault, TargetMessage};

use super::common::{as_used, fingerprint};
use super::services::{reach, service_context};
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, SecretKeyRef, ServingTarget, reasons};
use roadstead_google::{ActingAs, GoogleIdentity, KeyFault, OPERATIONS as TOKEN_OPERATIONS, ServiceAccountKey};
use roadstead_provider::Provider;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_rest::ServiceDriver;
use roadstead_runtime::cache::Key;
use roadstead_vertex::{OPERATIONS, PROJECTS, ProjectAccess, VertexAi, VertexPlace, probe};

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "VertexAI";

/// Project, location and identity of one target.
struct ProjectLocation {
    place: VertexPlace,
    identity: GoogleIdentity,
    acting_as: Option<ActingAs>,
}

/// Reads the settings of a driver for Vertex AI.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(settings) = &target.spec.vertex_ai else {
        let missing = TargetMessage::SettingsMissing { type_: TYPE, field: "spec.vertexAI" };
        return Err(ConnectError::new(reasons::INVALID_SPEC, missing));
    };
    let identity = match &settings.service_account_key_secret_ref {
        None => GoogleIdentity::of_pod()
            .map_err(|error| ConnectError { reason: reasons::CREDENTIALS_MISSING, message: error.message })?,
        Some(reference) => GoogleIdentity::Key(key(context, reference)?),
    };
    let acting_as = settings.impersonate_service_account.clone().map(|email| ActingAs { email });
    let place = VertexPlace {
        project: settings.project.clone(),
        location: target.spec.region.clone(),
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    };
    Ok(Box::new(ProjectLocation { place, identity, acting_as }))
}

fn key(context: &Context, SecretKeyRef { name, key }: &SecretKeyRef) -> Result<ServiceAccountKey, ConnectError> {
    let namespace = &context.settings.namespace;
    let told = |message| ConnectError::new(reasons::CREDENTIALS_MISSING, message);
    let secret = context.caches.secrets.get(&Key::new(namespace, name));
    let secret = secret.ok_or_else(|| told(TargetMessage::GoogleSecretMissing { namespace, name, key }))?;
    let file = secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice()).unwrap_or_default();
    ServiceAccountKey::read(file).map_err(|fault| {
        let fault = match fault {
            KeyFault::Malformed => GoogleKeyFault::Malformed,
            KeyFault::Unusable => GoogleKeyFault::Unusable,
            KeyFault::OtherAddress => GoogleKeyFault::OtherAddress,
        };
        told(TargetMessage::GoogleKeyUnusable { namespace, name, key, fault })
    })
}

/// The way to ask an endpoint of Vertex AI; the driver fills in a token.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str) -> (Probe, Reach) {
    (probe(url, endpoint.model_name()), reach(context, TYPE))
}

#[async_trait]
impl Source for ProjectLocation {
    fn fingerprint(&self) -> String {
        let VertexPlace { project, location, endpoint } = &self.place;
        let endpoint = endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = match &self.identity {
            GoogleIdentity::Workload => [String::new(), String::new()],
            GoogleIdentity::Key(key) => [key.email.clone(), key.private().expose().to_owned()],
            // A credential file holds no secret.
            GoogleIdentity::External(account) => [format!("{account:?}"), String::new()],
        };
        let acting_as = self.acting_as.as_ref().map_or("", |account| account.email.as_str());
        let parts = [project, location, endpoint.as_str(), &key[0], &key[1], acting_as];
        fingerprint(&parts.map(str::as_bytes))
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used("vertexai", &OPERATIONS);
        context.metrics.service_used("resourcemanager", &PROJECTS);
        for (service, operation) in TOKEN_OPERATIONS {
            context.metrics.service_used(service, &[operation]);
        }
        let service = VertexAi::new(ProjectAccess {
            place: self.place.clone(),
            identity: self.identity.clone(),
            acting_as: self.acting_as.clone(),
            context: service_context(context),
        });
        let service =
            service.map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.message })?;
        Ok(as_used(context, ServiceDriver::new(service)))
    }
}
