//! The data plane: requests to endpoints, classic and in OpenAI's form.

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::rules;
use crate::cloud::Reply;
use crate::engines::{Container, Question, arguments_of};

/// A way into an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/invocations`, with Signature Version 4.
    Invocations(String),
    /// `/openai/v1/…`, with a bearer token: the endpoint and the path behind the prefix.
    OpenAi(String, String),
}

/// The route of a path.
pub fn route(path: &str) -> Option<Route> {
    let (endpoint, rest) = path.strip_prefix("/endpoints/")?.split_once('/')?;
    let endpoint = endpoint.to_owned();
    match rest {
        "invocations" | "invocations-response-stream" => Some(Route::Invocations(endpoint)),
        _ => Some(Route::OpenAi(endpoint, rest.strip_prefix("openai/v1/")?.to_owned())),
    }
}

/// The container of an endpoint, as the vLLM image reads its environment ([`rules::CONTAINER_ENVIRONMENT`]).
pub fn container(endpoint: &Endpoint) -> Container {
    let environment = endpoint.fleet.variants.first().map(|variant| variant.environment.clone()).unwrap_or_default();
    Container { arguments: arguments_of(&environment), environment }
}

/// The container's question for a classic request.
pub fn invocation(body: &Bytes) -> Question {
    let chat = serde_json::from_slice::<Value>(body).is_ok_and(|body| !body["messages"].is_null());
    let path = if chat { "/v1/chat/completions" } else { "/v1/completions" };
    question(path, body.clone())
}

/// The container's question for a chat in OpenAI's form; an empty model becomes the one that is served.
pub fn chat(body: &Bytes, container: &Container) -> Question {
    let filled = serde_json::from_slice::<Value>(body).ok().and_then(|mut body| {
        let absent = body["model"].as_str().is_none_or(str::is_empty);
        body.as_object_mut()?.insert("model".to_owned(), json!(container.model()?));
        absent.then(|| Bytes::from(body.to_string()))
    });
    question("/v1/chat/completions", filled.unwrap_or_else(|| body.clone()))
}

fn question(path: &str, body: Bytes) -> Question {
    Question { method: Method::POST, path: path.to_owned(), authorization: String::new(), body }
}

/// A refusal in OpenAI's envelope.
pub fn refused_openai(status: StatusCode, code: &str, message: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": code, "param": null, "code": code}});
    Reply::new(status, "application/json", body.to_string())
}

/// A refusal of the classic route.
pub fn refused(status: StatusCode, code: &str, message: &str) -> Reply {
    let body = json!({"Message": message}).to_string();
    Reply::new(status, "application/json", body).with("x-amzn-errortype", code)
}

/// The refusal where no endpoint of this name is in service.
pub fn not_in_service(route: &Route, account: &str) -> Reply {
    let (Route::Invocations(endpoint) | Route::OpenAi(endpoint, _)) = route;
    let message = format!("Endpoint {endpoint} of account {account} not found.");
    let reply = match route {
        Route::Invocations(_) => refused(StatusCode::BAD_REQUEST, "ValidationError", &message),
        Route::OpenAi(..) => refused_openai(StatusCode::BAD_REQUEST, "ValidationError", &message),
    };
    reply.by(&rules::NOT_IN_SERVICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_by_their_path() {
        assert_eq!(route("/endpoints/e/invocations"), Some(Route::Invocations("e".to_owned())));
        let chat = Route::OpenAi("e".to_owned(), "chat/completions".to_owned());
        assert_eq!(route("/endpoints/e/openai/v1/chat/completions"), Some(chat));
        assert_eq!(route("/endpoints/e"), None);
        assert_eq!(route("/"), None);
    }

    #[test]
    fn the_environment_becomes_flags() {
        let environment = [("SM_VLLM_MAX_MODEL_LEN", "4096"), ("SM_VLLM_ENFORCE_EAGER", "true"), ("HF_TOKEN", "t")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(arguments_of(&environment), ["--enforce-eager", "--max-model-len", "4096"]);
    }

    #[test]
    fn an_empty_model_becomes_the_served_one() {
        let container = Container { arguments: vec!["--model".into(), "m".into()], environment: [].into() };
        let body = |text: &str| chat(&Bytes::from(text.to_owned()), &container).body;
        assert_eq!(body(r#"{"model": ""}"#), r#"{"model":"m"}"#);
        assert_eq!(body(r#"{"model": "other"}"#), r#"{"model": "other"}"#);
    }
}
