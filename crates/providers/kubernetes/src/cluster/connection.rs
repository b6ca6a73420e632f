//! From credentials to a client of a member.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

use super::bounded::BoundedLayer;
use super::kubeconfig::{self, AllowedKubeconfig, KubeconfigError};
use roadstead_provider::address::{self, Reach};
use roadstead_runtime::client::{self, GateLayer, WriteGate};

/// The longest that making a client may take: a kubeconfig may name a command to be run for credentials.
const BUILD_TIMEOUT: Duration = Duration::from_secs(10);

/// Credentials of the operator for a member.
pub enum Credentials {
    /// As the pod that it is: the hub serves models itself.
    InCluster,
    /// With a kubeconfig from a Secret.
    Kubeconfig(Vec<u8>),
}

/// Builds a client of a member that writes only while `gate` lets it.
///
/// # Errors
/// [`KubeconfigError`] where the kubeconfig is refused or cannot be used.
pub async fn client(
    credentials: &Credentials,
    allowed: &AllowedKubeconfig,
    gate: WriteGate,
) -> Result<Client, KubeconfigError> {
    match credentials {
        Credentials::InCluster => {
            let unusable = |error: &dyn std::fmt::Display| KubeconfigError::Unusable { message: error.to_string() };
            let config = Config::incluster().map_err(|error| unusable(&error))?;
            client::client(config, gate).map_err(|error| unusable(&error))
        }
        Credentials::Kubeconfig(bytes) => {
            let config = kubeconfig::parse(bytes, allowed).await?;
            build(config, allowed.reach(), gate).await
        }
    }
}

/// Makes the client on a thread of its own: what the kubeconfig names for credentials is run there and may hang, and the
/// HTTP library panics where it returns what no header can hold.
async fn build(config: Config, reach: Reach, gate: WriteGate) -> Result<Client, KubeconfigError> {
    let without_authority = config.root_cert.is_none() && !config.accept_invalid_certs;
    let building = tokio::task::spawn_blocking(move || guarded(&config, reach, gate));
    // The client's own message may quote the kubeconfig.
    let message = match tokio::time::timeout(BUILD_TIMEOUT, building).await {
        Ok(Ok(Ok(client))) => return Ok(client),
        Err(_) => format!("its credential plugin did not end within {} s", BUILD_TIMEOUT.as_secs()),
        Ok(Ok(Err(_))) if without_authority => "clusters[].cluster.certificate-authority-data is missing; put the \
             cluster's CA certificate there, because the operator's container has no other CA certificates"
            .to_owned(),
        Ok(Ok(Err(_))) => "a file or command that it names for certificates, keys or credentials failed".to_owned(),
        Ok(Err(_)) => {
            "its credential plugin returned a token with characters that an HTTP header cannot contain".to_owned()
        }
    };
    Err(KubeconfigError::Unusable { message })
}

/// A client that reaches only what `reach` lets it, follows no redirects, and reads no answer without end.
fn guarded(config: &Config, reach: Reach, gate: WriteGate) -> kube::Result<Client> {
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(Connector { reach })?);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let service = ServiceBuilder::new()
        .layer(BoundedLayer)
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(legacy::Client::builder(TokioExecutor::new()).build(connector));
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).with_layer(&GateLayer { gate }).build())
}

/// Makes connections to addresses that may be reached, and to no others.
#[derive(Clone)]
struct Connector {
    reach: Reach,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let reach = self.reach;
        Box::pin(async move {
            let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
            let stream = address::connect(host, server.port_u16().unwrap_or(443), reach).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cluster::kubeconfig::Feature;

    async fn refusal(user: &str, allowed: &[Feature]) -> String {
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{server: 'https://10.0.0.1'}}}}]\n\
             users: [{{name: u, user: {user}}}]\n"
        );
        let credentials = Credentials::Kubeconfig(text.into_bytes());
        let allowed = AllowedKubeconfig::new(allowed.iter().copied());
        match client(&credentials, &allowed, Arc::new(|| false)).await {
            Ok(_) => panic!("{user} gives a client"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_hold_is_refused_by_its_field() {
        for token in ["canary\\ncanary", "canary canary", "canary\\u0007", "canary\\tcanary", "canäry", "\\ncanary"] {
            let error = refusal(&format!("{{token: \"{token}\"}}"), &[]).await;
            assert!(error.contains("users[].user.token") && !error.contains("canary"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_command_that_returns_what_no_header_can_hold_ends_no_worker() {
        let answer = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"canary\ncanary"}}"#;
        let user = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: echo, args: ['{answer}']}}}}"
        );
        let error = refusal(&user, &[Feature::Exec]).await;
        assert!(error.contains("an HTTP header cannot contain") && !error.contains("canary"), "{error}");
    }
}
