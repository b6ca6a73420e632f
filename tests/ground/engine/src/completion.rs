//! Completions: what is asked, what is answered, and the answer as one document or as a stream of events.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::metrics::{Finished, InFlight};

/// A body of `/v1/chat/completions` or `/v1/completions`; what the stand-in does not use is ignored.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// The model's served name.
    pub model: String,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    prompt: Value,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    /// vLLM's extension: go on until the limit.
    #[serde(default)]
    ignore_eos: bool,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Which of the two interfaces was asked: their answers have different shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Text,
}

impl Request {
    /// The words asked, last message or prompt.
    fn question(&self) -> String {
        let asked = self.messages.last().map_or(&self.prompt, |message| &message.content);
        match asked {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let text = |part: &Value| part.get("text").unwrap_or(part).as_str().map(str::to_owned);
                parts.iter().filter_map(text).collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        }
    }

    /// Number of words in the prompt; a word is a token here.
    pub fn prompt_tokens(&self) -> u64 {
        self.question().split_whitespace().count() as u64
    }

    /// The answer's tokens and how it ends.
    fn answer(&self, host: &str) -> (Vec<String>, Finished) {
        let text = format!("This is {}, answering from {host}. You said: {}", self.model, self.question());
        let words: Vec<&str> = text.split_whitespace().collect();
        let limit = self.max_completion_tokens.or(self.max_tokens);
        let count = match limit {
            Some(limit) if self.ignore_eos => limit,
            Some(limit) => limit.min(words.len()),
            None => words.len(),
        };
        let finished = if limit == Some(count) && (self.ignore_eos || count < words.len()) {
            Finished::Length
        } else {
            Finished::Stop
        };
        let tokens = words.iter().cycle().take(count).enumerate();
        (
            tokens.map(|(index, word)| if index == 0 { (*word).to_owned() } else { format!(" {word}") }).collect(),
            finished,
        )
    }
}

/// A request that has its place, on its way to an answer.
#[derive(Debug)]
pub struct Generation {
    kind: Kind,
    request: Request,
    in_flight: InFlight,
    tokens: Vec<String>,
    finished: Finished,
    interval: Duration,
    id: String,
    created: u64,
    _place: OwnedSemaphorePermit,
}

impl Generation {
    /// Starts to answer `request` on `host`, one token every `interval`, holding `place` until the end.
    pub fn new(
        kind: Kind,
        request: Request,
        in_flight: InFlight,
        place: OwnedSemaphorePermit,
        host: &str,
        interval: Duration,
    ) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let (tokens, finished) = request.answer(host);
        let prefix = if kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        Self {
            kind,
            request,
            in_flight,
            tokens,
            finished,
            interval,
            id: format!("{prefix}-{host}-{}", COUNT.fetch_add(1, Relaxed)),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            _place: place,
        }
    }

    /// Answers in the form that the request asked for.
    pub async fn respond(mut self) -> Response {
        if self.request.stream {
            return Sse::new(self.events()).into_response();
        }
        for _ in &self.tokens {
            tokio::time::sleep(self.interval).await;
            self.in_flight.token();
        }
        self.in_flight.finish(self.finished);
        let text = self.tokens.concat();
        let mut choice = match self.kind {
            Kind::Chat => json!({"index": 0, "message": {"role": "assistant", "content": text}}),
            Kind::Text => json!({"index": 0, "text": text}),
        };
        choice["finish_reason"] = self.finish_reason();
        let object = if self.kind == Kind::Chat { "chat.completion" } else { "text_completion" };
        let mut document = self.envelope(object, &json!([choice]));
        document["usage"] = self.usage();
        Json(document).into_response()
    }

    /// The answer as server-sent events: a chunk a token, the end's reason, usage if asked for, `[DONE]`.
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold((self, 0), |(mut this, position)| async move {
            let event = if let Some(token) = this.tokens.get(position) {
                tokio::time::sleep(this.interval).await;
                this.in_flight.token();
                this.chunk(Some(token), position == 0)
            } else {
                match position - this.tokens.len() {
                    0 => {
                        this.in_flight.finish(this.finished);
                        this.chunk(None, false)
                    }
                    1 if this.request.stream_options.include_usage => this.usage_chunk(),
                    1 => return Some((None, (this, position + 1))),
                    2 => Event::default().data("[DONE]"),
                    _ => return None,
                }
            };
            Some((Some(Ok(event)), (this, position + 1)))
        })
        .filter_map(std::future::ready)
    }

    fn chunk(&self, token: Option<&String>, first: bool) -> Event {
        let reason = if token.is_none() { self.finish_reason() } else { Value::Null };
        let choice = match self.kind {
            Kind::Chat => {
                let mut delta = json!({});
                if first {
                    delta["role"] = json!("assistant");
                }
                if let Some(token) = token {
                    delta["content"] = json!(token);
                }
                json!({"index": 0, "delta": delta, "finish_reason": reason})
            }
            Kind::Text => {
                json!({"index": 0, "text": token.map_or("", String::as_str), "finish_reason": reason})
            }
        };
        Event::default().data(self.envelope(self.chunk_object(), &json!([choice])).to_string())
    }

    fn usage_chunk(&self) -> Event {
        let mut document = self.envelope(self.chunk_object(), &json!([]));
        document["usage"] = self.usage();
        Event::default().data(document.to_string())
    }

    fn chunk_object(&self) -> &'static str {
        if self.kind == Kind::Chat { "chat.completion.chunk" } else { "text_completion" }
    }

    fn envelope(&self, object: &str, choices: &Value) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.request.model, "choices": choices})
    }

    fn finish_reason(&self) -> Value {
        json!(if self.finished == Finished::Stop { "stop" } else { "length" })
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.request.prompt_tokens(), self.tokens.len() as u64);
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
    }
}
