//! Asks an endpoint the way a client does: does it list the model to who has the key, and refuse who has not?

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{ErrorClass, ProviderError, Redacted, bounded};

/// The longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are not read: what an endpoint returns is untrusted.
const MAX_BODY_BYTES: usize = 1024 * 1024;

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
    /// It answers whoever asks, without a key.
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

/// Asks the endpoint at `url` for `model`, once with its key and once without; connects to `allowed` addresses alone.
pub async fn ask(
    url: &str,
    api_key: &Redacted,
    model: &str,
    allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync),
) -> Answer {
    match tokio::time::timeout(TIMEOUT, question(url, api_key, model, allowed)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Unreachable { message: error.message },
        Err(_) => Answer::Unreachable { message: format!("{url} did not answer within {} s", TIMEOUT.as_secs()) },
    }
}

async fn question(
    url: &str,
    api_key: &Redacted,
    model: &str,
    allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync),
) -> Result<Answer, ProviderError> {
    let (status, body) = get(url, Some(api_key), allowed).await?;
    if status != StatusCode::OK {
        let message = format!("{url}/v1/models answered {} with the key", status.as_u16());
        return Ok(Answer::Unreachable { message });
    }
    let Ok(list) = serde_json::from_slice::<ModelList>(&body) else {
        return Ok(Answer::ModelNotListed { message: format!("{url}/v1/models is not a list of models") });
    };
    if !list.data.iter().any(|entry| entry.id == model) {
        let listed: Vec<&str> = list.data.iter().map(|entry| entry.id.as_str()).take(5).collect();
        let message = format!("{url}/v1/models lists {:?}, not {model:?}", listed.join(", "));
        return Ok(Answer::ModelNotListed { message: bounded(&message) });
    }
    let (status, _) = get(url, None, allowed).await?;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Answer::Healthy),
        status if status.is_success() => Ok(Answer::NotProtected),
        status => {
            let message = format!("{url}/v1/models answered {} without the key, not 401", status.as_u16());
            Ok(Answer::Unreachable { message })
        }
    }
}

/// One GET of the list of models. Redirects are not followed.
async fn get(
    url: &str,
    api_key: Option<&Redacted>,
    allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync),
) -> Result<(StatusCode, Bytes), ProviderError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ProviderError::new(ErrorClass::Transient, format!("{url}: {what}: {error}"))
    };
    let uri: Uri = format!("{url}/v1/models").parse().map_err(|error| failed("not a URL", &error))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(80);
    let stream = connect(url, &host, port, allowed).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed("cannot speak HTTP", &error))?;
    let driver = tokio::spawn(connection);
    let mut request = Request::get(uri.path()).header(HOST, format!("{host}:{port}"));
    if let Some(key) = api_key {
        request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| failed("cannot ask", &error))?;
    let response = sender.send_request(request).await.map_err(|error| failed("no answer", &error));
    let result = match response {
        Ok(response) => {
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
            body.map(|body| (status, body.to_bytes())).map_err(|error| failed("cannot read the answer", &error))
        }
        Err(error) => Err(error),
    };
    driver.abort();
    result
}

/// Connects to the first address of `host` that may be asked.
async fn connect(
    url: &str,
    host: &str,
    port: u16,
    allowed: &(dyn Fn(IpAddr) -> bool + Send + Sync),
) -> Result<TcpStream, ProviderError> {
    let failed = |message: String| ProviderError::new(ErrorClass::Transient, format!("{url}: {message}"));
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| failed(error.to_string()))?;
    let Some(address) = addresses.into_iter().find(|address| allowed(address.ip())) else {
        return Err(failed("its address is loopback or link-local, which is not asked".to_owned()));
    };
    TcpStream::connect(address).await.map_err(|error| failed(format!("cannot connect: {error}")))
}

/// An address that a member gives must not lead to the operator itself or to a cloud's metadata service.
#[must_use]
pub fn may_be_asked(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| !address.is_loopback() && !address.is_link_local() && !address.is_unspecified();
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => v4(mapped),
            None => !address.is_loopback() && !address.is_unicast_link_local() && !address.is_unspecified(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::routing::get as on_get;

    async fn serve(answer: fn(HeaderMap) -> (StatusCode, String)) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/v1/models", on_get(move |headers: HeaderMap| async move { answer(headers) }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}")
    }

    async fn asked(answer: fn(HeaderMap) -> (StatusCode, String)) -> Answer {
        let url = serve(answer).await;
        question(&url, &Redacted::new("rs-key".to_owned()), "llama", &|_| true).await.unwrap()
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
        let error = question(&url, &Redacted::new("rs-key".to_owned()), "llama", &|_| true).await.unwrap_err();
        assert!(error.message.contains("cannot read the answer"), "{error}");
    }

    #[tokio::test]
    async fn the_operator_itself_and_metadata_services_are_not_asked() {
        for address in ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "0.0.0.0"] {
            assert!(!may_be_asked(address.parse().unwrap()), "{address}");
        }
        assert!(may_be_asked("10.0.0.1".parse().unwrap()));
        let url = serve(|_| (StatusCode::OK, String::new())).await;
        let answer = ask(&url, &Redacted::new("rs-key".to_owned()), "llama", &may_be_asked).await;
        assert!(matches!(&answer, Answer::Unreachable { message } if message.contains("loopback")), "{answer:?}");
    }
}
