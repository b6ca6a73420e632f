//! The operator as a child process, and the questions that its user asks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use roadstead_ground::bound::Bound;
use roadstead_ground::unused::unused_address;

/// The program under test.
pub const ROADSTEAD: &str = env!("CARGO_BIN_EXE_roadstead");

/// A running operator; it ends when this is dropped, and also when this process ends otherwise.
pub struct Operator {
    _process: Bound,
    listen: SocketAddr,
    log: PathBuf,
}

impl Operator {
    /// Starts one for the hub of `kubeconfig`, looking for orphans every second, with its log in `folder`.
    pub fn start(kubeconfig: &Path, folder: &Path, more: &[&str]) -> Self {
        let listen = unused_address();
        let log = folder.join("operator.log");
        std::fs::write(&log, "").unwrap();
        let listens = format!("--listen={listen}");
        // The member is an API server on loopback as well.
        let usual = [
            "run",
            "--install-id=prod",
            "--namespace=roadstead-system",
            "--identity=test",
            "--leader-elect=false",
            "--log=info,roadstead=debug",
            "--allow-kubeconfig=local-addresses",
            "--orphan-interval-seconds=1",
            "--orphan-min-age-seconds=2",
            &listens,
        ];
        let option = |arg: &str| arg.split('=').next().map(ToOwned::to_owned);
        let replaced = |arg: &&&str| more.iter().any(|other| option(other) == option(arg));
        let usual = usual.iter().filter(|arg| !replaced(arg));
        let args: Vec<String> = usual.chain(more).map(ToString::to_string).collect();
        let kubeconfig = kubeconfig.display().to_string();
        let process = Bound::start(Path::new(ROADSTEAD), &args, &[("KUBECONFIG", &kubeconfig)], &log).unwrap();
        Self { _process: process, listen, log }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Number of lines that contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Its metrics; empty before it listens.
    pub fn metrics(&self) -> String {
        self.ask("/metrics")
    }

    /// Answer on its own port; empty before it listens.
    pub fn ask(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.listen) else { return String::new() };
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
