//! Faults of calls beside plain forwarding: refusals, delays, broken streams, stale data.
//!
//! A test sets several disturbances at once; each names the calls that it hits. A change hits open watches too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::proxy::Upstream;
use roadstead_ground::chance::Chance;

/// Kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One object, or the first page of a list.
    Read,
    /// A further page of a list.
    Continue,
    /// A stream of events.
    Watch,
    /// A change.
    Write,
}

/// A call, as far as disturbances tell calls apart.
#[derive(Debug, Clone)]
pub struct Call {
    /// The path.
    pub path: String,
    /// Kind of the calls.
    pub verb: Verb,
    /// To the hub, not to the cloud.
    pub hub: bool,
}

impl Call {
    /// The call of a request.
    pub fn of(parts: &Parts) -> Self {
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let verb = match parts.method {
            Method::GET | Method::HEAD | Method::OPTIONS if query.contains("watch=true") => Verb::Watch,
            Method::GET | Method::HEAD | Method::OPTIONS if query.contains("continue=") => Verb::Continue,
            Method::GET | Method::HEAD | Method::OPTIONS => Verb::Read,
            _ => Verb::Write,
        };
        Self { path: path.to_owned(), verb, hub: !path.starts_with("/places/") }
    }

    /// It may change something.
    pub fn writes(&self) -> bool {
        self.verb == Verb::Write
    }

    /// It is a watch.
    pub fn watches(&self) -> bool {
        self.verb == Verb::Watch
    }

    /// It lists or watches this kind (or creates one of it); a read or write of one object does not.
    pub fn collection(&self, kind: &str) -> bool {
        self.path.rsplit('/').next() == Some(kind)
    }
}

/// Calls, and what befalls them.
#[derive(Clone)]
pub struct Disturbance {
    /// Which calls.
    pub calls: fn(&Call) -> bool,
    /// Effect on them.
    pub effect: Effect,
}

/// Effect on a call.
#[derive(Clone)]
pub enum Effect {
    /// It is not forwarded, but answered with this code and, in seconds, when to come again.
    Refused { code: u16, retry_after: Option<u32> },
    /// The same, for all but one call in so many.
    Storm { code: u16, retry_after: Option<u32>, but_one_in: usize },
    /// The first one of each path is not forwarded, and answered 409.
    FirstConflicts,
    /// A write is forwarded, and a read answered, only when the weather changes.
    Held,
    /// Its answer comes so much later.
    Slow(Duration),
    /// A list comes in pages of one object.
    SmallPages,
    /// A watch, and the first list, which it begins with, shows what another server, which lags behind, has in its memory. What
    /// is listed later is of the present: a server that lags asks etcd for that.
    Past(Upstream),
    /// A watch breaks off so long after it began.
    Cut(Duration),
    /// A watch says 410 Gone so long after it began, and ends.
    Expires(Duration),
    /// The events of a watch never come.
    Lost,
}

/// The disturbances of the moment.
pub struct Weather {
    now: watch::Sender<Arc<Vec<Disturbance>>>,
    luck: Mutex<Chance>,
    conflicted: Mutex<HashSet<String>>,
    /// The paths of what was listed in this weather.
    listed: Mutex<HashSet<String>>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            now: watch::Sender::default(),
            luck: Mutex::new(Chance::new(1)),
            conflicted: Mutex::default(),
            listed: Mutex::default(),
        }
    }
}

