//! Sends requests as a client does: an endpoint must answer those with the key and refuse those without it.
//!
//! A driver describes how its endpoints are asked; only this module sends them. Some engines protect
//! completions and list their models to everybody: these are asked for a completion without the key.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::address::Reach;
use crate::stream::open;
use crate::{ErrorClass, ProviderError, Redacted};
use roadstead_runtime::text::bounded;

/// The longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are not read: what an endpoint returns is untrusted.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Nor are longer headers.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Models that a message names.
const MAX_NAMED: usize = 5;

/// The way to ask one endpoint whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Scheme, host and port with the path before `/models`, such as `http://10.0.0.7:8000/v1`.
    pub base: String,
    /// Headers of every request beside the credential.
    pub headers: Vec<(String, String)>,
    /// The credential of whoever may ask.
    pub credential: Credential,
    /// The value of `model` in requests.
    pub model: String,
    /// The question that shows whether it answers.
    pub question: ProbeQuestion,
    /// Expected answer to a request without the credential.
    pub without_key: WithoutKey,
    /// Certificates, in PEM, of the authorities that vouch for an https address; empty: those of the system.
    pub authorities: String,
    /// The way to it.
    pub way: ProbeWay,
}

/// The way on which a probe reaches an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeWay {
    /// Its address.
    Address,
    /// The API server of its place, which only the driver can ask.
    ApiServer {
        /// Path at the API server under which it passes requests on to the endpoint.
        path: String,
        /// Path at the endpoint that answers 200 without a key while it can serve.
        health: String,
    },
    /// None: the gateways ask it.
    Gateways,
}

impl Probe {
    /// The probe of an engine that answers under `/v1` at `url`, guarded by its own key.
    #[must_use]
    pub fn of_engine(url: &str, key: Redacted, model: &str) -> Self {
        Self {
            base: format!("{url}/v1"),
            headers: Vec::new(),
            credential: Credential::bearer(key),
            model: model.to_owned(),
            question: ProbeQuestion::Models,
            without_key: WithoutKey::IsRefused,
            authorities: String::new(),
            way: ProbeWay::Address,
        }
    }

    /// The probe of an engine under `/v1` at `url` that a service guards: the driver fills in a token when it asks, and none
    /// is kept.
    #[must_use]
    pub fn of_guarded(url: &str, model: &str, question: ProbeQuestion) -> Self {
        let nothing = Redacted::new(String::new());
        Self { question, without_key: WithoutKey::IsNotTried, ..Self::of_engine(url, nothing, model) }
    }
}

/// A credential and the header that bears it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The header's name, such as `authorization` or `api-key`.
    pub header: &'static str,
    /// The word before the key, such as `Bearer`; empty where there is none.
    pub word: &'static str,
    /// The key.
    pub key: Redacted,
}

impl Credential {
    /// A key that is borne as most services want it.
    #[must_use]
    pub const fn bearer(key: Redacted) -> Self {
        Self { header: "authorization", word: "Bearer", key }
    }

    fn value(&self) -> String {
        if self.word.is_empty() { self.key.expose().to_owned() } else { format!("{} {}", self.word, self.key.expose()) }
    }
}

/// A question that shows whether an endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeQuestion {
    /// It lists its models, and the model is among them.
    Models,
    /// It lists models, whichever they are; for services whose list says nothing of their endpoints.
    AnyModels,
    /// It completes one token; for services that list nothing.
    Completion,
}

/// Expected answer to a request without a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutKey {
    /// It is refused; anything else means that the endpoint is not protected.
    IsRefused,
    /// It is not tried: the service guards its endpoints itself.
    IsNotTried,
}

/// Answer of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// It answers with the key and refuses without.
    Healthy,
    /// It answers, but does not list the model.
    ModelNotListed {
        /// Models that it lists instead.
        message: String,
    },
    /// It answers completions without a key.
    NotProtected,
    /// It answers otherwise than it should.
    Unexpected {
        /// The answer.
        message: String,
    },
    /// It does not answer.
    Unreachable {
        /// The failure.
        message: String,
    },
    /// The place does not let the operator ask it, which says nothing about the endpoint.
    NotPermitted {
        /// The missing right and its cure.
        message: String,
    },
}

