//! Endpoints as the service shows them.

use std::collections::BTreeMap;

use roadstead_provider::tags::EndpointTags;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Variable with the owner of an endpoint and its part in the plan, in JSON.
pub const OWNER: &str = "ROADSTEAD_OWNER";
/// Begin of the tag with the UID of the hub.
const HUB_TAG: &str = "roadstead-hub-";
/// Variable with the record of the form that was asked for.
pub const RECORD: &str = "ROADSTEAD_RECORD";
/// Variable with the hash of the template.
pub const TEMPLATE: &str = "ROADSTEAD_TEMPLATE_HASH";
/// Variable with the digest of the endpoint's key.
pub const KEY_DIGEST: &str = "ROADSTEAD_KEY_DIGEST";
/// Variable with the sealed key.
pub const SEALED_KEY: &str = "ROADSTEAD_SEALED_KEY";

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HubView {
    /// Name, unique in the namespace.
    pub name: String,
    /// Cloud and region.
    pub provider: HubProvider,
    /// Hardware and replicas.
    pub compute: HubCompute,
    /// Model and container.
    pub model: HubModel,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// State.
    pub status: HubStatus,
}

/// Cloud and region of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HubProvider {
    /// Cloud, such as `aws`.
    pub vendor: String,
    /// Region of that cloud.
    pub region: String,
}

/// Hardware and replicas of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubCompute {
    /// `gpu`, `neuron` or `cpu`.
    pub accelerator: String,
    /// Such as `nvidia-l4`.
    pub instance_type: String,
    /// Such as `x1`.
    pub instance_size: String,
    /// Replicas.
    pub scaling: HubScaling,
}

/// Replicas of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubScaling {
    /// Fewest replicas.
    pub min_replica: u32,
    /// Most replicas.
    pub max_replica: u32,
}

/// Model and container of an endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HubModel {
    /// Repository on the Hub.
    pub repository: String,
    /// Its revision.
    #[serde(default)]
    pub revision: Option<String>,
    /// The image, by its variant.
    #[serde(default)]
    pub image: BTreeMap<String, Value>,
    /// Plain variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Arguments.
    #[serde(default)]
    pub args: Vec<String>,
}

/// State of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubStatus {
    /// The state's name.
    pub state: String,
    /// A text; untrusted.
    #[serde(default)]
    pub message: Option<String>,
    /// Address, once it runs.
    #[serde(default)]
    pub url: Option<String>,
    /// Creation, in RFC 3339.
    pub created_at: String,
    /// Replicas that answer.
    #[serde(default)]
    pub ready_replica: u32,
    /// Replicas that it should have.
    #[serde(default)]
    pub target_replica: u32,
}

/// A state as far as something different is done in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubState {
    /// It starts or is updated.
    Changing,
    /// It runs.
    Running,
    /// It has stopped for good, or its update has failed.
    Failed,
    /// It has no replicas and does not wake by itself.
    Paused,
    /// It has no replicas and wakes at a request.
    Zero,
    /// A state that this driver does not know: nothing is concluded from it.
    Unknown,
}

/// Tags of an endpoint of the hub `hub_uid`. Unlike variables, they change without a restart of its container.
#[must_use]
pub fn tags(hub_uid: &str) -> Vec<String> {
    vec!["roadstead".to_owned(), format!("{HUB_TAG}{hub_uid}")]
}

impl HubView {
    /// Owner and part in the plan; `None` where the endpoint is none of Roadstead.
    #[must_use]
    pub fn owner(&self) -> Option<EndpointTags> {
        serde_json::from_str(self.model.env.get(OWNER)?).ok()
    }

    /// UID of the hub that made it or took it over; empty where no tag says it.
    #[must_use]
    pub fn hub(&self) -> &str {
        self.tags.iter().find_map(|tag| tag.strip_prefix(HUB_TAG)).unwrap_or_default()
    }

    /// Identity of exactly this endpoint, which one of the same name that is made later does not have.
    #[must_use]
    pub fn uid(&self) -> String {
        self.status.created_at.chars().filter(char::is_ascii_alphanumeric).collect()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> HubState {
        match self.status.state.as_str() {
            "pending" | "initializing" | "updating" => HubState::Changing,
            "running" => HubState::Running,
            "failed" | "updateFailed" => HubState::Failed,
            "paused" => HubState::Paused,
            "scaledToZero" => HubState::Zero,
            _ => HubState::Unknown,
        }
    }

    /// A variable of its container.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.model.env.get(name).map(String::as_str)
    }

    /// URL of its image.
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        self.model.image.values().find_map(|variant| variant["url"].as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_are_told_apart_and_unknown_ones_are_not_guessed() {
        let view = |state: &str| -> HubView {
            serde_json::from_value(json!({
                "name": "e", "type": "public", "other": 1,
                "compute": {"accelerator": "gpu", "instanceType": "nvidia-l4", "instanceSize": "x1",
                            "scaling": {"minReplica": 1, "maxReplica": 1, "scaleToZeroTimeout": null}},
                "model": {"repository": "org/m", "revision": null, "image": {"vLLM": {"url": "vllm"}}},
                "provider": {"vendor": "aws", "region": "us-east-1"},
                "status": {"state": state, "message": "", "createdAt": "2026-12-01T01:02:03.004Z"},
            }))
            .unwrap()
        };
        for (state, expected) in [
            ("pending", HubState::Changing),
            ("running", HubState::Running),
            ("scaledToZero", HubState::Zero),
            ("paused", HubState::Paused),
            ("updateFailed", HubState::Failed),
            ("hibernating", HubState::Unknown),
        ] {
            assert_eq!(view(state).state(), expected, "{state}");
        }
        let view = view("running");
        assert_eq!((view.uid().as_str(), view.image()), ("20261201T010203004Z", Some("vllm")));
        assert!(view.owner().is_none());
        let tagged = HubView { tags: tags("0f8f"), ..view.clone() };
        assert_eq!((view.hub(), tagged.hub()), ("", "0f8f"));
    }
}
