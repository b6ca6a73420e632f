//! The traffic of one deployment.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hosted::{HostedCeiling, TokenPrice};
use crate::token::TokenSource;

/// Paths beside `/v1/` that engines answer and that a gateway passes on. Others, such as an engine's metrics and
/// administration, stay inside.
pub const PATHS: [&str; 6] = ["tokenize", "detokenize", "rerank", "score", "pooling", "classify"];

/// All paths below `/v1/` to which services limit [endpoints](Endpoint::paths).
pub const SERVICE_PATHS: [&str; 4] = ["chat/completions", "completions", "embeddings", "responses"];

/// Percentage of everything.
const WHOLE: u32 = 100;

/// Everything that a gateway needs to serve one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Namespace of the deployment.
    pub namespace: String,
    /// Name of the deployment.
    pub name: String,
    /// UID of the deployment.
    pub uid: String,
    /// Grows with each change of the route. A gateway reports the revision that Envoy has applied.
    pub revision: u64,
    /// Value of `model` in requests.
    pub model: String,
    /// Path of the engines' own health check; absent where the endpoints have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// Callers that may use the deployment.
    pub callers: Vec<Caller>,
    /// Limits of a request.
    pub limits: Limits,
    /// Endpoints, those that take no request included.
    pub endpoints: Vec<Endpoint>,
    /// Models of hosted vendors, which take requests while no endpoint serves: the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosted: Vec<HostedModel>,
}

impl Route {
    /// Name of the deployment's cluster in Envoy, and its label in metrics.
    #[must_use]
    pub fn cluster(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The endpoint of this name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
    }

    /// True if callers' requests have somewhere to go.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.taking().next().is_some() || self.hosted.iter().any(HostedModel::is_open)
    }

    /// The endpoints, and the ways to hosted models.
    pub fn everywhere(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().chain(self.hosted.iter().map(|hosted| &hosted.access))
    }

    /// True if an endpoint or a vendor knows the model by another name.
    #[must_use]
    pub fn renames_model(&self) -> bool {
        self.everywhere().any(|endpoint| endpoint.model.is_some())
    }

    /// True if everything that may take requests lists the deployment's model by its name.
    #[must_use]
    pub fn lists_model(&self) -> bool {
        self.everywhere().all(|endpoint| endpoint.model.is_none() && endpoint.paths.is_empty())
    }

    /// The endpoints to which requests of callers go, or would if they were healthy.
    pub fn taking(&self) -> impl Iterator<Item = &Endpoint> {
        let takes = |endpoint: &&Endpoint| matches!(endpoint.state, State::Active | State::Standby);
        self.endpoints.iter().filter(move |endpoint| takes(endpoint) && !endpoint.lacks_token())
    }

    /// Weight of an active endpoint with the shifts in progress: the two endpoints of a shift divide the weight of the old one.
    #[must_use]
    pub fn shared_weight(&self, endpoint: &Endpoint) -> u32 {
        let shifts: Vec<&ShiftProgress> = self.endpoints.iter().filter_map(|new| new.shift.as_ref()).collect();
        if shifts.is_empty() {
            return endpoint.weight;
        }
        let from = |old: &str| -> Vec<u32> {
            shifts.iter().filter(|shift| shift.from == old).map(|shift| shift.percent).collect()
        };
        // Several endpoints that replace one divide what it gives.
        let (whole, percent, parts) = if let Some(shift) = &endpoint.shift {
            let whole = self.endpoint(&shift.from).map_or(endpoint.weight, |old| old.weight);
            (whole, shift.percent, from(&shift.from).len())
        } else {
            let given = from(&endpoint.name);
            let all = WHOLE.saturating_mul(u32::try_from(given.len().max(1)).unwrap_or(u32::MAX));
            (endpoint.weight, all.saturating_sub(given.iter().sum()), given.len())
        };
        let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
        (whole.saturating_mul(percent) / parts).max(1)
    }

    /// Name of the way to a hosted model: of its cluster and its route in Envoy, and in the log.
    #[must_use]
    pub fn way(&self, hosted: &HostedModel) -> String {
        format!("{}/{}", self.cluster(), hosted.access.name)
    }

    /// Name of the cluster by which one endpoint is verified before it takes requests of callers.
    #[must_use]
    pub fn verifying_cluster(&self, endpoint: &Endpoint) -> String {
        format!("{}/{}/{}", self.namespace, self.name, endpoint.name)
    }
}

/// A caller and the key by which it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Name in logs.
    pub name: String,
    /// Key.
    pub key: Key,
}

