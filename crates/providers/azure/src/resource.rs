//! Parts that resources of Azure Resource Manager have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tags of a resource.
pub type ArmTags = BTreeMap<String, String>;

/// Times of a resource, in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemTimes {
    /// Creation.
    pub created_at: String,
    /// Latest change.
    #[serde(default)]
    pub last_modified_at: String,
}

/// SKU of a resource, with its capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmSku {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Capacity: instances or units.
    #[serde(default)]
    pub capacity: i32,
}
