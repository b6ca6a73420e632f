//! Engines behind ready endpoints: the stand-in for vLLM, asked in this process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use roadstead_engine::config::Config;
use roadstead_engine::server::Engine;
use tower::ServiceExt;

use crate::cloud::{Content, Reply};

/// A container as an endpoint runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Words of its command line.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
}

/// A request to a container.
#[derive(Debug, Clone)]
pub struct Question {
    /// Method.
    pub method: Method,
    /// Path inside the container.
    pub path: String,
    /// The `Authorization` header that reaches it; empty if none does.
    pub authorization: String,
    /// Body.
    pub body: Bytes,
}

/// The engines of one service, by endpoint.
#[derive(Default)]
pub struct Engines {
    running: Mutex<BTreeMap<String, (Container, Router)>>,
}

impl Engines {
    /// Asks the engine of an endpoint, which is started for its container if it does not run yet.
    pub async fn ask(&self, endpoint: &str, container: &Container, question: Question) -> Reply {
        let Some(router) = self.router(endpoint, container) else {
            return Reply::new(StatusCode::BAD_GATEWAY, "text/plain", "the container exits with an error");
        };
        let request = Request::builder()
            .method(question.method)
            .uri(&question.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, question.authorization)
            .body(Body::from(question.body));
        let Ok(request) = request else {
            return Reply::new(StatusCode::BAD_REQUEST, "text/plain", "not a request");
        };
        let Ok(response) = router.oneshot(request).await;
        let media = response.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
        let headers = vec![("content-type", media.unwrap_or("text/plain").to_owned())];
        let status = response.status();
        Reply { status, headers, content: Content::Stream(response.into_body()), rules: Vec::new() }
    }

    fn router(&self, endpoint: &str, container: &Container) -> Option<Router> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, router)) = running.get(endpoint).filter(|(known, _)| known == container) {
            return Some(router.clone());
        }
        let environment = |name: &str| container.environment.get(name).cloned();
        let config = Config::read(container.arguments.iter().cloned(), &environment).ok()?;
        let router = Engine::new(config, endpoint.to_owned()).router();
        running.insert(endpoint.to_owned(), (container.clone(), router.clone()));
        Some(router)
    }
}

/// The command line that vLLM's image for containers without arguments makes of an environment: `SM_VLLM_MAX_MODEL_LEN=4096` is
/// `--max-model-len 4096`; `true` is a bare flag.
#[must_use]
pub fn arguments_of(environment: &BTreeMap<String, String>) -> Vec<String> {
    let flags = environment.iter().filter_map(|(name, value)| Some((name.strip_prefix("SM_VLLM_")?, value)));
    let mut arguments = Vec::new();
    for (name, value) in flags.filter(|(_, value)| *value != "false") {
        arguments.push(format!("--{}", name.to_lowercase().replace('_', "-")));
        arguments.extend((value != "true").then(|| value.clone()));
    }
    arguments
}

impl Container {
    /// The name that the model is served under.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        let environment = |name: &str| self.environment.get(name).cloned();
        Config::read(self.arguments.iter().cloned(), &environment).ok()?.served_names.into_iter().next()
    }
}
