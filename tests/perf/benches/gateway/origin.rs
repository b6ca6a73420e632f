//! The server behind every proxy: it answers as an engine does, at once, and costs little.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of one stream.
pub const EVENTS: u64 = 100;
/// Time between two events of a stream.
const PACE: Duration = Duration::from_millis(10);
/// Answer to a short request.
const ANSWER: &str = r#"{"id":"c-1","object":"chat.completion","created":1,"model":"llama","choices":[{"index":0,"message":{"role":"assistant","content":"Anchor here."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
/// One event of a stream.
const EVENT: &str = "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"llama\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" anchor\"},\"finish_reason\":null}]}\n\n";
/// The last events of a stream.
const LAST: &str = "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"llama\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":100,\"total_tokens\":109}}\n\ndata: [DONE]\n\n";

/// Two addresses of one server, as two endpoints of a deployment.
pub struct Origin {
    /// The addresses, with one port.
    pub addresses: [SocketAddr; 2],
    counts: [Arc<Counts>; 2],
}

/// Counts of one address.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    events: AtomicU64,
}

impl Origin {
    /// Starts it on a thread of its own, which ends with the process.
    pub fn start() -> Result<Self> {
        let first = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let second = std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), first.local_addr()?.port()))?;
        let addresses = [first.local_addr()?, second.local_addr()?];
        let counts = [Arc::<Counts>::default(), Arc::default()];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for (listener, counts) in [first, second].into_iter().zip(&counts) {
            listener.set_nonblocking(true)?;
            let counts = Arc::clone(counts);
            let _guard = runtime.enter();
            let listener = TcpListener::from_std(listener)?;
            runtime.spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream, Arc::clone(&counts)));
                }
            });
        }
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        Ok(Self { addresses, counts })
    }

    /// Number of requests to an address so far, except for health checks.
    pub fn requests(&self, address: usize) -> u64 {
        self.counts[address].requests.load(Ordering::Relaxed)
    }

    /// Number of events that were sent so far.
    pub fn events(&self) -> u64 {
        self.counts.iter().map(|counts| counts.events.load(Ordering::Relaxed)).sum()
    }
}

/// Answers the requests of a connection, one after another.
async fn serve(mut stream: TcpStream, counts: Arc<Counts>) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let Some(head) = read_head(&mut stream, &mut buffer).await? else { return Ok(()) };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let streams = is_stream(&buffer[head..head + length]);
        buffer.drain(..head + length);
        if text.starts_with("get /health ") {
            whole(&mut stream, "ok").await?;
            continue;
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        if streams {
            events(&mut stream, &counts).await?;
        } else {
            whole(&mut stream, ANSWER).await?;
        }
    }
}

/// Reads until the end of the headers; `None` when the connection ends.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn is_stream(body: &[u8]) -> bool {
    let text: String = String::from_utf8_lossy(body).split_whitespace().collect();
    text.contains("\"stream\":true")
}

async fn whole(stream: &mut TcpStream, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).await
}

async fn events(stream: &mut TcpStream, counts: &Counts) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    for _ in 1..EVENTS {
        stream.write_all(format!("{:x}\r\n{EVENT}\r\n", EVENT.len()).as_bytes()).await?;
        counts.events.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PACE).await;
    }
    counts.events.fetch_add(1, Ordering::Relaxed);
    stream.write_all(format!("{:x}\r\n{LAST}\r\n0\r\n\r\n", LAST.len()).as_bytes()).await
}
