//! Deployments behind the gateway.

use std::net::SocketAddr;
use std::path::Path;

use roadstead_gateway::render::Addresses;
use roadstead_gateway::{
    Caller, Content, Credential, Endpoint, EndpointProtocol, Files, Key, Limits, Listener, Paths, Route, Scheme,
    Settings, State, VerificationQuestion, WitnessRequest, render,
};

/// Namespace of the deployments.
pub const TEAM: &str = "team-a";
/// Key of the caller of every deployment.
pub const KEY: &str = "key-of-alice-0123456789abcdef";

/// Name of a deployment.
pub fn name(number: usize) -> String {
    format!("llama-{number:04}")
}

/// Path of a deployment's chat completions.
pub fn path(number: usize) -> String {
    format!("/{TEAM}/{}/v1/chat/completions", name(number))
}

/// A deployment of two endpoints.
pub fn route(number: usize, addresses: [SocketAddr; 2]) -> Route {
    let name = name(number);
    Route {
        namespace: TEAM.to_owned(),
        uid: format!("uid-{name}"),
        revision: 1,
        model: "llama".to_owned(),
        health_path: Some("/health".to_owned()),
        callers: vec![Caller { name: "alice".to_owned(), key: Key::new(KEY) }],
        limits: Limits { first_byte_seconds: 600, idle_seconds: 300, max_request_bytes: 8 << 20 },
        hosted: Vec::new(),
        endpoints: ["a", "b"]
            .into_iter()
            .zip(addresses)
            .map(|(suffix, address)| endpoint(&format!("{name}-{suffix}"), address))
            .collect(),
        name,
    }
}

fn endpoint(name: &str, address: SocketAddr) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        scheme: Scheme::Http,
        host: address.ip().to_string(),
        port: address.port(),
        prefix: String::new(),
        model: None,
        paths: Vec::new(),
        protocol: EndpointProtocol::OpenAi,
        authorities: None,
        credential: Some(Credential {
            header: "authorization".to_owned(),
            word: "Bearer".to_owned(),
            key: Key::new(format!("key-of-{name}")),
        }),
        token: None,
        question: VerificationQuestion::Models,
        refusals: Vec::new(),
        limits: None,
        weight: 1,
        shift: None,
        asked: WitnessRequest::Nothing,
        state: State::Active,
    }
}

/// The gateway's settings, as the chart has them.
fn settings(listen: SocketAddr, folder: &Path) -> Settings {
    let file = |name: &str| folder.join(name).display().to_string();
    Settings {
        listener: Listener {
            address: listen.ip().to_string(),
            port: listen.port(),
            tls: None,
            domain: None,
            shared: false,
            tokens: false,
            trusted_hops: 0,
            buffer_bytes: 8 << 20,
            max_connections: 20_000,
        },
        paths: Paths {
            files: folder.display().to_string(),
            admin: file("admin.sock"),
            verification: file("verification.sock"),
            authorities: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        },
        max_heap_bytes: 768 << 20,
        poll_millis: 1000,
        drain_seconds: 3600,
    }
}

/// Writes Envoy's files for so many deployments.
pub fn write(folder: &Path, listen: SocketAddr, deployments: usize, origin: [SocketAddr; 2]) -> anyhow::Result<()> {
    let routes: Vec<Route> = (0..deployments).map(|number| route(number, origin)).collect();
    let addresses: Addresses = origin.iter().map(|address| (address.ip().to_string(), vec![address.ip()])).collect();
    let files: Files = render(&routes, &addresses, &settings(listen, folder));
    for (file, content) in files.iter() {
        let path = folder.join(file.path());
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, Content::text(content))?;
    }
    Ok(())
}