impl ProbeAnswer {
    /// True if it is as it should be.
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

/// Asks an endpoint, if `reach` lets it: once with its key and, where that is to be refused, once without.
pub async fn ask(probe: &Probe, reach: Reach) -> ProbeAnswer {
    ask_within(TIMEOUT, probe, reach).await
}

async fn ask_within(limit: Duration, probe: &Probe, reach: Reach) -> ProbeAnswer {
    match tokio::time::timeout(limit, question(probe, reach)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => ProbeAnswer::Unreachable { message: error.message },
        Err(_) => {
            ProbeAnswer::Unreachable { message: format!("{} did not answer within {} s", probe.base, limit.as_secs()) }
        }
    }
}

async fn question(probe: &Probe, reach: Reach) -> Result<ProbeAnswer, ProviderError> {
    let asked = match probe.question {
        ProbeQuestion::Models | ProbeQuestion::AnyModels => ProbeRequest::models(),
        ProbeQuestion::Completion => ProbeRequest::token_of(&probe.model),
    };
    let (status, body) = ask_for(&asked, probe, true, reach).await?;
    let told = |status: StatusCode, how: &str| ProbeAnswer::Unexpected {
        message: format!("{}{} answered {} {how}", probe.base, asked.path, status.as_u16()),
    };
    if status != StatusCode::OK {
        return Ok(told(status, "with the key"));
    }
    if probe.question == ProbeQuestion::Models
        && let Err(message) = listed(&body, &probe.base, &probe.model)
    {
        return Ok(ProbeAnswer::ModelNotListed { message: bounded(&probe.credential.key.conceal(&message)) });
    }
    if probe.without_key == WithoutKey::IsNotTried {
        return Ok(ProbeAnswer::Healthy);
    }
    match ask_for(&asked, probe, false, reach).await?.0 {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(ProbeAnswer::Healthy),
        status if status.is_success() => match ask_for(&ProbeRequest::nothing(), probe, false, reach).await?.0 {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(ProbeAnswer::Healthy),
            _ => Ok(ProbeAnswer::NotProtected),
        },
        status => Ok(told(status, "without the key, not 401")),
    }
}

/// Checks that `body`, the answer of the endpoint with this base address, lists `model`.
///
/// # Errors
/// Models that it lists instead, for a message.
pub fn listed(body: &[u8], base: &str, model: &str) -> Result<(), String> {
    let list: ModelList = serde_json::from_slice(body).map_err(|_| format!("{base}/models is not a list of models"))?;
    if list.data.iter().any(|entry| entry.id == model) {
        return Ok(());
    }
    let named: Vec<&str> = list.data.iter().map(|entry| entry.id.as_str()).take(MAX_NAMED).collect();
    Err(format!("{base}/models lists {:?}, not {model:?}", named.join(", ")))
}

/// Body of a chat that asks `model` for one token.
#[must_use]
pub fn one_token(model: &str) -> String {
    json!({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "ping"}]}).to_string()
}

/// One request.
struct ProbeRequest {
    method: Method,
    path: &'static str,
    body: String,
}

impl ProbeRequest {
    /// For the models that are served.
    fn models() -> Self {
        Self { method: Method::GET, path: "/models", body: String::new() }
    }

    /// For one token of `model`.
    fn token_of(model: &str) -> Self {
        Self { method: Method::POST, path: "/chat/completions", body: one_token(model) }
    }

    /// An empty completion: a request without the key is refused before its body is read, and none is answered.
    fn nothing() -> Self {
        Self { method: Method::POST, path: "/chat/completions", body: "{}".to_owned() }
    }
}

