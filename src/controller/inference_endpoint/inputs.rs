//! Inputs of an endpoint: its API key, and the Secrets that its deployment names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as HubSecret;
use kube::api::{Api, ObjectMeta};
use kube::{Resource, ResourceExt};
use roadstead_explain::EndpointMessage;

use super::memory::{self, Edition, Inputs, Memory};
use crate::controller::api_key;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::named_secrets::{Version, version_of};
use crate::controller::routing::requested_at;
use roadstead_api::v1alpha1::{InferenceEndpoint, names, reasons};
use roadstead_provider::{Provider, Redacted, Secret};
use roadstead_runtime::cache::Key;
use roadstead_runtime::client::{call, call_opt};

/// All that the Secrets of one endpoint may hold together: what reaches an environment is far smaller.
const MAX_SECRET_BYTES: usize = 512 * 1024;

/// Something that the endpoint needs is not there, and only the user can bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// A `CamelCase` reason for the condition.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Missing {
    fn new(reason: &'static str, message: EndpointMessage<'_>) -> Self {
        Self { reason, message: message.to_string() }
    }
}

/// Gathers the inputs of an endpoint, from memory where they are fresh.
///
/// # Errors
/// [`ActError`] of a call; what the user must bring is the inner `Err`.
pub async fn gather(
    context: &Context,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    provider: &dyn Provider,
) -> Result<Result<Inputs, Missing>, ActError> {
    let key = Key::of(endpoint.as_ref());
    let requested_at = context.deployment_of(endpoint).and_then(|deployment| requested_at(&deployment).cloned());
    let edition = Edition::new(endpoint, requested_at);
    if context.named_secrets.take_stale(&key) {
        memory.outdated(&key);
    }
    if let Some(inputs) = memory.inputs(&key, &edition, context.clock.now()) {
        return Ok(Ok(inputs));
    }
    let mut versions = Versions::new();
    let read = read(context, endpoint, provider, &mut versions).await;
    // Missing Secrets are also polled from now on, until they exist.
    let now = context.clock.now();
    context.named_secrets.read(&key, versions, now);
    let (secrets, api_key) = match read? {
        Ok((secrets, api_key)) => (Arc::new(secrets), api_key),
        Err(missing) => return Ok(Err(missing)),
    };
    // A key that is still to be issued is asked for at the next look.
    let resync = if api_key.expose().is_empty() { Duration::ZERO } else { memory::resync_of(&key) };
    let inputs = Inputs { edition, good_until: now + resync, api_key, secrets };
    memory.keep(&key, inputs.clone());
    Ok(Ok(inputs))
}

/// The versions of the Secrets that were read, by name.
type Versions = BTreeMap<String, Version>;

/// The Secrets that the deployment names, and the endpoint's key.
type Read = (BTreeMap<String, Secret>, Redacted);

async fn read(
    context: &Context,
    endpoint: &InferenceEndpoint,
    provider: &dyn Provider,
    versions: &mut Versions,
) -> Result<Result<Read, Missing>, ActError> {
    let secrets = match read_secrets(context, endpoint, versions).await? {
        Ok(secrets) => secrets,
        Err(missing) => return Ok(Err(missing)),
    };
    Ok(api_key(context, endpoint, provider, versions).await?.map(|api_key| (secrets, api_key)))
}

async fn read_secrets(
    context: &Context,
    endpoint: &InferenceEndpoint,
    versions: &mut Versions,
) -> Result<Result<BTreeMap<String, Secret>, Missing>, ActError> {
    let namespace = endpoint.namespace().unwrap_or_default();
    let api: Api<HubSecret> = Api::namespaced(context.client.clone(), &namespace);
    let mut secrets = BTreeMap::new();
    let mut left = MAX_SECRET_BYTES;
    for name in endpoint.spec.secret_names() {
        let found = call_opt("get secret", api.get(&name)).await?;
        versions.insert(name.clone(), found.as_ref().and_then(version_of));
        let Some(secret) = found else {
            let message = EndpointMessage::SecretMissing { namespace: &namespace, name: &name };
            return Ok(Err(Missing::new(reasons::SECRET_MISSING, message)));
        };
        let data = secret.data.unwrap_or_default();
        left = left.saturating_sub(data.iter().map(|(key, value)| key.len() + value.0.len()).sum());
        if left == 0 {
            let limit = MAX_SECRET_BYTES / 1024;
            let message = EndpointMessage::SecretsTooLarge { limit, namespace: &namespace, name: &name };
            return Ok(Err(Missing::new(reasons::SECRET_TOO_LARGE, message)));
        }
        let kind = secret.type_.unwrap_or_else(|| "Opaque".to_owned());
        secrets.insert(name, Secret { kind, data });
    }
    if let Some((name, key)) = endpoint
        .spec
        .secret_keys()
        .find(|(name, key)| secrets.get(*name).is_some_and(|secret: &Secret| !secret.data.contains_key(*key)))
    {
        let message = EndpointMessage::SecretKeyMissing { namespace: &namespace, name, key };
        return Ok(Err(Missing::new(reasons::SECRET_MISSING, message)));
    }
    Ok(Ok(secrets))
}

