//! From credentials to a client of a member.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tokio::net::TcpStream;
use tower::{BoxError, Service, ServiceBuilder};

use super::address::{self, Reach};
use super::bounded::BoundedLayer;
use super::kubeconfig::{self, AllowedKubeconfig, KubeconfigError};
use crate::kube_ext::client::{self, GateLayer, WriteGate};

/// How the operator proves itself to a member.
pub enum Credentials {
    /// As the pod that it is: the hub serves models itself.
    InCluster,
    /// With a kubeconfig, as it stands in a Secret.
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
            // The client's own message may quote what stands in the kubeconfig.
            guarded(&config, allowed.reach(), gate).map_err(|_| KubeconfigError::Unusable {
                message: "its certificates, keys or credentials cannot be used".to_owned(),
            })
        }
    }
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
