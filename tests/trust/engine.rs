//! Answers for a model at the port of its Service, as the engine in a pod would: to who has the key.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A model that answers until this is dropped.
pub struct Engine {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Lists `model` on this port to who has `key`.
    pub fn answer(port: u16, key: &str, model: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (key, model, stopped) = (format!("bearer {key}").to_lowercase(), model.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let _ = stream.and_then(|stream| serve(stream, &key, &model));
            }
        });
        Self { port, stop, thread: Some(thread) }
    }
}

fn serve(mut stream: TcpStream, key: &str, model: &str) -> std::io::Result<()> {
    let mut allowed = false;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        allowed |= line.strip_prefix("authorization: ") == Some(key);
        if line.is_empty() {
            break;
        }
    }
    let (status, body) = if allowed {
        ("200 OK", format!("{{\"data\":[{{\"id\":\"{model}\"}}]}}"))
    } else {
        ("401 Unauthorized", String::new())
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
