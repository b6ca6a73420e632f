//! The hash that decides when pods change: only if their inputs change, never because Roadstead was upgraded.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::Secret;
use roadstead_api::v1alpha1::InferenceEndpointSpec;

/// The hash of the resolved pod fields and of the Secrets' values that reach the environment.
///
/// Absent fields are left out, so that a field which a later version adds changes no hash. Replicas, state, reasons,
/// UIDs, pull secrets and the API key do not count.
///
/// # Errors
/// If the template cannot be written as JSON, which would be a defect.
pub fn template_hash(
    spec: &InferenceEndpointSpec,
    secrets: &BTreeMap<String, Secret>,
) -> Result<String, serde_json::Error> {
    let mut hash = Sha256::new();
    // Accelerators are pod fields too; JSON maps are written in the order of their keys.
    for part in [serde_json::to_value(&spec.template)?, serde_json::to_value(&spec.accelerator)?] {
        hash.update(part.to_string().as_bytes());
        hash.update([0]);
    }
    let credentials = spec.template.model.credentials_secret_ref.as_ref().map(|reference| reference.name.as_str());
    for (key, value) in credentials.and_then(|name| secrets.get(name)).into_iter().flat_map(|secret| &secret.data) {
        field(&mut hash, key.as_bytes());
        field(&mut hash, &value.0);
    }
    for (name, key) in spec.secret_keys() {
        field(&mut hash, key.as_bytes());
        if let Some(value) = secrets.get(name).and_then(|secret| secret.data.get(key)) {
            field(&mut hash, &value.0);
        }
    }
    Ok(HEXLOWER.encode(&hash.finalize()))
}

fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(bytes.len().to_be_bytes());
    hash.update(bytes);
}

/// The first characters of a digest of texts, each with its length: another text has other ones.
#[must_use]
pub fn short_digest(parts: &[&str], chars: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    HEXLOWER.encode(&hash.finalize()).chars().take(chars).collect()
}

/// The digest of a rendered template's text.
#[must_use]
pub fn digest(rendered: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(rendered.as_bytes()))
}
