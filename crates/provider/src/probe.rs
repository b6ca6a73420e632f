//! Asks an endpoint the way a client does: does it list the model to who has the key, and refuse who has not?
//!
//! Some engines guard what costs, and list their models to everybody: these are asked for a completion without the key.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::{ErrorClass, ProviderError, Redacted};
use crate::address::{Reach, connect};
use roadstead_runtime::text::bounded;

/// The longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are not read: what an endpoint returns is untrusted.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Nor are longer headers.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Models that a message names.
const MAX_NAMED: usize = 5;

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It lists the model with the key and refuses without.
    Healthy,
    /// It answers, but does not list the model.
    ModelNotListed {
        /// What it lists instead.
        message: String,
    },
    /// It answers whoever asks for a completion, without a key.
    NotProtected,
    /// It does not answer as it should.
    Unreachable {
        /// What happened.
        message: String,
    },
}

impl Answer {
    /// Whether it is as it should be.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<ModelEntry>,
}

#[derive(Deserialize)]
struct ModelEntry {
    id: String,
}

/// Asks the endpoint at `url`, if `reach` lets it, for `model`: once with its key and once without.
pub async fn ask(url: &str, api_key: &Redacted, model: &str, reach: Reach) -> Answer {
    ask_within(TIMEOUT, url, api_key, model, reach).await
}

async fn ask_within(limit: Duration, url: &str, api_key: &Redacted, model: &str, reach: Reach) -> Answer {
    match tokio::time::timeout(limit, question(url, api_key, model, reach)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Unreachable { message: error.message },
        Err(_) => Answer::Unreachable { message: format!("{url} did not answer within {} s", limit.as_secs()) },
    }
}

async fn question(url: &str, api_key: &Redacted, model: &str, reach: Reach) -> Result<Answer, ProviderError> {
    let (status, body) = ask_for(&MODELS, url, Some(api_key), reach).await?;
    if status != StatusCode::OK {
        let message = format!("{url}/v1/models answered {} with the key", status.as_u16());
        return Ok(Answer::Unreachable { message });
    }
    if let Err(message) = listed(&body, url, model) {
        return Ok(Answer::ModelNotListed { message: bounded(&api_key.conceal(&message)) });
    }
    let (status, _) = ask_for(&MODELS, url, None, reach).await?;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Answer::Healthy),
        status if status.is_success() => match ask_for(&COMPLETION, url, None, reach).await?.0 {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Answer::Healthy),
            _ => Ok(Answer::NotProtected),
        },
        status => {
            let message = format!("{url}/v1/models answered {} without the key, not 401", status.as_u16());
            Ok(Answer::Unreachable { message })
        }
    }
}

/// Whether `body`, the answer of the endpoint at `url`, lists `model`.
///
/// # Errors
/// What it lists instead, in a sentence.
pub fn listed(body: &[u8], url: &str, model: &str) -> Result<(), String> {
    let list: ModelList =
        serde_json::from_slice(body).map_err(|_| format!("{url}/v1/models is not a list of models"))?;
    if list.data.iter().any(|entry| entry.id == model) {
        return Ok(());
    }
    let named: Vec<&str> = list.data.iter().map(|entry| entry.id.as_str()).take(MAX_NAMED).collect();
    Err(format!("{url}/v1/models lists {:?}, not {model:?}", named.join(", ")))
}

/// What is asked of an endpoint.
struct Question {
    method: Method,
    path: &'static str,
    body: &'static str,
}

/// Which models are served.
const MODELS: Question = Question { method: Method::GET, path: "/v1/models", body: "" };
/// A completion of nothing: who has no key is refused before the body is looked at, and nobody is answered.
const COMPLETION: Question = Question { method: Method::POST, path: "/v1/chat/completions", body: "{}" };

