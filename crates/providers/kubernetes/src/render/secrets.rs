//! The Secret of an endpoint's API key, and copies of the tenant's Secrets that the endpoint names.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as MemberSecret;
use sha2::{Digest, Sha256};

use super::Identity;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Redacted, Secret};

/// Characters of the digest in the name of a copy.
const DIGEST_CHARS: usize = 10;

/// The Secret that holds the API key and owns everything else.
#[must_use]
pub fn key_secret(identity: &Identity<'_>, api_key: &Redacted) -> MemberSecret {
    let data = BTreeMap::from([(names::API_KEY.to_owned(), ByteString(api_key.expose().as_bytes().to_vec()))]);
    MemberSecret {
        metadata: identity.metadata(names::key_secret(&identity.name())),
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..MemberSecret::default()
    }
}

/// The name of the copy of the tenant's Secret `name` for the endpoint `endpoint`.
///
/// Names of Secrets may have 253 characters, so the copy's name holds a digest of it.
#[must_use]
pub fn copied_name(endpoint: &str, name: &str) -> String {
    let digest: String = HEXLOWER.encode(&Sha256::digest(name.as_bytes())).chars().take(DIGEST_CHARS).collect();
    format!("{endpoint}-{digest}")
}

/// True if `name` is one that [`copied_name`] gives to copies for `endpoint`.
#[must_use]
pub fn is_copied_name(endpoint: &str, name: &str) -> bool {
    let digest = name.strip_prefix(endpoint).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    digest.len() == DIGEST_CHARS && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A copy of one of the tenant's Secrets.
#[must_use]
pub fn copied_secret(identity: &Identity<'_>, name: &str, secret: &Secret) -> MemberSecret {
    MemberSecret {
        metadata: identity.metadata(copied_name(&identity.name(), name)),
        data: Some(secret.data.clone()),
        type_: Some(secret.kind.clone()),
        ..MemberSecret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_name() {
        assert!(is_copied_name("llama-1", &copied_name("llama-1", "hf-token")));
        for other in
            ["llama-1-key", "llama-2-0123456789", "llama-1-0123456789a", "llama-1-../../../x", "llama-10123456789", ""]
        {
            assert!(!is_copied_name("llama-1", other), "{other}");
        }
    }
}