/// The endpoint's key: from the Secret beside the deployment, otherwise from the member, otherwise a new one. Nothing where the
/// place issues it for an endpoint that does not exist yet.
async fn api_key(
    context: &Context,
    endpoint: &InferenceEndpoint,
    provider: &dyn Provider,
    versions: &mut Versions,
) -> Result<Result<Redacted, Missing>, ActError> {
    let api: Api<HubSecret> = Api::namespaced(context.client.clone(), &endpoint.namespace().unwrap_or_default());
    let name = names::hub_key_secret(endpoint);
    let form = if provider.issues_keys() { names::is_issued_key } else { names::is_api_key };
    // Before the first status of the endpoint there is rarely a key, and the creation reports an existing one.
    let is_new = endpoint.status.as_ref().is_none_or(|status| status.api_key_secret_name.is_none());
    if !is_new && let Some(existing) = call_opt("get secret", api.get(&name)).await? {
        versions.insert(name, version_of(&existing));
        return Ok(existing_key(endpoint, &existing, form));
    }
    let value = match provider.api_key(&endpoint.name_any()).await? {
        Some(known) => known,
        None if provider.issues_keys() => return Ok(Ok(Redacted::new(String::new()))),
        None => api_key::generate()?,
    };
    match context.hub.create_secret(&key_secret(endpoint, &name, &value)).await {
        Ok(made) => {
            versions.insert(name, version_of(&made));
            Ok(Ok(value))
        }
        Err(error) if error.is_conflict() => {
            let existing = call("get secret", api.get(&name)).await?;
            versions.insert(name, version_of(&existing));
            Ok(existing_key(endpoint, &existing, form))
        }
        Err(error) => Err(error),
    }
}

/// The key on record, read from the hub's Secret at most once in the validity of inputs; `None` if it cannot be read.
pub async fn recorded_key(context: &Context, memory: &Memory, endpoint: &InferenceEndpoint) -> Option<Redacted> {
    let (key, now) = (Key::of(endpoint), context.clock.now());
    if let Some(known) = memory.recorded_key(&key, now) {
        return Some(known);
    }
    let api: Api<HubSecret> = Api::namespaced(context.client.clone(), &endpoint.namespace().unwrap_or_default());
    let secret = call_opt("get secret", api.get(&names::hub_key_secret(endpoint))).await.ok()??;
    let known = existing_key(endpoint, &secret, names::is_issued_key).ok()?;
    memory.keep_recorded_key(&key, known.clone(), now + memory::resync_of(&key));
    Some(known)
}

/// The key in a Secret, if it is the endpoint's and has this form.
fn existing_key(endpoint: &InferenceEndpoint, secret: &HubSecret, form: fn(&str) -> bool) -> Result<Redacted, Missing> {
    let (namespace, name) = (&secret.namespace().unwrap_or_default(), &secret.name_any());
    if secret.labels().get(names::LABEL_ENDPOINT) != Some(&endpoint.name_any()) {
        return Err(Missing::new(reasons::NAME_CONFLICT, EndpointMessage::KeyNameTaken { namespace, name }));
    }
    let value = secret.data.as_ref().and_then(|data| data.get(names::API_KEY)).map(|value| value.0.clone());
    value.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|key| form(key)).map(Redacted::new).ok_or_else(|| {
        let message = EndpointMessage::KeyInvalid { namespace, name, field: names::API_KEY };
        Missing::new(reasons::SECRET_MISSING, message)
    })
}

fn key_secret(endpoint: &InferenceEndpoint, name: &str, value: &Redacted) -> HubSecret {
    HubSecret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: endpoint.namespace(),
            labels: Some(
                [
                    (names::LABEL_ENDPOINT.to_owned(), endpoint.name_any()),
                    (names::LABEL_DEPLOYMENT.to_owned(), endpoint.spec.deployment_ref.name.clone()),
                    (names::LABEL_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned()),
                ]
                .into(),
            ),
            owner_references: endpoint.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([(names::API_KEY.to_owned(), ByteString(value.expose().as_bytes().to_vec()))].into()),
        type_: Some("Opaque".to_owned()),
        ..HubSecret::default()
    }
}