/// Text that no log, error or metric shows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// Wraps a key.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key itself, for a configuration.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Seconds until the first byte of an answer; without streaming that is the whole generation.
    pub first_byte_seconds: u32,
    /// Seconds without a byte in either direction.
    pub idle_seconds: u32,
    /// Bytes of a request's body.
    pub max_request_bytes: u64,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the `InferenceEndpoint`.
    pub name: String,
    /// Protocol.
    pub scheme: Scheme,
    /// Host name or IP address; for TLS also the name in the certificate.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path below which it serves `/v1/`, without a slash at its end; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Name of the model there, in requests and answers, if it is another one than the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Paths below `/v1/` that its service answers, such as `chat/completions`; empty for all that engines answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Protocol of its requests and answers.
    #[serde(default, skip_serializing_if = "EndpointProtocol::is_openai")]
    pub protocol: EndpointProtocol,
    /// Certificates in PEM that its certificate must lead to; absent for those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// Credential that the gateway adds; absent where the endpoint wants none, or a token that the gateway mints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Origin of the token that the gateway mints and adds as the credential; absent where the endpoint wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSource>,
    /// Question by which a gateway verifies it.
    #[serde(default, skip_serializing_if = "VerificationQuestion::is_models")]
    pub question: VerificationQuestion,
    /// Answers by which the service in front of the engine refuses any request for the moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<ServiceRefusal>,
    /// Limits of the service in front of the engine; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ServiceLimits>,
    /// Share of the requests, relative to the other active endpoints: at least 1.
    pub weight: u32,
    /// Part in serving.
    pub state: State,
    /// The step of a shift, while it takes requests from another endpoint step by step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<ShiftProgress>,
    /// Question of the operator about it.
    #[serde(default, skip_serializing_if = "WitnessRequest::is_nothing")]
    pub asked: WitnessRequest,
}

impl Endpoint {
    /// True if it wants a token and the gateway has none: it takes no new request then.
    #[must_use]
    pub const fn lacks_token(&self) -> bool {
        self.token.is_some() && self.credential.is_none()
    }

    /// True if both are one endpoint in the same form. A minted token may be another one: its renewal changes nothing else.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let plain = |endpoint: &Self| {
            let credential = endpoint.credential.clone().filter(|_| endpoint.token.is_none());
            Self { credential, ..endpoint.clone() }
        };
        plain(self) == plain(other)
    }
}

/// A model at a hosted vendor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostedModel {
    /// The way to it, as to an endpoint: Active, or Draining while its ceiling is reached.
    pub access: Endpoint,
    /// Ceiling of its use by all gateways.
    pub ceiling: HostedCeiling,
    /// Price of its tokens.
    pub price: TokenPrice,
    /// True if streams are asked to state their usage.
    pub stream_usage: bool,
}

impl HostedModel {
    /// True if it may take requests.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.access.state == State::Active
    }
}

/// Protocol of requests to an endpoint, and of its answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointProtocol {
    /// `OpenAI`'s, as callers use it.
    #[default]
    OpenAi,
    /// `InvokeModel` of Amazon Bedrock with `OpenAI`'s bodies; the prefix is the path of the model.
    BedrockInvoke,
    /// `Converse` of Amazon Bedrock, into which chats are translated; the prefix is the path of the model.
    BedrockConverse,
}

impl EndpointProtocol {
    /// True for the protocol that passes unchanged.
    #[must_use]
    pub fn is_openai(&self) -> bool {
        *self == Self::OpenAi
    }
}

/// Limits of one request at the service in front of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLimits {
    /// Name of the service, for callers.
    pub service: String,
    /// Bytes of a body; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_bytes: Option<u64>,
    /// Seconds until the service ends a request that is not answered; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_seconds: Option<u32>,
}

/// An answer by which a service refuses a request that another endpoint may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRefusal {
    /// Status of the answer.
    pub status: u16,
    /// Words in it that no engine says.
    pub words: String,
    /// Meaning of these words.
    pub meaning: RefusalMeaning,
}

/// Meaning of a service's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalMeaning {
    /// The endpoint is at zero or starts, which is no failure.
    Cold,
    /// There is no such endpoint, or it does not serve.
    Absent,
}

/// Question by which a gateway verifies an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationQuestion {
    /// It lists its models, and the deployment's is among them.
    #[default]
    Models,
    /// It completes one token; for services that list no models.
    Completion,
}

impl VerificationQuestion {
    /// True for the question that engines answer.
    #[must_use]
    pub fn is_models(&self) -> bool {
        *self == Self::Models
    }

    /// Path of the question.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Models => "/v1/models",
            Self::Completion => "/v1/chat/completions",
        }
    }
}

/// Question of the operator to the gateways about an endpoint. That an active endpoint does not answer is reported in
/// any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WitnessRequest {
    /// Nothing more.
    #[default]
    Nothing,
    /// Also that it answers.
    Changes,
    /// The same, and at short intervals that the gateway still says so.
    Steadily,
}

impl WitnessRequest {
    /// True if nothing is asked.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// The step of a shift of requests from one endpoint to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShiftProgress {
    /// Name of the endpoint whose requests are shifted.
    pub from: String,
    /// Percentage of the requests of both, from 1 to 99.
    pub percent: u32,
    /// Number of the step, from 0.
    pub step: u32,
    /// End of the step in seconds since the epoch.
    pub until: i64,
}

/// Protocol of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain HTTP, where the target says so.
    Http,
    /// HTTP over TLS with a checked certificate.
    Https,
}

/// A header by which an endpoint knows the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Name of the header, in lower case.
    pub header: String,
    /// Word before the key, such as `Bearer`; empty for none.
    #[serde(default)]
    pub word: String,
    /// Key.
    pub key: Key,
}

impl Credential {
    /// Value of the header.
    #[must_use]
    pub fn value(&self) -> String {
        if self.word.is_empty() { self.key.expose().to_owned() } else { format!("{} {}", self.word, self.key.expose()) }
    }
}

/// Part of an endpoint in serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Takes requests.
    Active,
    /// Takes requests while no active endpoint is healthy.
    Standby,
    /// Takes no request of callers: gateways ask it before it becomes active.
    Verifying,
    /// Takes no new request; those in flight end.
    Draining,
}