/// Sends one request. Redirects are not followed.
async fn ask_for(
    asked: &ProbeRequest,
    probe: &Probe,
    with_key: bool,
    reach: Reach,
) -> Result<(StatusCode, Bytes), ProviderError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ProviderError::new(ErrorClass::Transient, format!("{}: {what}: {error}", probe.base))
    };
    let uri: Uri = format!("{}{}", probe.base, asked.path).parse().map_err(|error| failed("not a URL", &error))?;
    let stream = open(&uri, &probe.authorities, reach).await.map_err(|error| failed("cannot connect", &error))?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed("cannot speak HTTP", &error))?;
    // Ends with this question, also where it is given up half-way.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let request = request(asked, probe, &uri, with_key).map_err(|error| failed("cannot ask", &error))?;
    let response = sender.send_request(request).await.map_err(|error| failed("no answer", &error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
    body.map(|body| (status, body.to_bytes())).map_err(|error| failed("cannot read the answer", &error))
}

fn request(
    asked: &ProbeRequest,
    probe: &Probe,
    uri: &Uri,
    with_key: bool,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::builder()
        .method(&asked.method)
        .uri(uri.path())
        .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(CONTENT_TYPE, "application/json");
    for (name, value) in &probe.headers {
        request = request.header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    if with_key {
        let mut value = HeaderValue::try_from(probe.credential.value())?;
        value.set_sensitive(true);
        request = request.header(HeaderName::try_from(probe.credential.header)?, value);
    }
    request.body(Full::from(asked.body.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::{get as on_get, post as on_post};

    type Answering = fn(HeaderMap) -> (StatusCode, String);

    fn probe(url: &str) -> Probe {
        Probe::of_engine(url, Redacted::new("rs-key".to_owned()), "llama")
    }

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

    async fn asked(answer: fn(HeaderMap) -> (StatusCode, String)) -> ProbeAnswer {
        question(&probe(&serve(answer).await), address::anywhere).await.unwrap()
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
        assert_eq!(asked(|headers| guarded(&headers, list("llama"))).await, ProbeAnswer::Healthy);
    }

    #[tokio::test]
    async fn who_lists_models_to_everybody_must_refuse_completions_without_the_key() {
        let models: Answering = |_| (StatusCode::OK, list("llama"));
        let guarding: Answering = |headers| guarded(&headers, String::new());
        let open: Answering = |_| (StatusCode::BAD_REQUEST, "messages are missing".to_owned());
        let absent: Answering = |_| (StatusCode::NOT_FOUND, String::new());
        for (completions, expected) in
            [(guarding, ProbeAnswer::Healthy), (open, ProbeAnswer::NotProtected), (absent, ProbeAnswer::NotProtected)]
        {
            let url = serve_with(models, completions).await;
            assert_eq!(question(&probe(&url), address::anywhere).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn each_fault_has_its_answer() {
        assert_eq!(asked(|_| (StatusCode::OK, list("llama"))).await, ProbeAnswer::NotProtected);
        let ProbeAnswer::ModelNotListed { message } = asked(|headers| guarded(&headers, list("other"))).await else {
            panic!("the model is not listed");
        };
        assert!(message.contains("\"other\", not \"llama\""), "{message}");
        let answer = asked(|headers| guarded(&headers, "<html>".to_owned())).await;
        assert!(matches!(answer, ProbeAnswer::ModelNotListed { .. }));
        let answer = asked(|_| (StatusCode::BAD_GATEWAY, String::new())).await;
        assert!(matches!(&answer, ProbeAnswer::Unexpected { message } if message.contains("502")), "{answer:?}");
        let busy = |headers: HeaderMap| match guarded(&headers, list("llama")) {
            (StatusCode::UNAUTHORIZED, body) => (StatusCode::SERVICE_UNAVAILABLE, body),
            answer => answer,
        };
        let answer = asked(busy).await;
        assert!(matches!(&answer, ProbeAnswer::Unexpected { message } if message.contains("503")), "{answer:?}");
        let url = serve(|headers| guarded(&headers, "x".repeat(2 * MAX_BODY_BYTES))).await;
        let error = question(&probe(&url), address::anywhere).await.unwrap_err();
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
        question(&probe(url), address::anywhere).await.unwrap_err().message
    }

    #[tokio::test]
    async fn the_operator_itself_and_metadata_services_are_not_asked() {
        let url = serve(|_| (StatusCode::OK, String::new())).await;
        for url in [url.clone(), url.replace("127.0.0.1", "[::ffff:127.0.0.1]"), url.replace("127.0.0.1", "0x7f.1")] {
            let answer = ask(&probe(&url), address::elsewhere).await;
            assert!(
                matches!(&answer, ProbeAnswer::Unreachable { message } if message.contains("loopback")),
                "{answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let url =
            say(b"HTTP/1.1 307 x\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let answer = question(&probe(&url), address::anywhere).await.unwrap();
        assert_eq!(answer, ProbeAnswer::Unexpected { message: format!("{url}/v1/models answered 307 with the key") });
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
        for begun in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"] {
            let url = say(begun.as_bytes().to_vec()).await;
            let answer = ask_within(Duration::from_millis(50), &probe(&url), address::anywhere).await;
            assert!(
                matches!(&answer, ProbeAnswer::Unreachable { message } if message.contains("within")),
                "{answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_listed_is_told_in_one_bounded_line() {
        let answer = asked(|headers| {
            let names: Vec<String> = (0..100).map(|_| format!("{{\"id\":\"{}\\n\"}}", "é".repeat(1000))).collect();
            guarded(&headers, format!("{{\"data\":[{}]}}", names.join(",")))
        })
        .await;
        let ProbeAnswer::ModelNotListed { message } = answer else { panic!("{answer:?}") };
        assert!(message.len() <= roadstead_runtime::text::MAX_BYTES && !message.contains('\n'), "{message}");
    }

    #[tokio::test]
    async fn a_service_is_asked_by_its_own_header_and_path_and_for_a_token_where_it_lists_nothing() {
        let completions: Answering = |headers| {
            let right = headers.get("api-key").is_some_and(|value| value == "secret");
            let routed = headers.get("x-deployment").is_some_and(|value| value == "blue");
            (if right && routed { StatusCode::OK } else { StatusCode::UNAUTHORIZED }, String::new())
        };
        let url = serve_with(|_| (StatusCode::NOT_FOUND, String::new()), completions).await;
        let service = Probe {
            headers: vec![("x-deployment".to_owned(), "blue".to_owned())],
            credential: Credential { header: "api-key", word: "", key: Redacted::new("secret".to_owned()) },
            question: ProbeQuestion::Completion,
            ..probe(&url)
        };
        assert_eq!(question(&service, address::anywhere).await.unwrap(), ProbeAnswer::Healthy);
        let elsewhere = Probe { headers: Vec::new(), ..service.clone() };
        let answer = question(&elsewhere, address::anywhere).await.unwrap();
        assert!(matches!(&answer, ProbeAnswer::Unexpected { message } if message.contains("401")), "{answer:?}");
    }

    #[tokio::test]
    async fn a_service_that_guards_itself_is_not_asked_without_the_key() {
        let open = serve(|_| (StatusCode::OK, list("llama"))).await;
        let trusted = Probe { without_key: WithoutKey::IsNotTried, ..probe(&open) };
        assert_eq!(question(&trusted, address::anywhere).await.unwrap(), ProbeAnswer::Healthy);
    }

    #[tokio::test]
    async fn an_https_endpoint_is_believed_only_with_a_certificate_of_its_authority() {
        let url = crate::stream::tests::serve_by_tls(list("llama")).await;
        let trusted = Probe {
            without_key: WithoutKey::IsNotTried,
            authorities: crate::stream::tests::AUTHORITY.to_owned(),
            ..probe(&url)
        };
        assert_eq!(question(&trusted, address::anywhere).await.unwrap(), ProbeAnswer::Healthy);
        let of_the_system = Probe { authorities: String::new(), ..trusted.clone() };
        let error = question(&of_the_system, address::anywhere).await.unwrap_err();
        assert!(error.message.contains("cannot connect"), "{error}");
        let plain = Probe { base: trusted.base.replace("https", "http"), ..trusted };
        assert!(question(&plain, address::anywhere).await.is_err(), "https is not spoken to as http");
    }

    #[tokio::test]
    async fn no_other_scheme_is_asked() {
        let error = question(&probe("ftp://127.0.0.1"), address::anywhere).await.unwrap_err();
        assert!(error.message.contains("scheme ftp is neither http nor https"), "{error}");
    }
}
