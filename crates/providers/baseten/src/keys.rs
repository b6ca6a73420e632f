//! Keys of an endpoint: the service issues them for its model alone, and shows each once.

use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::RestClient;
use serde_json::json;

use crate::service::{self, TeamCalls};
use crate::wire::{ApiKeyView, ApiKeys, NewApiKey};

/// Keys of an endpoint that stay valid beside a new one: gateways use the former one until they know the new one.
const KEPT: usize = 1;

/// Issues a key for a model. Of the former keys of this endpoint the newest stays valid.
///
/// # Errors
/// The failure of a call.
pub async fn issue(client: &RestClient, team: &str, endpoint: &str, model: &str) -> Result<Redacted, ProviderError> {
    let former = of(client, endpoint).await?;
    let surplus = former.len().saturating_sub(KEPT);
    revoke(client, former.into_iter().take(surplus)).await?;
    let body = json!({"name": endpoint, "type": "WORKSPACE_INVOKE", "model_ids": [model]});
    let NewApiKey { api_key } = client.call(TeamCalls(team).create_key(&body)?).await?.json()?;
    Ok(Redacted::new(api_key))
}

/// Revokes every key of an endpoint that is gone.
///
/// # Errors
/// The failure of a call.
pub async fn revoke_all(client: &RestClient, endpoint: &str) -> Result<(), ProviderError> {
    revoke(client, of(client, endpoint).await?).await
}

/// The keys of an endpoint, oldest first.
async fn of(client: &RestClient, endpoint: &str) -> Result<Vec<ApiKeyView>, ProviderError> {
    let ApiKeys { keys } = client.call(service::keys()).await?.json()?;
    let mut keys: Vec<ApiKeyView> = keys.into_iter().filter(|key| key.name.as_deref() == Some(endpoint)).collect();
    keys.sort_by(|one, other| (&one.created_at, &one.prefix).cmp(&(&other.created_at, &other.prefix)));
    Ok(keys)
}

async fn revoke(client: &RestClient, keys: impl IntoIterator<Item = ApiKeyView>) -> Result<(), ProviderError> {
    for key in keys {
        match client.call(service::delete_key(&key.prefix)).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => return Err(failure.into()),
            _ => {}
        }
    }
    Ok(())
}
