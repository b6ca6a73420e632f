//! Keys of an endpoint: the service issues tokens for its instance alone, and shows each once.

use roadstead_provider::{ProviderError, Redacted};

use crate::calls::DedicatedCalls;
use crate::wire::TokenView;

/// Name of the tokens that the driver issues.
const NAME: &str = "roadstead";
/// Tokens that stay valid beside a new one: gateways use the former one until they know the new one.
const KEPT: usize = 1;

/// Issues a token for an instance. Of the former ones the newest stays valid; those of other names are left alone.
///
/// # Errors
/// The failure of a call.
pub async fn issue(calls: &DedicatedCalls, instance: &str) -> Result<Redacted, ProviderError> {
    let mut ours: Vec<TokenView> = calls.tokens(instance).await?;
    ours.retain(|token| token.name == NAME);
    ours.sort_by(|one, other| (&one.created_at, &one.id).cmp(&(&other.created_at, &other.id)));
    let surplus = ours.len().saturating_sub(KEPT);
    for token in &ours[..surplus] {
        calls.delete_token(instance, token).await?;
    }
    calls.create_token(instance, NAME).await
}
