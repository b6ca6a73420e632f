//! Keys of endpoints and of callers, from the Secrets beside the deployment.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta};
use kube::{Resource, ResourceExt};
use roadstead_gateway::{Caller, Key as Text, Route};

use super::build::EndpointKeys;
use crate::controller::api_key;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::named_secrets::version_of;
use crate::controller::news::News;
use crate::controller::tell::tell;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names, reasons};
use roadstead_explain::DeploymentEvent;
use roadstead_runtime::cache::Key;
use roadstead_runtime::client::{call, call_opt};

/// Name of the caller whose key the operator makes.
const CALLER: &str = "default";
/// Callers of one deployment.
const MOST: usize = 256;
/// Characters of a caller's key.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=512;

/// Keys of the endpoints. A key never changes, so one that the former route has is not read again.
///
/// # Errors
/// [`ActError`] of a read.
pub async fn of_endpoints(
    context: &Context,
    endpoints: impl IntoIterator<Item = &InferenceEndpoint>,
    former: Option<&Route>,
) -> Result<EndpointKeys, ActError> {
    let mut keys: EndpointKeys = former
        .iter()
        .flat_map(|former| &former.endpoints)
        .filter_map(|endpoint| Some((endpoint.name.clone(), endpoint.credential.as_ref()?.key.clone())))
        .collect();
    for endpoint in endpoints {
        let has_key = endpoint.status.as_ref().is_some_and(|status| status.api_key_secret_name.is_some());
        if keys.contains_key(&endpoint.name_any()) || !has_key {
            continue;
        }
        let api: Api<Secret> = Api::namespaced(context.client.clone(), &endpoint.namespace().unwrap_or_default());
        let secret = call_opt("get secret", api.get(&names::hub_key_secret(endpoint))).await?;
        let key = secret.as_ref().and_then(|secret| text(secret.data.as_ref()?.get(names::API_KEY)?));
        keys.extend(key.map(|key| (endpoint.name_any(), Text::new(key))));
    }
    Ok(keys)
}

/// Callers of a deployment. Where the deployment names none, the operator makes one key.
///
/// # Errors
/// [`ActError`] of a read or the write.
pub async fn of_callers(context: &Context, deployment: &ModelDeployment) -> Result<Vec<Caller>, ActError> {
    let (key, name) = (Key::of(deployment), secret_of(deployment));
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &key.namespace);
    let mut secret = call_opt("get secret", api.get(&name)).await?;
    if secret.is_none() && deployment.spec.access.is_none() {
        secret = Some(match context.hub.create_secret(&new_secret(deployment, &name)?).await {
            Err(error) if error.is_conflict() => call("get secret", api.get(&name)).await?,
            made => made?,
        });
    }
    let version = secret.as_ref().and_then(version_of);
    context.caller_secrets.read(&key, [(name.clone(), version)].into(), context.clock.now());
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let (callers, refused) = callers(&data);
    if !refused.is_empty() {
        tracing::warn!(deployment = %key, ?refused, "Secret {name}: ignored entries that are not valid caller keys");
    }
    if callers.is_empty() {
        // A Secret is read once for each of its versions, so this is told once.
        let note = DeploymentEvent::NoCallers { namespace: &key.namespace, secret: &name }.to_string();
        tell(context, deployment, &News::new(reasons::NO_CALLERS, note));
    }
    Ok(callers)
}

/// Name of the Secret with the keys of a deployment's callers.
#[must_use]
pub fn secret_of(deployment: &ModelDeployment) -> String {
    let named = deployment.spec.access.as_ref().map(|access| access.keys_secret_ref.name.clone());
    named.unwrap_or_else(|| names::callers_secret(&deployment.name_any()))
}

/// The callers of a Secret, and the entries that are none: a key has 16 to 512 visible characters, and is one caller's
/// alone, because Envoy refuses a route with one key twice.
fn callers(data: &BTreeMap<String, ByteString>) -> (Vec<Caller>, Vec<String>) {
    let (mut seen, mut refused, mut callers) = (BTreeSet::new(), Vec::new(), Vec::new());
    for (name, value) in data {
        let key =
            text(value).filter(|key| LENGTH.contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        match key.filter(|key| callers.len() < MOST && seen.insert(key.clone())) {
            Some(key) => callers.push(Caller { name: name.clone(), key: Text::new(key) }),
            None => refused.push(name.clone()),
        }
    }
    (callers, refused)
}

fn text(value: &ByteString) -> Option<String> {
    String::from_utf8(value.0.clone()).ok().map(|text| text.trim().to_owned())
}

fn new_secret(deployment: &ModelDeployment, name: &str) -> Result<Secret, ActError> {
    let key = api_key::generate()?;
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: deployment.namespace(),
            labels: Some(
                [
                    (names::LABEL_DEPLOYMENT.to_owned(), deployment.name_any()),
                    (names::LABEL_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned()),
                ]
                .into(),
            ),
            owner_references: deployment.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([(CALLER.to_owned(), ByteString(key.expose().as_bytes().to_vec()))].into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        let entry = |(name, key): &(&str, &str)| ((*name).to_owned(), ByteString(key.as_bytes().to_vec()));
        entries.iter().map(entry).collect()
    }

    #[test]
    fn each_entry_is_a_caller_and_what_is_no_key_is_named() {
        let long = "k".repeat(16);
        let (callers, refused) = callers(&data(&[
            ("alice", &long),
            ("bob", &format!("{}\n", "b".repeat(20))),
            ("copy", &long),
            ("empty", ""),
            ("short", "secret"),
            ("spaced", "sixteen characters and spaces"),
        ]));
        let names: Vec<&str> = callers.iter().map(|caller| caller.name.as_str()).collect();
        assert_eq!(names, ["alice", "bob"]);
        assert_eq!(callers[1].key.expose(), "b".repeat(20), "a last line break is no part of the key");
        assert_eq!(refused, ["copy", "empty", "short", "spaced"]);
    }
}
