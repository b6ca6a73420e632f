//! The operator as a child process, and the questions that its user asks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The program under test.
pub const ROADSTEAD: &str = env!("CARGO_BIN_EXE_roadstead");

/// A running operator; it ends when this is dropped, and also when this process ends otherwise.
pub struct Operator {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Operator {
    /// Starts one for the hub of `kubeconfig`, looking for orphans every second, with its log in `folder`.
    pub fn start(kubeconfig: &Path, folder: &Path, more: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = folder.join("operator.log");
        let output = std::fs::File::create(&log).unwrap();
        let listen = format!("--listen=127.0.0.1:{port}");
        let script = "\"$@\" & operator=$!; cat >/dev/null; kill -KILL $operator; wait $operator";
        let child = Command::new("sh")
            .args(["-c", script, "sh", ROADSTEAD, "run", "--install-id=prod", "--namespace=roadstead-system"])
            .args(["--identity=test", "--leader-elect=false", "--log=info,roadstead=debug", &listen])
            .args(["--orphan-interval-seconds=1", "--orphan-min-age-seconds=2"])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, port, log }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// How often it has written a line with `text`.
    pub fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Its metrics; empty before it listens.
    pub fn metrics(&self) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return String::new() };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
