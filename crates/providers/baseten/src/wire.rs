//! Bodies of the service, as far as the driver reads them.

use std::collections::BTreeMap;

use roadstead_model::Timestamp;
use serde::Deserialize;
use serde_json::{Number, Value};

/// A list of teams.
#[derive(Debug, Deserialize)]
pub struct Teams {
    pub teams: Vec<Team>,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Team {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub default: bool,
}

/// A list of models.
#[derive(Debug, Deserialize)]
pub struct Models {
    pub models: Vec<BasetenModel>,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BasetenModel {
    pub id: String,
    pub name: String,
    pub created_at: String,
    #[serde(default)]
    pub production_deployment_id: Option<String>,
    #[serde(default)]
    pub team_name: String,
}

impl BasetenModel {
    /// Time of its creation.
    pub fn created(&self) -> Timestamp {
        seconds(&self.created_at)
    }
}

/// A list of deployments.
#[derive(Debug, Deserialize)]
pub struct Deployments {
    pub deployments: Vec<DeploymentView>,
}

/// A deployment of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DeploymentView {
    pub id: String,
    pub created_at: String,
    pub is_production: bool,
    pub status: String,
    #[serde(default)]
    pub active_replica_count: u32,
    #[serde(default)]
    pub autoscaling_settings: Option<AutoscalingView>,
    #[serde(default)]
    pub labels: Option<BTreeMap<String, Value>>,
}

/// Replicas of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct AutoscalingView {
    pub min_replica: u32,
    pub max_replica: u32,
}

/// A state as far as something different is done in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentPhase {
    /// It builds, starts, or changes its replicas.
    Changing,
    /// All its replicas serve.
    Active,
    /// It has failed for good.
    Failed,
    /// It has no replicas until it is activated.
    Inactive,
    /// It has no replicas and wakes at a request.
    AtZero,
    /// A state that this driver does not know: nothing is concluded from it.
    Unknown,
}

impl DeploymentView {
    /// The state.
    pub fn phase(&self) -> DeploymentPhase {
        match self.status.as_str() {
            "BUILDING" | "DEPLOYING" | "LOADING_MODEL" | "UPDATING" | "WAKING_UP" | "UNHEALTHY" | "DEACTIVATING" => {
                DeploymentPhase::Changing
            }
            "ACTIVE" => DeploymentPhase::Active,
            "DEPLOY_FAILED" | "BUILD_FAILED" | "BUILD_STOPPED" | "FAILED" => DeploymentPhase::Failed,
            "INACTIVE" => DeploymentPhase::Inactive,
            "SCALED_TO_ZERO" => DeploymentPhase::AtZero,
            _ => DeploymentPhase::Unknown,
        }
    }
}

/// A created model with its first deployment.
#[derive(Debug, Deserialize)]
pub struct CreatedModel {
    pub model: BasetenModel,
}

/// Credentials for the upload of an archive.
#[derive(Deserialize)]
pub struct Prepared {
    pub creds: UploadKey,
    pub s3_bucket: String,
    pub s3_key: String,
    pub s3_region: String,
}

/// An AWS key for one object.
#[derive(Deserialize)]
pub struct UploadKey {
    #[serde(rename = "aws_access_key_id")]
    pub id: String,
    #[serde(rename = "aws_secret_access_key")]
    pub secret: String,
    #[serde(rename = "aws_session_token")]
    pub token: String,
}

/// The config of a deployment.
#[derive(Debug, Deserialize)]
pub struct ConfigView {
    #[serde(default)]
    pub config: Value,
}

/// Lines of a deployment's logs.
#[derive(Debug, Deserialize)]
pub struct Logs {
    pub logs: Vec<DeploymentLogLine>,
}

/// A line of logs; untrusted.
#[derive(Debug, Deserialize)]
pub struct DeploymentLogLine {
    pub message: String,
    #[serde(default)]
    pub level: Option<String>,
}

/// A list of prices.
#[derive(Debug, Deserialize)]
pub struct Prices {
    pub instance_types: Vec<PricedInstance>,
}

/// An instance type and its price.
#[derive(Debug, Deserialize)]
pub struct PricedInstance {
    pub instance_type: InstanceView,
    /// US dollars for a minute.
    #[serde(default)]
    pub price: Option<Number>,
}

/// An instance type.
#[derive(Debug, Deserialize)]
pub struct InstanceView {
    pub id: String,
}

/// A list of API keys.
#[derive(Debug, Deserialize)]
pub struct ApiKeys {
    pub keys: Vec<ApiKeyView>,
}

/// An API key without its value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ApiKeyView {
    pub prefix: String,
    #[serde(default)]
    pub name: Option<String>,
    pub created_at: String,
}

/// A new API key.
#[derive(Deserialize)]
pub struct NewApiKey {
    pub api_key: String,
}

/// A list of secrets.
#[derive(Debug, Deserialize)]
pub struct Secrets {
    pub secrets: Vec<SecretView>,
}

/// A secret without its value.
#[derive(Debug, Deserialize)]
pub struct SecretView {
    pub name: String,
    pub created_at: String,
}

/// Seconds of a time in RFC 3339; the beginning of time where it is none.
fn seconds(time: &str) -> Timestamp {
    let time: Option<k8s_openapi::jiff::Timestamp> = time.parse().ok();
    time.map_or(Timestamp::default(), |time| Timestamp(time.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_are_told_apart_and_unknown_ones_are_not_guessed() {
        let phase = |status: &str| -> DeploymentPhase {
            let view = json!({"id": "d", "created_at": "2026-12-01T00:00:00Z", "is_production": true, "status": status,
                              "active_replica_count": 0, "autoscaling_settings": null, "labels": null, "other": 1});
            serde_json::from_value::<DeploymentView>(view).unwrap().phase()
        };
        for (status, expected) in [
            ("BUILDING", DeploymentPhase::Changing),
            ("UNHEALTHY", DeploymentPhase::Changing),
            ("ACTIVE", DeploymentPhase::Active),
            ("BUILD_FAILED", DeploymentPhase::Failed),
            ("INACTIVE", DeploymentPhase::Inactive),
            ("SCALED_TO_ZERO", DeploymentPhase::AtZero),
            ("HIBERNATING", DeploymentPhase::Unknown),
        ] {
            assert_eq!(phase(status), expected, "{status}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_the_beginning_of_time() {
        assert_eq!(seconds("1970-01-01T00:00:07.5Z"), Timestamp(7));
        assert_eq!(seconds("yesterday"), Timestamp::default());
    }
}
