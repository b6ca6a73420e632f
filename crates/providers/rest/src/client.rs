//! Makes calls: each once, within one deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use roadstead_provider::meter::{self, ServiceMeter, UNANSWERED};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_runtime::client::{NotLeader, WriteGate};
use roadstead_runtime::clock::Clock;
use roadstead_runtime::text::bounded_with;

use crate::answer::RestAnswer;
use crate::authorize::Authorize;
use crate::base::BaseUrl;
use crate::call::{CallEffect, RestCall};
use crate::failure::RestFailure;
use crate::pace::{Paced, Turns};
use crate::profile::{ErrorEnvelope, ServiceProfile, retry_after};
use crate::transport::Transport;

/// Name of this program for services.
const AGENT: &str = concat!("roadstead/", env!("CARGO_PKG_VERSION"));
/// Characters of a request's id in a message.
const REQUEST_ID_CHARS: usize = 64;

/// Parts of a client.
pub struct ClientParts {
    /// The service.
    pub profile: ServiceProfile,
    /// Its address.
    pub base: BaseUrl,
    /// The way there.
    pub transport: Transport,
    /// Credentials.
    pub credentials: Arc<dyn Authorize>,
    /// Gate for writes.
    pub gate: WriteGate,
    /// Counts the calls.
    pub meter: Arc<dyn ServiceMeter>,
    /// The time.
    pub clock: Clock,
}

/// A client of one service with one identity; a clone shares its connections and its pace.
#[derive(Clone)]
pub struct RestClient {
    parts: Arc<ClientParts>,
    turns: Arc<Turns>,
}

impl RestClient {
    /// A client that has called nothing.
    #[must_use]
    pub fn new(parts: ClientParts) -> Self {
        Self { turns: Arc::new(Turns::new(parts.profile.paces)), parts: Arc::new(parts) }
    }

    /// Makes one call, once.
    ///
    /// # Errors
    /// [`RestFailure`] with the class of the refusal; `Transient` where nothing was answered, so that it is unknown what became
    /// of the call.
    pub async fn call(&self, call: RestCall) -> Result<RestAnswer, RestFailure> {
        let deadline = self.parts.profile.deadline;
        let what = format!("{} {}", self.parts.profile.title, call.operation);
        let operation = call.operation;
        let Ok(result) = tokio::time::timeout(deadline, self.attempt(call, &what)).await else {
            self.count(operation, UNANSWERED);
            let message = format!("{what}: no answer within {} s", deadline.as_secs());
            return Err(RestFailure::unanswered(ErrorClass::Transient, message));
        };
        result
    }

    async fn attempt(&self, call: RestCall, what: &str) -> Result<RestAnswer, RestFailure> {
        let ClientParts { profile, gate, credentials, .. } = self.parts.as_ref();
        self.turn(call.operation, what).await?;
        let (operation, effect) = (call.operation, call.effect);
        let mut request = self.request(call).map_err(|error| {
            RestFailure::unanswered(ErrorClass::Bug, format!("{what}: the request cannot be built: {error}"))
        })?;
        credentials.authorize(&mut request).await.map_err(|error| ProviderError {
            message: credentials.conceal(&format!("{what}: {}", error.message)),
            ..error
        })?;
        // The last moment before the call can have an effect.
        if effect == CallEffect::Writes && !gate() {
            return Err(RestFailure::unanswered(ErrorClass::Transient, NotLeader));
        }
        let (status, headers, body) = match self.exchange(request).await {
            Ok(answer) => answer,
            Err(failure) => {
                self.count(operation, UNANSWERED);
                let message = credentials.conceal(&format!("{what}: {failure}"));
                return Err(RestFailure::unanswered(ErrorClass::Transient, message));
            }
        };
        self.count(operation, meter::code(status.as_u16()));
        if status.is_success() {
            return Ok(RestAnswer { what: what.to_owned(), status, headers, body });
        }
        let envelope = (profile.read_error)(&headers, &body);
        let right = profile.right(operation).filter(|_| status == StatusCode::FORBIDDEN);
        Err(self.refused(what, right, status, &headers, envelope))
    }

    /// Waits for the turn of a call, as far as that is possible within the deadline.
    async fn turn(&self, operation: &str, what: &str) -> Result<(), RestFailure> {
        // Half of the time is left for the call itself.
        let longest = self.parts.profile.deadline / 2;
        match self.turns.reserve(operation, longest, self.parts.clock.now()) {
            Paced::After(Duration::ZERO) => Ok(()),
            Paced::After(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Paced::TooLate(wait) => {
                let message = format!(
                    "{what}: not sent, because the operator keeps the rate that the service allows; retrying in {} s",
                    wait.as_secs().max(1)
                );
                Err(RestFailure::unanswered(ErrorClass::Throttled { after: Some(wait) }, message))
            }
        }
    }

    fn request(&self, call: RestCall) -> Result<Request<Bytes>, http::Error> {
        let base = &self.parts.base;
        let mut request = Request::builder()
            .method(call.method)
            .uri(base.with(&call.path)?)
            .header(HOST, base.authority())
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .body(call.body)?;
        request.headers_mut().extend(call.headers);
        Ok(request)
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(&self, request: Request<Bytes>) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let response = self.parts.transport.send(request).await.map_err(|error| chain(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.parts.profile.max_answer_bytes).collect().await;
        let body = body.map_err(|error| format!("cannot read the answer: {error}"))?;
        Ok((head.status, head.headers, body.to_bytes()))
    }

    fn count(&self, operation: &'static str, code: &'static str) {
        self.parts.meter.requested(self.parts.profile.name, operation, code);
    }

    /// The failure of a call that was answered; a refusal names the right that the call needs.
    fn refused(
        &self,
        what: &str,
        right: Option<&str>,
        status: StatusCode,
        headers: &HeaderMap,
        envelope: Option<ErrorEnvelope>,
    ) -> RestFailure {
        let profile = &self.parts.profile;
        let class = match &envelope {
            Some(envelope) => (profile.class)(status, envelope),
            None if status == StatusCode::TOO_MANY_REQUESTS => ErrorClass::Throttled { after: None },
            // Not the service itself speaks: whatever the status says, it proves nothing.
            None => ErrorClass::Transient,
        };
        let class = match class {
            ErrorClass::Throttled { after: None } => ErrorClass::Throttled { after: retry_after(headers) },
            class => class,
        };
        let right = right.filter(|right| envelope.as_ref().is_some_and(|said| !said.message.contains(right)));
        let told = match &envelope {
            Some(ErrorEnvelope { code, message }) if code.is_empty() => message.clone(),
            Some(ErrorEnvelope { code, message }) => format!("{code}: {message}"),
            None => "the answer is not one of the service itself".to_owned(),
        };
        let told = self.parts.credentials.conceal(&format!("{what}: {told}"));
        let id = headers.get(profile.request_id).and_then(|id| id.to_str().ok()).filter(|id| is_plain(id));
        let end = match id {
            Some(id) => format!("HTTP {}, request {id}", status.as_u16()),
            None => format!("HTTP {}", status.as_u16()),
        };
        let end = right.map_or(end.clone(), |right| format!("the credentials need the right {right}; {end}"));
        let error = ProviderError { class, message: bounded_with(&told, &end) };
        RestFailure { error, status: Some(status), envelope }
    }
}

/// True if a message may contain a request's id.
fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'=' | b'+');
    (1..=REQUEST_ID_CHARS).contains(&id.len()) && id.bytes().all(plain)
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let told = inner.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
