//! Names of the copies of tenants' Secrets on a member.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use roadstead_api::v1alpha1::limits;

use super::render;

/// Names the copies of tenants' Secrets, on the Secret of the API key.
pub const ANNOTATION_COPIES: &str = "roadstead.dev/copies";
/// As many Secrets as an endpoint can name: for its environment, its image and its model.
const MAX_COPIES: usize = (limits::ENV + limits::PULL_SECRETS + 1) as usize;

/// The copies that the key's Secret names. A member chooses no names: only such as copies have are taken, and no more
/// than an endpoint can have.
pub fn listed_copies(key: &Secret, endpoint: &str) -> Vec<String> {
    let listed = key.annotations().get(ANNOTATION_COPIES).map(String::as_str).unwrap_or_default();
    let copies = listed.split(',').filter(|name| render::is_copied_name(endpoint, name));
    copies.take(MAX_COPIES).map(ToOwned::to_owned).collect()
}
