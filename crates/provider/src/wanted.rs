//! The endpoint that a driver is asked to create, and the protection of its secrets in every text about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use roadstead_api::planning::instance_of_record;
use roadstead_api::v1alpha1::{EndpointInstance, ExternalId, InferenceEndpoint, ServingTarget};
use roadstead_runtime::text::{REDACTED, bounded};

use crate::{ErrorClass, ProviderError};

/// Shorter values are words rather than secrets; taking them out would make messages unreadable.
const MIN_SECRET_CHARS: usize = 6;
/// Under which keys a registry's credentials hold secrets.
const REGISTRY_SECRETS: [&str; 4] = ["auth", "password", "identitytoken", "registrytoken"];

/// An API key or another value that must never be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    /// Wraps `value`.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Removes the value from a text of somebody who knows it.
    #[must_use]
    pub fn conceal(&self, text: &str) -> String {
        without(text, &self.0)
    }
}

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The data of one Secret that a deployment names, by key.
pub type SecretData = BTreeMap<String, k8s_openapi::ByteString>;

/// A tenant's Secret, as read for copying.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its Kubernetes type, such as `Opaque`.
    pub kind: String,
    /// Its data.
    pub data: SecretData,
}

/// Everything a driver needs to make an endpoint what it should be.
#[derive(Clone)]
pub struct Wanted {
    /// The record of the decision.
    pub endpoint: Arc<InferenceEndpoint>,
    /// The target as it is declared now.
    pub target: Arc<ServingTarget>,
    /// The endpoint's own API key; empty where its place issues it and has not yet.
    pub api_key: Redacted,
    /// The tenant's Secrets that the endpoint's template names, by Secret name.
    pub secrets: Arc<BTreeMap<String, Secret>>,
}

impl Wanted {
    /// The same, with what identifies the endpoint at its place on record.
    #[must_use]
    pub fn made_as(&self, id: &ExternalId) -> Self {
        let mut endpoint = self.endpoint.as_ref().clone();
        endpoint.status.get_or_insert_default().external_id = Some(id.clone());
        Self { endpoint: Arc::new(endpoint), ..self.clone() }
    }

    /// True if the endpoint has answered once.
    #[must_use]
    pub fn has_served(&self) -> bool {
        self.endpoint.status.as_ref().is_some_and(|status| status.first_ready_time.is_some())
    }

    /// Instance of one replica, as the endpoint's record has it: an edit of the target changes nothing that runs.
    ///
    /// # Errors
    /// `Refused` where an older release wrote the record, without an instance, and the target has lost the offer since.
    pub fn instance(&self) -> Result<EndpointInstance, ProviderError> {
        let spec = &self.endpoint.spec;
        let known = spec.instance.clone().or_else(|| instance_of_record(&self.target, &spec.offer));
        known.ok_or_else(|| {
            let message = format!(
                "the endpoint's record names no instance type, and target {} has lost offer {}: add the offer again",
                spec.target, spec.offer
            );
            ProviderError::new(ErrorClass::Refused, message)
        })
    }

    /// Takes the endpoint's key and the values of its Secrets out of a text, and bounds it.
    #[must_use]
    pub fn conceal(&self, text: &str) -> String {
        let mut text = self.api_key.conceal(text);
        for value in self.secrets.values().flat_map(|secret| secret.data.values()) {
            let Ok(value) = std::str::from_utf8(&value.0) else { continue };
            text = without(&text, value.trim());
            if let Ok(registries) = serde_json::from_str::<Value>(value) {
                text = without_leaves(text, &registries);
            }
        }
        bounded(&text)
    }
}

fn without(text: &str, secret: &str) -> String {
    if secret.chars().count() < MIN_SECRET_CHARS {
        return text.to_owned();
    }
    let text = text.replace(secret, REDACTED);
    // A text that was cut may end within the secret.
    let Some(cut) = text.strip_suffix('…') else { return text };
    let starts = secret.char_indices().map(|(at, _)| at).skip(MIN_SECRET_CHARS);
    let within = starts.filter_map(|at| secret.get(..at)).filter_map(|start| cut.strip_suffix(start)).last();
    within.map_or(text.clone(), |rest| format!("{rest}{REDACTED}"))
}

/// Takes out the secrets inside a registry's credentials.
fn without_leaves(text: String, value: &Value) -> String {
    match value {
        Value::Object(fields) => fields.iter().fold(text, |text, (key, value)| match value {
            Value::String(secret) if REGISTRY_SECRETS.contains(&key.as_str()) => without(&text, secret),
            inner => without_leaves(text, inner),
        }),
        Value::Array(values) => values.iter().fold(text, without_leaves),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted() -> Wanted {
        let secret = |data: &Value| -> Secret {
            let data = data.as_object().unwrap().iter();
            let bytes = |value: &Value| k8s_openapi::ByteString(value.as_str().unwrap().as_bytes().to_vec());
            Secret { kind: "Opaque".to_owned(), data: data.map(|(key, value)| (key.clone(), bytes(value))).collect() }
        };
        let registry = json!({"auths": {"registry.example.com": {"username": "robot", "password": "pull-canary"}}});
        let secrets = [
            ("env".to_owned(), secret(&json!({"TOKEN": "env-canary\n", "MODE": "fast"}))),
            ("pull".to_owned(), secret(&json!({".dockerconfigjson": registry.to_string()}))),
        ];
        let object =
            |spec: Value| json!({"apiVersion": "roadstead.dev/v1alpha1", "metadata": {"name": "a"}, "spec": spec});
        let mut target = object(json!({"cloud": "aws", "region": "eu-west-1", "type": "Kubernetes", "offers": []}));
        target["kind"] = json!("ServingTarget");
        let mut endpoint = object(json!({
            "deploymentRef": {"name": "a", "uid": "u"}, "target": "t", "cloud": "aws", "region": "eu-west-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {
                "engine": "vllm", "image": "i", "port": 8000, "model": {"name": "a"}, "startupTimeoutSeconds": 60,
                "drainTimeoutSeconds": 1, "nodes": {},
            },
        }));
        endpoint["kind"] = json!("InferenceEndpoint");
        Wanted {
            endpoint: Arc::new(serde_json::from_value(endpoint).unwrap()),
            target: Arc::new(serde_json::from_value(target).unwrap()),
            api_key: Redacted::new("key-canary".to_owned()),
            secrets: Arc::new(secrets.into()),
        }
    }

    #[test]
    fn no_secret_of_the_endpoint_comes_back_in_a_text() {
        let text = "key-canary, env-canary and pull-canary were refused by registry.example.com in fast mode";
        assert_eq!(
            wanted().conceal(text),
            "[redacted], [redacted] and [redacted] were refused by registry.example.com in fast mode"
        );
    }

    #[test]
    fn a_text_that_was_cut_within_a_secret_does_not_show_its_start() {
        assert_eq!(wanted().conceal("refused env-canar…"), "refused [redacted]");
        assert_eq!(wanted().conceal("refused en…"), "refused en…");
    }

    #[test]
    fn a_redacted_value_is_not_printed() {
        assert_eq!(format!("{:?}", wanted().api_key), "[redacted]");
    }
}
