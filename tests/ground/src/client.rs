//! A client of served models, as a user's program would be one.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

/// Answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The assistant's words, or the whole body where it is no completion.
    pub text: String,
}

/// Asks for a chat completion.
///
/// # Errors
/// If the server cannot be reached or does not speak HTTP.
pub fn chat(url: &str, key: Option<&str>, model: &str, question: &str) -> anyhow::Result<Answer> {
    let body = json!({"model": model, "messages": [{"role": "user", "content": question}]}).to_string();
    let address = url.strip_prefix("http://").context("not an http:// address")?;
    let (host, base) = address.split_once('/').unwrap_or((address, ""));
    let base = if base.is_empty() { String::new() } else { format!("/{base}") };
    let mut stream = TcpStream::connect(host).with_context(|| format!("cannot connect to {host}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    write!(
        stream,
        "POST {base}/v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{authorization}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    // A gateway that refuses a request by its headers closes the connection on the body that it does not read.
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset && !answer.is_empty() => {}
        read => drop(read?),
    }
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).context("no HTTP status")?;
    let words = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|body| body["choices"][0]["message"]["content"].as_str().map(ToOwned::to_owned));
    Ok(Answer { status, text: words.unwrap_or_else(|| body.to_owned()) })
}
