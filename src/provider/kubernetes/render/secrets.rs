//! The Secret of an endpoint's API key, and copies of the tenant's Secrets that the endpoint names.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as MemberSecret;
use sha2::{Digest, Sha256};

use super::Identity;
use crate::api::v1alpha1::names;
use crate::provider::{Redacted, Secret};

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
    let digest: String = HEXLOWER.encode(&Sha256::digest(name.as_bytes())).chars().take(10).collect();
    format!("{endpoint}-{digest}")
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
