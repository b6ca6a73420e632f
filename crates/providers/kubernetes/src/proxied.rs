//! Asks an endpoint through the API server of its member.
//!
//! The API server takes the header `Authorization` as its own and passes none on, so an endpoint's key cannot travel on this
//! way. The endpoint is asked for its health, and for its models without a key, which it refuses if it is protected
//! (docs/adr/0063-probes-through-an-api-server.md).

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use roadstead_provider::probe::{Probe, ProbeAnswer, WithoutKey, listed};
use roadstead_runtime::text::bounded;
use serde::Deserialize;

use super::render::PORT_NAME;

/// The longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are not read.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Path of the models.
const MODELS: &str = "/v1/models";

/// Path at the API server under which it passes requests on to an endpoint.
pub fn path(namespace: &str, endpoint: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services/{endpoint}:{PORT_NAME}/proxy")
}

/// Asks the endpoint behind `path` for its health, and for its models without a key.
pub async fn ask(client: &Client, path: &str, health: &str, probe: &Probe) -> ProbeAnswer {
    match tokio::time::timeout(TIMEOUT, questions(client, path, health, probe)).await {
        Ok(Ok(answer) | Err(answer)) => answer,
        Err(_) => ProbeAnswer::Unreachable {
            message: format!("no answer through the API server of the target within {} s", TIMEOUT.as_secs()),
        },
    }
}

/// The two questions; the first answer that decides ends them.
async fn questions(client: &Client, path: &str, health: &str, probe: &Probe) -> Result<ProbeAnswer, ProbeAnswer> {
    let unexpected = |path: &str, status: StatusCode, why: &str| ProbeAnswer::Unexpected {
        message: format!("{path} answered {} through the API server of the target{why}", status.as_u16()),
    };
    let (status, _) = get(client, path, health).await?;
    if !status.is_success() {
        return Ok(unexpected(health, status, ""));
    }
    let (status, body) = get(client, path, MODELS).await?;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(ProbeAnswer::Healthy),
        StatusCode::OK => Ok(match listed(&body, "/v1", &probe.model) {
            Err(message) => ProbeAnswer::ModelNotListed { message: bounded(&message) },
            Ok(()) if probe.without_key == WithoutKey::IsRefused => ProbeAnswer::NotProtected,
            Ok(()) => ProbeAnswer::Healthy,
        }),
        status => Ok(unexpected(MODELS, status, " without a key, not 401")),
    }
}

/// One answer of the endpoint.
///
/// # Errors
/// The meaning of its absence.
async fn get(client: &Client, path: &str, asked: &str) -> Result<(StatusCode, Bytes), ProbeAnswer> {
    let unreachable = |error: &dyn std::fmt::Display| ProbeAnswer::Unreachable {
        message: bounded(&format!("{asked} through the API server of the target: {error}")),
    };
    let request = Request::get(format!("{path}{asked}")).body(Body::empty()).map_err(|error| unreachable(&error))?;
    let response = client.send(request).await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
    let body = body.map_err(|error| unreachable(&error))?.to_bytes();
    match own_word(status, &body) {
        Some(answer) => Err(answer),
        None => Ok((status, body)),
    }
}

/// The fields of a `Status` that tell an answer of the API server itself from one of an endpoint.
#[derive(Deserialize)]
struct OwnStatus {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: String,
    #[serde(default)]
    message: String,
}

