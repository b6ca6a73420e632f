//! Secrets of a deployment: each is one of the team, named after the endpoint.

use std::collections::BTreeMap;

use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::RestClient;
use serde_json::json;

use crate::service::TeamCalls;
use crate::wire::Secrets;

/// Name of the secret with a variable of an endpoint.
pub fn name(endpoint: &str, variable: &str) -> String {
    format!("{endpoint}-{variable}")
}

/// Writes the secrets of an endpoint.
///
/// # Errors
/// The failure of a call.
pub async fn keep(client: &RestClient, team: &str, secrets: &BTreeMap<String, String>) -> Result<(), ProviderError> {
    for (name, value) in secrets {
        let call = TeamCalls(team).upsert_secret(&json!({"name": name, "value": value}))?;
        // The service may repeat the value in its refusal.
        client.call(call).await.map_err(|failure| {
            let mut error: ProviderError = failure.into();
            error.message = error.message.replace(value.as_str(), "…");
            error
        })?;
    }
    Ok(())
}

/// Deletes the secrets of an endpoint that is gone.
///
/// # Errors
/// The failure of a call.
pub async fn empty(client: &RestClient, team: &str, endpoint: &str) -> Result<(), ProviderError> {
    let Secrets { secrets } = client.call(TeamCalls(team).secrets()).await?.json()?;
    let prefix = name(endpoint, "");
    for secret in secrets.iter().filter(|secret| secret.name.starts_with(&prefix)) {
        match client.call(TeamCalls(team).delete_secret(&secret.name)).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => return Err(failure.into()),
            _ => {}
        }
    }
    Ok(())
}
