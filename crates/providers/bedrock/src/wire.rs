//! Tags in inputs and outputs of the operations. Unknown fields of answers are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tags as a map.
pub type BedrockTags = BTreeMap<String, String>;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BedrockTag {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// The tags of a map, in its order.
#[must_use]
pub fn tag_list(tags: &BedrockTags) -> Vec<BedrockTag> {
    tags.iter().map(|(key, value)| BedrockTag { key: key.clone(), value: value.clone() }).collect()
}

/// A resource in an answer of the tagging service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaggedRow {
    /// ARN.
    #[serde(rename = "ResourceARN")]
    pub arn: String,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<ResourceTag>,
}

/// A tag there.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceTag {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(default)]
    pub value: String,
}