/// Asks one question. Redirects are not followed.
async fn ask_for(
    question: &Question,
    url: &str,
    api_key: Option<&Redacted>,
    reach: Reach,
) -> Result<(StatusCode, Bytes), ProviderError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ProviderError::new(ErrorClass::Transient, format!("{url}: {what}: {error}"))
    };
    let uri: Uri = format!("{url}{}", question.path).parse().map_err(|error| failed("not a URL", &error))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let stream = connect(&host, port, reach).await.map_err(|error| failed("cannot connect", &error))?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed("cannot speak HTTP", &error))?;
    // Ends with this question, also where it is given up half-way.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut request = Request::builder()
        .method(&question.method)
        .uri(uri.path())
        .header(HOST, uri.authority().map_or_else(|| format!("{host}:{port}"), ToString::to_string))
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = api_key {
        request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
    }
    let request = request.body(Full::<Bytes>::from(question.body)).map_err(|error| failed("cannot ask", &error))?;
    let response = sender.send_request(request).await.map_err(|error| failed("no answer", &error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
    body.map(|body| (status, body.to_bytes())).map_err(|error| failed("cannot read the answer", &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::{get as on_get, post as on_post};

    type Answering = fn(HeaderMap) -> (StatusCode, String);

    async fn serve(answer: fn(HeaderMap) -> (StatusCode, String)) -> String {
        serve_with(answer, |_| (StatusCode::OK, String::new())).await
    }

    async fn serve_with(models: Answering, completions: Answering) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/v1/models", on_get(move |headers: HeaderMap| async move { models(headers) }))
            .route("/v1/chat/completions", on_post(move |headers: HeaderMap| async move { completions(headers) }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    async fn asked(answer: fn(HeaderMap) -> (StatusCode, String)) -> Answer {
        let url = serve(answer).await;
        question(&url, &Redacted::new("rs-key".to_owned()), "llama", address::anywhere).await.unwrap()
    }

    fn list(model: &str) -> String {
        format!("{{\"object\":\"list\",\"data\":[{{\"id\":\"{model}\"}}]}}")
    }

    fn guarded(headers: &HeaderMap, body: String) -> (StatusCode, String) {
        let right = headers.get("authorization").is_some_and(|value| value == "Bearer rs-key");
        if right { (StatusCode::OK, body) } else { (StatusCode::UNAUTHORIZED, String::new()) }
    }

    #[tokio::test]
    async fn healthy_is_listed_with_the_key_and_refused_without() {
        assert_eq!(asked(|headers| guarded(&headers, list("llama"))).await, Answer::Healthy);
    }

    #[tokio::test]
    async fn who_lists_models_to_everybody_must_refuse_completions_without_the_key() {
        let key = Redacted::new("rs-key".to_owned());
        let models: Answering = |_| (StatusCode::OK, list("llama"));
        let guarding: Answering = |headers| guarded(&headers, String::new());
        let open: Answering = |_| (StatusCode::BAD_REQUEST, "messages are missing".to_owned());
        let absent: Answering = |_| (StatusCode::NOT_FOUND, String::new());
        for (completions, expected) in
            [(guarding, Answer::Healthy), (open, Answer::NotProtected), (absent, Answer::NotProtected)]
        {
            let url = serve_with(models, completions).await;
            assert_eq!(question(&url, &key, "llama", address::anywhere).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn each_fault_has_its_answer() {
        assert_eq!(asked(|_| (StatusCode::OK, list("llama"))).await, Answer::NotProtected);
        let Answer::ModelNotListed { message } = asked(|headers| guarded(&headers, list("other"))).await else {
            panic!("the model is not listed");
        };
        assert!(message.contains("\"other\", not \"llama\""), "{message}");
        let answer = asked(|headers| guarded(&headers, "<html>".to_owned())).await;
        assert!(matches!(answer, Answer::ModelNotListed { .. }));
        let answer = asked(|_| (StatusCode::BAD_GATEWAY, String::new())).await;
        assert!(matches!(&answer, Answer::Unreachable { message } if message.contains("502")), "{answer:?}");
        let busy = |headers: HeaderMap| match guarded(&headers, list("llama")) {
            (StatusCode::UNAUTHORIZED, body) => (StatusCode::SERVICE_UNAVAILABLE, body),
            answer => answer,
        };
        let answer = asked(busy).await;
        assert!(matches!(&answer, Answer::Unreachable { message } if message.contains("503")), "{answer:?}");
        let url = serve(|headers| guarded(&headers, "x".repeat(2 * MAX_BODY_BYTES))).await;
        let error = question(&url, &Redacted::new("rs-key".to_owned()), "llama", address::anywhere).await.unwrap_err();
        assert!(error.message.contains("cannot read the answer"), "{error}");
    }

    /// A server that answers every connection with these bytes and then says nothing more.
    async fn say(bytes: Vec<u8>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await;
                open.push(stream);
            }
        });
        format!("http://{address}")
    }

    async fn failure(url: &str) -> String {
        question(url, &Redacted::new("rs-key".to_owned()), "llama", address::anywhere).await.unwrap_err().message
    }

    #[tokio::test]
    async fn the_operator_itself_and_metadata_services_are_not_asked() {
        let url = serve(|_| (StatusCode::OK, String::new())).await;
        for url in [url.clone(), url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), url.replace("127.0.0.1", "0x7f.1")] {
            let answer = ask(&url, &Redacted::new("rs-key".to_owned()), "llama", address::elsewhere).await;
            assert!(matches!(&answer, Answer::Unreachable { message } if message.contains("loopback")), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let url =
            say(b"HTTP/1.1 307 x\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let answer = question(&url, &Redacted::new("rs-key".to_owned()), "llama", address::anywhere).await.unwrap();
        assert_eq!(answer, Answer::Unreachable { message: format!("{url}/v1/models answered 307 with the key") });
    }

    #[tokio::test]
    async fn headers_without_end_are_not_read() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2 * MAX_HEADER_BYTES));
        assert!(failure(&say(long.into_bytes()).await).await.contains("no answer"));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1000));
        assert!(failure(&say(many.into_bytes()).await).await.contains("no answer"));
    }

    #[tokio::test]
    async fn an_answer_that_never_ends_is_given_up() {
        let key = Redacted::new("rs-key".to_owned());
        for begun in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"] {
            let url = say(begun.as_bytes().to_vec()).await;
            let answer = ask_within(Duration::from_millis(50), &url, &key, "llama", address::anywhere).await;
            assert!(matches!(&answer, Answer::Unreachable { message } if message.contains("within")), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn what_is_listed_is_told_in_one_bounded_line() {
        let answer = asked(|headers| {
            let names: Vec<String> = (0..100).map(|_| format!("{{\"id\":\"{}\\n\"}}", "é".repeat(1000))).collect();
            guarded(&headers, format!("{{\"data\":[{}]}}", names.join(",")))
        })
        .await;
        let Answer::ModelNotListed { message } = answer else { panic!("{answer:?}") };
        assert!(message.len() <= roadstead_runtime::text::MAX_BYTES && !message.contains('\n'), "{message}");
    }
}
