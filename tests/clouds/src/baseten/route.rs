//! Paths of the service.

use super::upload::BUCKET;
use crate::cloud::Call;

/// Something that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Teams,
    Prices,
    Prepare,
    /// An object of the store, by its key.
    Upload(String),
    Models,
    TeamModels(String),
    Create(String),
    Model(String),
    DeleteModel(String),
    Deployments(String),
    Deploy(String),
    DeleteDeployment(String, String),
    Scale(String, String),
    Activate(String, String),
    Deactivate(String, String),
    Config(String, String),
    Logs(String, String),
    Keys,
    CreateKey(String),
    DeleteKey(String),
    Secrets(String),
    UpsertSecret(String),
    DeleteSecret(String, String),
    /// A path of a model's server.
    Traffic(String, String),
    Unknown,
}

impl Asked {
    /// Name of the operation.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Prices => "prices",
            Self::Prepare => "prepare",
            Self::Upload(_) => "upload",
            Self::Models => "find",
            Self::TeamModels(_) => "list",
            Self::Create(_) => "create",
            Self::Model(_) => "get",
            Self::DeleteModel(_) => "delete",
            Self::Deployments(_) => "deployments",
            Self::Deploy(_) => "deploy",
            Self::DeleteDeployment(..) => "deleteDeployment",
            Self::Scale(..) => "scale",
            Self::Activate(..) => "activate",
            Self::Deactivate(..) => "deactivate",
            Self::Config(..) => "config",
            Self::Logs(..) => "logs",
            Self::Keys => "keys",
            Self::CreateKey(_) => "createKey",
            Self::DeleteKey(_) => "deleteKey",
            Self::Secrets(_) => "secrets",
            Self::UpsertSecret(_) => "upsertSecret",
            Self::DeleteSecret(..) => "deleteSecret",
            Self::Traffic(..) => "traffic",
            Self::Unknown => "unknown",
        }
    }
}

/// Reads the request.
pub fn asked(call: &Call) -> Asked {
    let text = |part: &&str| (*part).to_owned();
    let parts: Vec<&str> = call.path.split('/').skip(1).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["v1", "teams"]) => Asked::Teams,
        ("GET", ["v1", "instance_type_prices"]) => Asked::Prices,
        ("POST", ["v1", "prepare_model_upload"]) => Asked::Prepare,
        ("PUT", [bucket, key @ ..]) if *bucket == BUCKET => Asked::Upload(key.join("/")),
        ("GET", ["v1", "models"]) => Asked::Models,
        ("GET", ["v1", "teams", team, "models"]) => Asked::TeamModels(text(team)),
        ("POST", ["v1", "teams", team, "models"]) => Asked::Create(text(team)),
        ("GET", ["v1", "teams", team, "secrets"]) => Asked::Secrets(text(team)),
        ("POST", ["v1", "teams", team, "secrets"]) => Asked::UpsertSecret(text(team)),
        ("DELETE", ["v1", "teams", team, "secrets", name]) => Asked::DeleteSecret(text(team), text(name)),
        ("GET", ["v1", "api_keys"]) => Asked::Keys,
        ("POST", ["v1", "teams", team, "api_keys"]) => Asked::CreateKey(text(team)),
        ("DELETE", ["v1", "api_keys", prefix]) => Asked::DeleteKey(text(prefix)),
        ("GET", ["v1", "models", model]) => Asked::Model(text(model)),
        ("DELETE", ["v1", "models", model]) => Asked::DeleteModel(text(model)),
        ("GET", ["v1", "models", model, "deployments"]) => Asked::Deployments(text(model)),
        ("POST", ["v1", "models", model, "deployments"]) => Asked::Deploy(text(model)),
        (method, ["v1", "models", model, "deployments", id, rest @ ..]) => {
            of_deployment(method, text(model), text(id), rest)
        }
        (_, ["serve", model, "environments", "production", "sync", path @ ..]) => {
            Asked::Traffic(text(model), format!("/{}", path.join("/")))
        }
        _ => Asked::Unknown,
    }
}

fn of_deployment(method: &str, model: String, id: String, rest: &[&str]) -> Asked {
    match (method, rest) {
        ("DELETE", []) => Asked::DeleteDeployment(model, id),
        ("PATCH", ["autoscaling_settings"]) => Asked::Scale(model, id),
        ("POST", ["activate"]) => Asked::Activate(model, id),
        ("POST", ["deactivate"]) => Asked::Deactivate(model, id),
        ("GET", ["config"]) => Asked::Config(model, id),
        ("GET", ["logs"]) => Asked::Logs(model, id),
        _ => Asked::Unknown,
    }
}
