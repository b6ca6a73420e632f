//! One API server for all tests, with the definitions installed; each test has a namespace of its own.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use roadstead_ground::api_server::ApiServer;

/// The definitions as they are committed.
pub const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");

static SERVER: OnceLock<ApiServer> = OnceLock::new();

/// The server, started by whoever asks first. It ends with the process.
pub fn server() -> &'static ApiServer {
    SERVER.get_or_init(|| {
        let server = ApiServer::start().expect("an API server");
        server.define(Path::new(CRDS)).expect("the definitions");
        server
    })
}

/// A kubectl in a namespace of its own, which is made if need be.
pub fn kubectl(namespace: &str) -> Command {
    let mut create = server().kubectl();
    let made = create.args(["create", "namespace", namespace]).output().unwrap();
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success() || told.contains("AlreadyExists"), "{told}");
    let mut command = server().kubectl();
    command.args(["--namespace", namespace]);
    command
}

/// Output of a command that must succeed.
pub fn text(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {told}");
    // A warning of the server is a mistake of ours.
    assert!(!told.to_lowercase().contains("warning"), "{command:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Applies a manifest that must be accepted.
pub fn apply(namespace: &str, manifest: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    text(kubectl(namespace).arg("apply").arg("-f").arg(file.path()));
}
