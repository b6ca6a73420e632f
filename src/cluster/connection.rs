//! From credentials to a client of a member.

use kube::{Client, Config};

use super::kubeconfig::{self, AllowedKubeconfig, KubeconfigError};
use crate::kube_ext::client::{self, WriteGate};

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
    let config = match credentials {
        Credentials::InCluster => {
            Config::incluster().map_err(|error| KubeconfigError::Unusable { message: error.to_string() })?
        }
        Credentials::Kubeconfig(bytes) => kubeconfig::parse(bytes, allowed).await?,
    };
    client::client(config, gate).map_err(|error| KubeconfigError::Unusable { message: error.to_string() })
}
