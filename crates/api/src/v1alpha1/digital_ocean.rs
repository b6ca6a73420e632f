//! `type: DigitalOcean`: Dedicated Inference of a team of `DigitalOcean` in one region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::SecretKeyRef;
use super::limits;

/// Scheme of models that the service loads.
const HUB: &str = "hf://";

/// Dedicated Inference of one team of `DigitalOcean`, in the target's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DigitalOceanTarget {
    /// UUID of the VPC network of the endpoints, in the target's region.
    #[serde(rename = "vpcUUID")]
    #[schemars(length(min = 36, max = 36), regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub vpc_uuid: String,
    /// Secret in the operator's namespace with an access token of the team.
    pub token_secret_ref: SecretKeyRef,
    /// Models that `DigitalOcean` knows by another name than the repository of their source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::HOSTED_MODELS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["source"])
    )]
    pub models: Vec<DigitalOceanModel>,
}

/// A model, and its name at `DigitalOcean`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DigitalOceanModel {
    /// Source of the model in deployments, as <hf://organisation/name>.
    #[schemars(length(min = 6, max = 512), regex(pattern = "^hf://[A-Za-z0-9][-A-Za-z0-9._/]*$"))]
    pub source: String,
    /// Name at `DigitalOcean`: the `model_slug` of its list of models.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9._:/]*[A-Za-z0-9])?$"))]
    pub slug: String,
}

impl DigitalOceanTarget {
    /// `DigitalOcean`'s name of the model with this source: that of `models`, else the repository; `None` where the source is not on the Hub.
    #[must_use]
    pub fn slug<'a>(&'a self, source: &'a str) -> Option<&'a str> {
        let named = self.models.iter().find(|model| model.source == source).map(|model| model.slug.as_str());
        named.or_else(|| source.strip_prefix(HUB))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_has_the_slug_of_its_repository_unless_the_target_names_another_one() {
        let target: DigitalOceanTarget = serde_json::from_value(json!({
            "vpcUUID": "v", "tokenSecretRef": {"name": "a", "key": "b"},
            "models": [{"source": "hf://org/big", "slug": "big-1"}],
        }))
        .unwrap();
        assert_eq!(target.slug("hf://org/big"), Some("big-1"));
        assert_eq!(target.slug("hf://org/small"), Some("org/small"));
        assert_eq!(target.slug("s3://bucket/small"), None);
    }
}
