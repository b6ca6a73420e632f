//! The interface over a real socket on loopback.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{config::Config, server::Engine};

struct Running {
    engine: Arc<Engine>,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<()>>,
}

async fn start(line: &str) -> Running {
    let config = Config::read(line.split_whitespace().map(str::to_owned), &|_| None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = Engine::new(config, "here".to_owned());
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let task = tokio::spawn(Arc::clone(&engine).serve(listener, shutdown));
    Running { engine, address, stop, task }
}

impl Running {
    /// Sends one request and returns all that comes back until the connection closes.
    async fn send(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        self.write(&mut stream, method, path, key, body).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn write(&self, stream: &mut TcpStream, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) {
        let body = body.map(Value::to_string).unwrap_or_default();
        let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{key}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
    }

    async fn ask(&self, body: Value) -> (String, Value) {
        let answer = self.send("POST", "/v1/chat/completions", None, Some(&body)).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
    }
}

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "ahoy there"}]})
}

#[tokio::test]
async fn the_key_guards_only_v1() {
    let engine = start("--served-model-name m --api-key secret").await;
    for (path, key, status) in [
        ("/health", None, "200"),
        ("/metrics", None, "200"),
        ("/v1/models", None, "401"),
        ("/v1/models", Some("wrong"), "401"),
        ("/v1/models", Some("secret"), "200"),
        ("/v1/nothing", Some("secret"), "404"),
    ] {
        let answer = engine.send("GET", path, key, None).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} with {key:?}: {answer}");
    }
    let models = engine.send("GET", "/v1/models", Some("secret"), None).await;
    assert!(models.contains("\"id\":\"m\""), "{models}");
}

#[tokio::test]
async fn a_chat_completion_answers_and_is_counted() {
    let engine = start("serve org/m --served-model-name m --engine-tokens-per-second 100000").await;
    let (status, body) = engine.ask(question("m")).await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "This is m, answering from here. You said: ahoy there");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["prompt_tokens"], 2);
    let metrics = engine.send("GET", "/metrics", None, None).await;
    assert!(metrics.contains("finished_reason=\"stop\"} 1"), "{metrics}");
    assert!(metrics.contains("vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 0"), "{metrics}");
}

#[tokio::test]
async fn the_limit_of_tokens_holds() {
    let engine = start("m --engine-tokens-per-second 100000").await;
    let mut body = question("m");
    body["max_tokens"] = json!(2);
    let (_, answer) = engine.ask(body.clone()).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "This is");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    body["max_tokens"] = json!(50);
    body["ignore_eos"] = json!(true);
    let (_, answer) = engine.ask(body).await;
    assert_eq!(answer["usage"]["completion_tokens"], 50);
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let engine = start("m").await;
    let (status, body) = engine.ask(question("other")).await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert_eq!(body["error"]["message"], "The model `other` does not exist.");
}

#[tokio::test]
async fn a_stream_ends_with_done() {
    let engine = start("m --engine-tokens-per-second 100000").await;
    let mut body = question("m");
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = engine.send("POST", "/v1/chat/completions", None, Some(&body)).await;
    let events: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "This is m, answering from here. You said: ahoy there");
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[chunks.len() - 1]["usage"]["completion_tokens"], 10);
}

#[tokio::test]
async fn text_completions_take_a_prompt() {
    let engine = start("m --engine-tokens-per-second 100000").await;
    let body = json!({"model": "m", "prompt": ["once", "upon"]});
    let answer = engine.send("POST", "/v1/completions", None, Some(&body)).await;
    assert!(answer.contains("\"text\":\"This is m, answering from here. You said: once upon\""), "{answer}");
}

#[tokio::test]
async fn requests_wait_for_a_place() {
    let engine = start("m --max-num-seqs 1 --engine-tokens-per-second 1").await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(engine.address).await.unwrap();
        engine.write(&mut stream, "POST", "/v1/chat/completions", None, Some(&question("m"))).await;
        streams.push(stream);
    }
    while engine.engine.metrics.in_flight() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let metrics = engine.send("GET", "/metrics", None, None).await;
    assert!(metrics.contains("vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 1"), "{metrics}");
    assert!(metrics.contains("vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 1"), "{metrics}");
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let engine = start("m --shutdown-timeout 60 --engine-tokens-per-second 20").await;
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    engine.write(&mut stream, "POST", "/v1/chat/completions", None, Some(&question("m"))).await;
    while engine.engine.metrics.in_flight() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    engine.stop.send(()).unwrap();
    while TcpStream::connect(engine.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    engine.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_without_a_timeout_cuts_what_is_in_flight() {
    let engine = start("m --engine-tokens-per-second 0.001").await;
    let mut stream = TcpStream::connect(engine.address).await.unwrap();
    engine.write(&mut stream, "POST", "/v1/chat/completions", None, Some(&question("m"))).await;
    while engine.engine.metrics.in_flight() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    engine.stop.send(()).unwrap();
    engine.task.await.unwrap().unwrap();
}
