//! The seam between the server and the services: a request read whole, an answer, and what a service must be able to do.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::faults::Fate;
use crate::rules::Rule;

/// A service that is played here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceName {
    /// Amazon SageMaker AI, its runtime, and the parts of STS and the tagging service that go with it.
    SageMaker,
    /// Hugging Face Inference Endpoints.
    HuggingFace,
    /// Vertex AI, and the identity services of Google that go with it.
    VertexAi,
    /// Baseten, and the object store of its uploads.
    Baseten,
    /// `DigitalOcean` Dedicated Inference.
    DigitalOcean,
    /// Custom model import and provisioned throughput of Amazon Bedrock, the runtime, and the part of STS that goes with it.
    Bedrock,
    /// Azure Resource Manager with Azure Machine Learning, and Entra ID.
    Azure,
    /// Azure Resource Manager with Azure OpenAI, its data plane, and Entra ID.
    AzureOpenAi,
    /// A hosted vendor with an API like OpenAI's.
    Hosted,
}

impl ServiceName {
    /// The name of the service as its vendor writes it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::SageMaker => "Amazon SageMaker",
            Self::HuggingFace => "Hugging Face Inference Endpoints",
            Self::VertexAi => "Vertex AI",
            Self::Baseten => "Baseten",
            Self::DigitalOcean => "DigitalOcean Dedicated Inference",
            Self::Bedrock => "Amazon Bedrock",
            Self::Azure => "Azure ML",
            Self::AzureOpenAi => "Azure OpenAI",
            Self::Hosted => "Hosted vendors",
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path, as it was sent.
    pub path: String,
    /// Query, as it was sent.
    pub query: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Call {
    /// The text of a header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The body of an answer.
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// A stream.
    Stream(Body),
}

/// One answer.
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub content: Content,
    /// Rules that decided it.
    pub rules: Vec<&'static Rule>,
}

impl Reply {
    /// An answer with this body.
    #[must_use]
    pub fn new(status: StatusCode, media: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", media.to_owned())];
        Self { status, headers, content: Content::Whole(body.into()), rules: Vec::new() }
    }

    /// The answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer, decided by this rule.
    #[must_use]
    pub fn by(mut self, rule: &'static Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

/// A refusal that a service words itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scripted {
    /// This very error.
    Error {
        /// HTTP status.
        status: StatusCode,
        /// Code.
        code: String,
        /// Text.
        message: String,
    },
    /// Too many calls.
    Throttle {
        /// Seconds in `Retry-After`.
        after_seconds: Option<u32>,
    },
    /// The right is missing.
    Deny,
}

/// One service.
#[async_trait]
pub trait Cloud: Send + Sync + 'static {
    /// The service.
    fn name(&self) -> ServiceName;

    /// Name of the operation that a request asks for, in the service's words.
    fn operation(&self, call: &Call) -> String;

    /// Answers a request.
    async fn answer(&self, call: &Call, operation: &str, fate: &Fate) -> Reply;

    /// A refusal from the script, in the service's words.
    fn refusal(&self, call: &Call, operation: &str, scripted: &Scripted) -> Reply;

    /// The true state: what exists and what is billed.
    fn state(&self) -> Value;

    /// Rules of the service.
    fn rules(&self) -> &'static [&'static Rule];
}