/// Meaning of an answer of the API server itself, if it passed nothing on; `None` for the endpoint's own answer.
fn own_word(status: StatusCode, body: &[u8]) -> Option<ProbeAnswer> {
    if status.is_success() {
        return None;
    }
    let own: OwnStatus = serde_json::from_slice(body).ok()?;
    if own.kind != "Status" || own.api_version != "v1" {
        return None;
    }
    Some(match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ProbeAnswer::NotPermitted {
            message:
                "the target does not let the operator ask Services through its API server (get services/proxy in the \
                      target's namespace): apply deploy/member-proxy.yaml there"
                    .to_owned(),
        },
        _ => ProbeAnswer::Unreachable {
            message: bounded(&format!("the API server of the target cannot reach the endpoint: {}", own.message)),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::routing::get as on_get;
    use kube::Config;
    use roadstead_provider::Redacted;
    use roadstead_runtime::client::client;

    use super::*;

    fn probe() -> Probe {
        Probe::of_engine("http://x.roadstead.svc:8000", Redacted::new("rs-key".to_owned()), "llama")
    }

    fn own(code: u16, message: &str) -> (StatusCode, String) {
        let status = StatusCode::from_u16(code).unwrap();
        (
            status,
            format!(r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","code":{code}}}"#),
        )
    }

    fn list(model: &str) -> String {
        format!(r#"{{"object":"list","data":[{{"id":"{model}"}}]}}"#)
    }

    async fn asked(health: (StatusCode, String), models: (StatusCode, String), probe: &Probe) -> ProbeAnswer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let root = path("roadstead", "llama-x");
        assert_eq!(root, "/api/v1/namespaces/roadstead/services/llama-x:http/proxy");
        let app = Router::new()
            .route(&format!("{root}/health"), on_get(move || async move { health }))
            .route(&format!("{root}/v1/models"), on_get(move || async move { models }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let client = client(Config::new(server.parse().unwrap()), Arc::new(|| true)).unwrap();
        ask(&client, &root, "/health", probe).await
    }

    fn ok() -> (StatusCode, String) {
        (StatusCode::OK, String::new())
    }

    #[tokio::test]
    async fn healthy_is_an_endpoint_whose_health_is_good_and_which_refuses_its_models_without_a_key() {
        for refusal in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            assert_eq!(asked(ok(), (refusal, "no".to_owned()), &probe()).await, ProbeAnswer::Healthy);
        }
        assert_eq!(asked(ok(), (StatusCode::OK, list("llama")), &probe()).await, ProbeAnswer::NotProtected);
        let open = Probe { without_key: WithoutKey::IsNotTried, ..probe() };
        assert_eq!(asked(ok(), (StatusCode::OK, list("llama")), &open).await, ProbeAnswer::Healthy);
        let other = asked(ok(), (StatusCode::OK, list("other")), &open).await;
        assert!(matches!(&other, ProbeAnswer::ModelNotListed { message } if message.contains("other")), "{other:?}");
    }

    #[tokio::test]
    async fn an_endpoint_that_answers_otherwise_is_not_healthy() {
        let sick = asked((StatusCode::SERVICE_UNAVAILABLE, "loading".to_owned()), ok(), &probe()).await;
        assert!(
            matches!(&sick, ProbeAnswer::Unexpected { message } if message.contains("/health answered 503")),
            "{sick:?}"
        );
        let lost = asked(ok(), (StatusCode::NOT_FOUND, String::new()), &probe()).await;
        assert!(matches!(&lost, ProbeAnswer::Unexpected { message } if message.contains("404")), "{lost:?}");
    }

    #[tokio::test]
    async fn what_the_api_server_says_itself_is_not_taken_for_an_answer_of_the_endpoint() {
        let gone = asked(own(503, "no endpoints available for service"), ok(), &probe()).await;
        assert!(matches!(&gone, ProbeAnswer::Unreachable { message } if message.contains("no endpoints")), "{gone:?}");
        for code in [401, 403] {
            let refused = asked(own(code, "forbidden"), ok(), &probe()).await;
            assert!(
                matches!(&refused, ProbeAnswer::NotPermitted { message } if message.contains("services/proxy")),
                "{refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_is_not_there_is_unreachable() {
        let client = client(Config::new("http://127.0.0.1:1".parse().unwrap()), Arc::new(|| true)).unwrap();
        let answer = ask(&client, &path("roadstead", "x"), "/health", &probe()).await;
        assert!(matches!(&answer, ProbeAnswer::Unreachable { .. }), "{answer:?}");
    }
}