impl Weather {
    /// From now on, these.
    pub fn set(&self, disturbances: Vec<Disturbance>) {
        for paths in [&self.conflicted, &self.listed] {
            paths.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.now.send_replace(Arc::new(disturbances));
    }

    /// From now on, none.
    pub fn clear(&self) {
        self.set(Vec::new());
    }

    fn effects(&self, call: &Call) -> Vec<Effect> {
        self.now.borrow().iter().filter(|one| (one.calls)(call)).map(|one| one.effect.clone()).collect()
    }

    /// The answer to a call that is not forwarded.
    pub fn refusal(&self, call: &Call) -> Option<Response> {
        self.effects(call).into_iter().find_map(|effect| match effect {
            Effect::Refused { code, retry_after } => Some(refusal(code, retry_after)),
            Effect::Storm { code, retry_after, but_one_in } => {
                let mut luck = self.luck.lock().unwrap_or_else(PoisonError::into_inner);
                (luck.below(but_one_in) > 0).then(|| refusal(code, retry_after))
            }
            Effect::FirstConflicts => {
                let mut conflicted = self.conflicted.lock().unwrap_or_else(PoisonError::into_inner);
                conflicted.insert(call.path.clone()).then(|| refusal(409, None))
            }
            _ => None,
        })
    }

    /// Returns when nothing holds the call any more.
    pub async fn passage(&self, call: &Call) {
        let mut now = self.now.subscribe();
        while self.effects(call).iter().any(|effect| matches!(effect, Effect::Held)) {
            if now.changed().await.is_err() {
                return;
            }
        }
    }

    /// Delay of its answer.
    pub fn delay(&self, call: &Call) -> Duration {
        self.effects(call)
            .iter()
            .map(|effect| if let Effect::Slow(delay) = effect { *delay } else { Duration::ZERO })
            .sum()
    }

    /// Changes a read as the weather wants it, and says who answers it, if not the usual server.
    pub fn bend(&self, call: &Call, parts: &mut Parts) -> Option<Upstream> {
        let mut past = None;
        for effect in self.effects(call) {
            match effect {
                Effect::Past(upstream) => past = Some(upstream),
                Effect::SmallPages => bend_query(parts, |query| query.replace("limit=500", "limit=1")),
                _ => {}
            }
        }
        past.as_ref()?;
        if call.watches() {
            return past;
        }
        // No watch begins with a question about some of them, such as which installation made them.
        let asks_for_some = parts.uri.query().is_some_and(|query| query.contains("labelSelector="));
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if asks_for_some || !listed.insert(call.path.clone()) {
            return None;
        }
        // What is in memory, however old.
        bend_query(parts, |query| format!("{query}&resourceVersion=0"));
        past
    }
}

fn bend_query(parts: &mut Parts, change: impl Fn(&str) -> String) {
    let bent = format!("{}?{}", parts.uri.path(), change(parts.uri.query().unwrap_or_default()));
    if let Ok(uri) = bent.parse() {
        parts.uri = uri;
    }
}

/// A refusal in the words of an API server, which the cloud's client understands too.
pub fn refusal(code: u16, retry_after: Option<u32>) -> Response {
    let (reason, class) = match code {
        409 => ("Conflict", "Conflict"),
        410 => ("Expired", "Transient"),
        429 => ("TooManyRequests", "Throttled"),
        503 => ("ServiceUnavailable", "Transient"),
        504 => ("Timeout", "Transient"),
        _ => ("InternalError", "Transient"),
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": "the weather", "details": {"retryAfterSeconds": retry_after},
        "class": class, "retryAfterSeconds": retry_after,
    });
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let after = retry_after.map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
    (code, [(header::CONTENT_TYPE, "application/json")], after, body.to_string()).into_response()
}

/// The stream of a watch, as the weather lets it through.
pub fn watched(body: Body, call: Call, weather: Arc<Weather>) -> Body {
    let (sender, receiver) = unbounded();
    tokio::spawn(pump(body, call, weather, sender));
    Body::from_stream(receiver)
}

type Lines = UnboundedSender<Result<Bytes, std::io::Error>>;

async fn pump(body: Body, call: Call, weather: Arc<Weather>, out: Lines) {
    let began = Instant::now();
    let mut now = weather.now.subscribe();
    let (mut body, mut part) = (body.into_data_stream(), BytesMut::new());
    while !out.is_closed() {
        let effects = weather.effects(&call);
        let lost = effects.iter().any(|effect| matches!(effect, Effect::Lost));
        let end = effects.iter().filter_map(|effect| match effect {
            Effect::Cut(after) => Some((*after, None)),
            Effect::Expires(after) => Some((*after, Some(expired()))),
            _ => None,
        });
        let end = end.min_by_key(|(after, _)| *after);
        let at = end.as_ref().map_or(began + Duration::from_hours(1), |(after, _)| began + *after);
        tokio::select! {
            _ = now.changed() => {}
            () = tokio::time::sleep_until(at) => {
                if let Some((_, Some(last))) = end {
                    let _ = out.unbounded_send(Ok(last));
                }
                return;
            }
            chunk = body.next() => {
                let Some(Ok(chunk)) = chunk else { return };
                part.extend_from_slice(&chunk);
                while let Some(end) = part.iter().position(|byte| *byte == b'\n') {
                    let line = part.split_to(end + 1).freeze();
                    if !lost {
                        let _ = out.unbounded_send(Ok(line));
                    }
                }
            }
        }
    }
}

/// Answer of a watch whose history has expired.
fn expired() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
        "message": "the history is gone",
    });
    format!("{}\n", json!({"type": "ERROR", "object": status})).into()
}
