//! New API keys, of endpoints and of callers.

use data_encoding::BASE64URL_NOPAD;

use super::error::ActError;
use roadstead_api::v1alpha1::names;
use roadstead_provider::Redacted;

/// Random bytes in an API key: 256 bits.
const KEY_BYTES: usize = 32;

/// A new random key.
///
/// # Errors
/// If the system gives no random bytes.
pub fn generate() -> Result<Redacted, ActError> {
    let mut bytes = [0_u8; KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ActError::Random(error.to_string()))?;
    Ok(Redacted::new(format!("{}{}", names::API_KEY_PREFIX, BASE64URL_NOPAD.encode(&bytes))))
}
