//! Form of an endpoint in both ways to serve: its names, its tags, and the digest of what has an effect here. Pure.

use kube::ResourceExt;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::{short_digest, template_hash};
use roadstead_provider::{ErrorClass, ProviderError, Wanted, record};

use crate::ownership;
use crate::wire::BedrockTags;

/// Characters of the form's digest: 64 bits.
const DIGEST_CHARS: usize = 16;

/// The part of a wanted form that both ways to serve share.
#[derive(Debug, Clone, PartialEq)]
pub struct CommonForm {
    /// Name of the endpoint and of what serves it.
    pub name: String,
    /// Name of the model in requests.
    pub model_name: String,
    /// Source of the weights.
    pub source: String,
    /// Owner, and part in the plan.
    pub owner: EndpointTags,
    /// All tags.
    pub tags: BedrockTags,
    /// Hash of the template.
    pub template_hash: String,
    /// Digest of what has an effect here.
    pub digest: String,
}

impl CommonForm {
    /// The common part of `wanted`, for an installation and the hub that writes the tags. `effective` is what has an effect here:
    /// nothing else of a deployment does, such as a rotated Secret.
    ///
    /// # Errors
    /// `Bug` if it cannot be written.
    pub fn of(install_id: &str, hub: &str, wanted: &Wanted, effective: &[&str]) -> Result<Self, ProviderError> {
        let endpoint = wanted.endpoint.as_ref();
        let spec = &endpoint.spec;
        let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
        let template_hash = template_hash(spec, &wanted.secrets).map_err(bug)?;
        let record = record::record(spec).map_err(bug)?;
        let digest = short_digest(effective, DIGEST_CHARS);
        Ok(Self {
            name: endpoint.name_any(),
            model_name: spec.model_name().to_owned(),
            source: source(endpoint),
            owner: EndpointTags::of(install_id, endpoint),
            tags: ownership::tags(install_id, endpoint, &digest, record.as_deref(), wanted.api_key.expose(), hub),
            template_hash,
            digest,
        })
    }

    /// True if something with these tags has those of this form.
    #[must_use]
    pub fn is_in(&self, tags: &BedrockTags) -> bool {
        self.tags.iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}

/// Source of an endpoint's weights.
#[must_use]
pub fn source(endpoint: &InferenceEndpoint) -> String {
    endpoint.spec.template.model.source.clone().unwrap_or_default()
}
