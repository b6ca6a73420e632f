//! HTTP around a service: the fault script, the record, and answers that break off.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::Value;

use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Content, Reply, Scripted};
use crate::faults::{Effect, Fate, Script};
use crate::record::{Exchange, Record};

/// Longer answers are not kept in the record.
const KEPT_BYTES: usize = 256 * 1024;
/// Larger bodies are refused; no service takes them.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// State that all services share.
#[derive(Debug)]
pub struct Shared {
    /// The clock.
    pub clock: Arc<VirtualClock>,
    /// The record.
    pub record: Record,
    script: Mutex<Script>,
}

impl Shared {
    /// Nothing asked, nothing scripted.
    #[must_use]
    pub fn new(clock: Arc<VirtualClock>) -> Self {
        Self { clock, record: Record::default(), script: Mutex::default() }
    }

    /// The fault script.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Front {
    cloud: Arc<dyn Cloud>,
    shared: Arc<Shared>,
}

/// The interface of a service.
pub fn router(cloud: Arc<dyn Cloud>, shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(Front { cloud, shared }))
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let operation = front.cloud.operation(&call);
    let effect = front.shared.script().hit(front.cloud.name(), &operation);
    let number = front.shared.record.asked(front.cloud.name(), &operation, &call, effect.as_ref().and_then(kind));
    let reply = front.reply(&call, &operation, effect.as_ref()).await;
    let Some(reply) = reply else { return broken(Bytes::new()) };
    front.shared.record.answered(number, |exchange| complete(exchange, &reply));
    sent(reply, effect.as_ref())
}

impl Front {
    /// The answer; `None` where the connection is cut instead.
    async fn reply(&self, call: &Call, operation: &str, effect: Option<&Effect>) -> Option<Reply> {
        match effect {
            Some(Effect::LoseRequest) => return None,
            Some(Effect::Hang) => return std::future::pending().await,
            Some(Effect::Html { status }) => return Some(html(*status)),
            _ => {}
        }
        if let Some(scripted) = effect.and_then(refusal) {
            return Some(self.cloud.refusal(call, operation, &scripted));
        }
        let fate = Fate::from(effect);
        let reply = self.cloud.answer(call, operation, &fate).await;
        match effect {
            Some(Effect::Twice) => Some(self.cloud.answer(call, operation, &fate).await),
            Some(Effect::LoseAnswer | Effect::Hide { loses_answer: true, .. }) => None,
            Some(Effect::HangAnswer) => std::future::pending().await,
            _ => Some(reply),
        }
    }
}

/// The refusal that an effect is.
fn refusal(effect: &Effect) -> Option<Scripted> {
    match effect {
        Effect::Reject { status, code, message } => Some(Scripted::Error {
            status: StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: code.clone(),
            message: message.clone(),
        }),
        Effect::Throttle { after_seconds } => Some(Scripted::Throttle { after_seconds: *after_seconds }),
        Effect::Deny => Some(Scripted::Deny),
        _ => None,
    }
}

/// Name of an effect, as in the script.
fn kind(effect: &Effect) -> Option<String> {
    serde_json::to_value(effect).ok()?.get("kind").and_then(Value::as_str).map(str::to_owned)
}

fn html(status: u16) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    Reply::new(status, "text/html", format!("<html><body><h1>{status}</h1></body></html>"))
}

fn complete(exchange: &mut Exchange, reply: &Reply) {
    exchange.status = Some(reply.status.as_u16());
    exchange.answer_headers = reply.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    exchange.rules = reply.rules.iter().map(|rule| rule.id).collect();
    if let Content::Whole(body) = &reply.content
        && body.len() <= KEPT_BYTES
    {
        exchange.answer = Some(String::from_utf8_lossy(body).into_owned());
    }
}

fn sent(reply: Reply, effect: Option<&Effect>) -> Response {
    let mut response = match (reply.content, effect) {
        (Content::Whole(body), Some(Effect::Cut { bytes })) => broken(body.slice(..body.len().min(*bytes))),
        (Content::Stream(body), Some(Effect::Cut { bytes })) => cut(body, *bytes),
        (Content::Whole(body), _) => Response::new(Body::from(body)),
        (Content::Stream(body), _) => Response::new(body),
    };
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// An answer that breaks off after `begin`: the caller cannot know what became of its call.
fn broken(begin: Bytes) -> Response {
    let parts = [Ok(begin), Err(io::Error::other("the connection is cut"))];
    Response::new(Body::from_stream(stream::iter(parts)))
}

/// The stream, broken off after `bytes`.
fn cut(body: Body, bytes: usize) -> Response {
    let parts = body.into_data_stream().scan(bytes, |left, part| {
        let next = match part {
            _ if *left == 0 => Err(io::Error::other("the connection is cut")),
            Ok(part) => Ok(part.slice(..part.len().min(*left))),
            Err(error) => Err(io::Error::other(error)),
        };
        *left = left.saturating_sub(next.as_ref().map_or(0, Bytes::len));
        std::future::ready(Some(next))
    });
    Response::new(Body::from_stream(parts))
}
