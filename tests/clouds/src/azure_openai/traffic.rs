//! The data plane of the account: requests name a deployment as their model.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{AccountDirectory, AzureOpenAi, rules};
use crate::azure::fault::{ArmFault, MEDIA};
use crate::cloud::{Call, Reply};
use crate::engines::{Container, Question};

/// Audiences of tokens for requests ([`rules::GUARDED`]).
const AUDIENCES: [&str; 2] = ["https://ai.azure.com", "https://cognitiveservices.azure.com"];

impl AzureOpenAi {
    /// Answers a request to a deployment, or lists models.
    pub(super) async fn traffic(&self, call: &Call, path: &str) -> Reply {
        let now = self.clock.millis();
        let (name, model) = {
            let mut directory = self.directory();
            directory.account.settle(now);
            if let Err(fault) = accepted(&directory, call) {
                return fault.reply();
            }
            if (&call.method, path) == (&Method::GET, "/v1/models") {
                return listed(&directory);
            }
            match deployed(&directory, call) {
                Ok(deployed) => deployed,
                Err(fault) => return fault.reply(),
            }
        };
        // The engine knows the model by its own name, as the service does ([`rules::MODEL_OF_ANSWER`]).
        let arguments = vec!["--model".to_owned(), model.clone(), "--served-model-name".to_owned(), model.clone()];
        let container = Container { arguments, environment: [].into() };
        let mut body = call.json().unwrap_or_default();
        body["model"] = json!(model);
        let question = Question {
            method: call.method.clone(),
            path: path.to_owned(),
            authorization: String::new(),
            body: body.to_string().into(),
        };
        self.engines.ask(&name, &container, question).await.by(&rules::MODEL_OF_ANSWER)
    }
}

/// Refuses a request without a key ([`rules::KEYS`]) or a token.
fn accepted(directory: &AccountDirectory, call: &Call) -> Result<(), ArmFault> {
    let AccountDirectory { settings, tokens, .. } = directory;
    let bearer = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let has_key = [call.header("api-key"), bearer].iter().any(|given| settings.keys.iter().any(|key| key == given));
    let has_token = || AUDIENCES.iter().any(|audience| tokens.accept(call, audience, settings.directory()).is_ok());
    if has_key || has_token() {
        return Ok(());
    }
    let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.";
    Err(ArmFault::new(401, "401", &rules::GUARDED, message))
}

/// Name and model of the deployment that a request names.
fn deployed(directory: &AccountDirectory, call: &Call) -> Result<(String, String), ArmFault> {
    let body = call.json().unwrap_or_default();
    let name = body["model"].as_str().unwrap_or_default();
    let model = directory.account.serving(name).ok_or_else(|| {
        let message = "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.";
        ArmFault::new(404, "DeploymentNotFound", &rules::DEPLOYMENT_NAME, message)
    })?;
    Ok((name.to_owned(), model))
}

/// Models of the account ([`rules::LISTED_MODELS`]).
fn listed(directory: &AccountDirectory) -> Reply {
    let models = directory.settings.models.iter();
    let data: Value = models
        .map(|model| {
            let id = format!("{}-{}", model.name, model.version);
            json!({"id": id, "object": "model", "created": 1_764_000_000, "owned_by": "system"})
        })
        .collect();
    let body = json!({"object": "list", "data": data});
    Reply::new(StatusCode::OK, MEDIA, body.to_string()).by(&rules::LISTED_MODELS)
}
