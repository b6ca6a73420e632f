//! Callers of one address: some read streams, some ask short questions, each as fast as it is answered, and after a refusal
//! when `Retry-After` says so. Every request is accounted for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::client::{Answer, chat};

/// Longest time without an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// The callers.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Number of callers that read streams.
    pub streams: usize,
    /// Tokens of a stream.
    pub tokens: u32,
    /// Number of callers with short questions.
    pub askers: usize,
    /// Pause of an asker between an answer and the next question.
    pub pause: Duration,
}

/// Address, key and model of the requests.
#[derive(Debug, Clone)]
pub struct Service {
    /// Base URL, which ends with `/v1`.
    pub url: String,
    /// Key of the caller.
    pub key: String,
    /// The model.
    pub model: String,
}

impl Service {
    /// Asks one question.
    ///
    /// # Errors
    /// If the server cannot be reached or does not speak HTTP.
    pub fn chat(&self, question: &str) -> anyhow::Result<Answer> {
        chat(self.url.trim_end_matches("/v1"), Some(&self.key), &self.model, question)
    }
}

/// The requests so far.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// Requests sent.
    pub asked: u64,
    /// Short questions answered.
    pub answered: u64,
    /// Streams read to their end.
    pub streamed: u64,
    /// Answers by the pod that gave them.
    pub by_pod: BTreeMap<String, u64>,
    /// Description of each request that failed.
    pub failures: Vec<String>,
}

impl Count {
    /// Requests without an answer so far.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.asked - self.answered - self.streamed - self.failures.len() as u64
    }
}

/// A running load.
pub struct Load {
    runtime: Runtime,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    client: Client<HttpConnector, Full<Bytes>>,
    service: Service,
    mix: Mix,
    stop: AtomicBool,
    count: Mutex<Count>,
}

impl Load {
    /// Starts the callers.
    ///
    /// # Errors
    /// If their threads cannot be started.
    pub fn start(service: Service, mix: Mix) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (stop, count) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { client, service, mix, stop, count });
        let callers = (0..mix.streams + mix.askers).map(|number| {
            let shared = Arc::clone(&shared);
            runtime.spawn(shared.call(number < mix.streams))
        });
        let tasks = callers.collect();
        Ok(Self { runtime, shared, tasks })
    }

    /// The requests so far.
    #[must_use]
    pub fn count(&self) -> Count {
        self.shared.count.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends no new request, waits for those in flight, and returns the account.
    ///
    /// # Errors
    /// If a caller panicked.
    pub fn end(self) -> anyhow::Result<Count> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let Self { runtime, shared, tasks } = self;
        for task in tasks {
            runtime.block_on(task).context("a caller panicked")?;
        }
        let count = shared.count.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(count.in_flight() == 0, "a request is not accounted for: {count:?}");
        Ok(count)
    }
}

impl Shared {
    async fn call(self: Arc<Self>, streams: bool) {
        while !self.stop.load(Ordering::SeqCst) {
            self.account(|count| count.asked += 1);
            let answer = tokio::time::timeout(PATIENCE, self.ask(streams)).await;
            let refused = answer.as_ref().ok().and_then(|answer| answer.as_ref().err()).and_then(retry_after);
            self.account(|count| match answer {
                Ok(Ok(pod)) => {
                    *(if streams { &mut count.streamed } else { &mut count.answered }) += 1;
                    *count.by_pod.entry(pod).or_default() += 1;
                }
                Ok(Err(error)) => count.failures.push(format!("{error:#}")),
                Err(_) => count.failures.push(format!("no answer within {} s", PATIENCE.as_secs())),
            });
            match refused {
                Some(pause) => tokio::time::sleep(pause).await,
                None if streams => {}
                None => tokio::time::sleep(self.mix.pause).await,
            }
        }
    }

    fn account(&self, change: impl FnOnce(&mut Count)) {
        change(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sends a request and reads its answer to the end; returns the pod that answered.
    async fn ask(&self, stream: bool) -> anyhow::Result<String> {
        let Service { url, key, model } = &self.service;
        let tokens = if stream { self.mix.tokens } else { 1 };
        let body = json!({
            "model": model, "messages": [{"role": "user", "content": "Ahoy?"}],
            "stream": stream, "max_tokens": tokens, "ignore_eos": true,
        });
        let request = Request::post(format!("{url}/chat/completions"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        let answer = self.client.request(request).await.context("no answer")?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.with_context(|| format!("an answer {} was cut", head.status))?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        if head.status != 200 {
            let seconds = head.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            let text = format!("answer {}: {text}", head.status);
            return Err(Refusal { text, retry_after: seconds.map(Duration::from_secs) }.into());
        }
        let mut events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let first = if stream { events.next() } else { Some(text.as_ref()) };
        ensure!(!stream || events.next_back() == Some("[DONE]"), "a stream ended early: {text}");
        pod(first.unwrap_or_default()).with_context(|| format!("the answer names no pod: {text}"))
    }
}

/// Answer that is no success.
#[derive(Debug)]
struct Refusal {
    text: String,
    retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// Time that a refusal asks to wait.
fn retry_after(error: &anyhow::Error) -> Option<Duration> {
    error.downcast_ref::<Refusal>()?.retry_after
}

/// Pod that made an answer, which stands in the id of the answer.
fn pod(document: &str) -> Option<String> {
    let document: Value = serde_json::from_str(document).ok()?;
    let id = document["id"].as_str()?.strip_prefix("chatcmpl-")?;
    Some(id.rsplit_once('-')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_of_an_answer_stands_in_its_id() {
        assert_eq!(pod(r#"{"id": "chatcmpl-llama-x7-2-17"}"#).as_deref(), Some("llama-x7-2"));
        assert_eq!(pod("{}"), None);
    }
}
