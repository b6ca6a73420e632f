//! Hugging Face Inference Endpoints: a token from a Secret.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{HuggingFaceTarget, InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_huggingface::{HubAddresses, HubParts, HuggingFace, OPERATIONS, SERVICE, probe};
use roadstead_provider::address::{self, Reach};
use roadstead_provider::meter::ServiceMeter;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::BaseUrl;
use roadstead_runtime::cache::Key;

/// Name of the type in messages and in `--endpoint-override`.
const TYPE: &str = "HuggingFace";
/// Pause between two listings: the service has no watch.
const LISTING_PAUSE: Duration = Duration::from_secs(15);
/// The longest token that is taken from a Secret.
const MAX_TOKEN_BYTES: usize = 1024;

/// Namespace, region and token of one target.
struct HubSource {
    namespace: String,
    cloud: String,
    region: String,
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
        namespace: settings.owner.clone(),
        cloud: target.spec.cloud.clone(),
        region: target.spec.region.clone(),
        token: token(context, settings)?,
        endpoint: context.settings.drivers.endpoint_override(TYPE),
    }))
}

fn token(context: &Context, settings: &HuggingFaceTarget) -> Result<Redacted, ConnectError> {
    let namespace = &context.settings.namespace;
    let (name, key) = (&settings.token_secret_ref.name, &settings.token_secret_ref.key);
    let told = |message| ConnectError::new(reasons::CREDENTIALS_MISSING, message);
    let secret = context.caches.secrets.get(&Key::new(namespace, name));
    let secret = secret.ok_or_else(|| told(TargetMessage::TokenSecretMissing { namespace, name, key }))?;
    let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice()).unwrap_or_default();
    let text = std::str::from_utf8(bytes).map(str::trim).unwrap_or_default();
    let usable = (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if usable {
        Ok(Redacted::new(text.to_owned()))
    } else {
        Err(told(TargetMessage::TokenUnusable { namespace, name, key }))
    }
}

/// The way to ask an endpoint of Hugging Face.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> (Probe, Reach) {
    (probe(endpoint.model_name(), url, key), reach(context.settings.drivers.endpoint_override(TYPE).as_ref()))
}

/// Only the operator's flag leads the service to an address of the hub's own network.
fn reach(endpoint: Option<&BaseUrl>) -> Reach {
    if endpoint.is_some() { address::anywhere } else { address::elsewhere }
}

#[async_trait]
impl Source for HubSource {
    fn fingerprint(&self) -> String {
        let endpoint = self.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        let parts = [&self.namespace, &self.cloud, &self.region, self.token.expose(), endpoint.as_str()];
        fingerprint(&parts.map(str::as_bytes))
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        context.metrics.service_used(SERVICE, &OPERATIONS);
        let addresses = HubAddresses::of(self.endpoint.as_ref())
            .map_err(|error| ConnectError { reason: reasons::INVALID_SPEC, message: error.to_string() })?;
        let driver = HuggingFace::new(HubParts {
            addresses,
            namespace: self.namespace.clone(),
            cloud: self.cloud.clone(),
            region: self.region.clone(),
            token: self.token.clone(),
            install_id: context.settings.install_id.clone(),
            listing_pause: LISTING_PAUSE,
            reach: reach(self.endpoint.as_ref()),
            gate: Arc::clone(&context.gate),
            meter: Arc::clone(&context.metrics) as Arc<dyn ServiceMeter>,
            clock: context.clock,
        });
        Ok(as_used(context, driver))
    }
}
