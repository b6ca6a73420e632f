//! The fake behind a way, and the parts of a driver that every fixture gives.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roadstead_conformance::faults::InjectedRefusal;
use roadstead_rest::ServiceContext;
use roadstead_runtime::clock::Clock;
use serde_json::json;

/// A fake at an address.
pub struct Upstream {
    url: String,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    /// The fake at this address.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Passes a request on.
    pub async fn send(&self, mut parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        parts.uri = format!("{}{path}", self.url).parse()?;
        Ok(self.client.request(Request::from_parts(parts, Body::from(body))).await?.map(Body::new))
    }
}

/// The parts that every driver has, in an installation that always leads, before a fake whose clock the cases set.
pub fn context(install_id: &str) -> ServiceContext {
    ServiceContext {
        install_id: install_id.to_owned(),
        gate: Arc::new(|| true),
        meter: Arc::new(()),
        clock: Clock::system(),
        paced: false,
    }
}

/// A refusal in the form of Azure Resource Manager.
pub fn refused_by_arm(refusal: &InjectedRefusal) -> Response {
    let error = |status: StatusCode, code: &str, message: &str| {
        (status, axum::Json(json!({"error": {"code": code, "message": message}}))).into_response()
    };
    match refusal {
        InjectedRefusal::Throttled(after) => {
            let message = "The request is being throttled.";
            let mut response = error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
            response.headers_mut().extend(after.map(|after| (header::RETRY_AFTER, after.as_secs().into())));
            response
        }
        InjectedRefusal::Unauthorized => {
            error(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", "The access token is invalid.")
        }
        InjectedRefusal::Expired => {
            error(StatusCode::UNAUTHORIZED, "ExpiredAuthenticationToken", "The access token has expired.")
        }
        InjectedRefusal::Unavailable => {
            error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The service is unavailable.")
        }
        InjectedRefusal::Echo(text) => error(StatusCode::BAD_REQUEST, "BadRequest", text),
    }
}
