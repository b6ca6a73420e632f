//! Tokens of services from Secrets.

use roadstead_api::v1alpha1::{SecretKeyRef, reasons};
use roadstead_explain::TargetMessage;
use roadstead_provider::Redacted;
use roadstead_runtime::cache::Key;

use super::ConnectError;
use crate::controller::context::Context;

/// The longest token that is taken from a Secret.
const MAX_TOKEN_BYTES: usize = 1024;

/// The token of a service from a Secret in the operator's namespace.
///
/// # Errors
/// [`ConnectError`] where the Secret or the key is missing, or the value cannot be a token.
pub fn token(context: &Context, SecretKeyRef { name, key }: &SecretKeyRef) -> Result<Redacted, ConnectError> {
    let namespace = &context.settings.namespace;
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
