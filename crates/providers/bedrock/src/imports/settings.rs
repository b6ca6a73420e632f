//! Settings and abilities of imports.

use std::collections::BTreeSet;

use roadstead_api::v1alpha1::{ModelMirror, TargetType};
use roadstead_provider::Capabilities;

/// Role of the jobs, and the weights that they import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSettings {
    /// ARN of the role with which jobs read weights.
    pub role: String,
    /// Copies of weights in S3.
    pub mirrors: Vec<ModelMirror>,
}

/// Abilities of Bedrock: models whose weights have a copy in S3, in copies that it starts and ends itself. Another model is another
/// endpoint.
#[must_use]
pub fn import_capabilities(mirrors: &[ModelMirror]) -> Capabilities {
    Capabilities {
        engines: Some(BTreeSet::from(["vllm".to_owned()])),
        sources: Some(mirrors.iter().map(|mirror| mirror.source.clone()).collect()),
        max_replicas: Some(1),
        scale_to_zero: false,
        update_in_place: false,
        whole_instances: true,
        own_server: Some(TargetType::Bedrock.name()),
    }
}
