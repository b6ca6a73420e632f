//! The operator as a process of its own, with all that it says.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use roadstead_ground::unused::unused_address;

use crate::world::{SYSTEM, World, until};

/// A running operator; it ends when this is dropped.
pub struct Operator {
    child: Child,
    listen: SocketAddr,
    log: PathBuf,
    dir: tempfile::TempDir,
}

impl Operator {
    /// Starts it with the rights of the chart's account, telling all it can tell.
    pub fn start(world: &World, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, world.hub.kubeconfig_with(&world.hub_token()).unwrap()).unwrap();
        let listen = unused_address();
        let log = dir.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_roadstead"))
            .args(["run", "--install-id=prod", "--identity=trust", "--log=debug"])
            .args(["--namespace", SYSTEM, "--listen", &listen.to_string()])
            .args(["--allow-kubeconfig=local-addresses"])
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let operator = Self { child, listen, log, dir };
        until("the operator is ready", || operator.ask("/readyz").filter(|answer| answer.contains("200 OK")));
        operator
    }

    /// Answer on its own port.
    pub fn ask(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.listen).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to end, waits, and returns all that it logged.
    pub fn stop(mut self) -> String {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success() && self.child.wait().unwrap().success(), "{}", self.log());
        self.log()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let told: Vec<&str> = log.lines().filter(|line| !line.contains("DEBUG")).collect();
            eprintln!("the end of the operator's log ({}):", self.dir.path().display());
            told.iter().rev().take(30).rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
