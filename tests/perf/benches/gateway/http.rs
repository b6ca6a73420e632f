//! Single requests to a server on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use roadstead_ground::bound::Bound;

/// Longest time of one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Status of one request on a connection of its own; a body makes it a POST.
pub fn status(address: SocketAddr, path: &str, key: &str, body: &str) -> Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")
}

/// Waits until a request is answered 200 by a server whose log is `log`.
pub fn await_ok(process: &Bound, log: &Path, within: Duration, ask: impl Fn() -> Result<u16>) -> Result<()> {
    let start = Instant::now();
    loop {
        let outcome = ask();
        if outcome.as_ref().is_ok_and(|status| *status == 200) {
            return Ok(());
        }
        if start.elapsed() > within || !process.is_alive() {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let end: Vec<&str> = text.lines().rev().take(20).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            bail!("{outcome:?} after {:.0} s; the log ends with:\n{}", start.elapsed().as_secs_f64(), end.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
