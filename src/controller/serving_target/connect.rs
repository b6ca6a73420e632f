//! From a target's declaration and its Secret to a driver.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::api::v1alpha1::{ServingTarget, reasons};
use crate::cluster::connection::{self, Credentials};
use crate::cluster::kubeconfig::KubeconfigError;
use crate::controller::context::Context;
use crate::kube_ext::cache::Key;
use crate::provider::discreet::Discreet;
use crate::provider::kubernetes::Kubernetes;
use crate::provider::metered::Metered;
use crate::provider::{Listener, Provider, ProviderEvent};
use kube::ResourceExt;

/// Why there is no (new) driver for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// A `CamelCase` reason for the condition.
    pub reason: &'static str,
    /// A sentence for people, without anything from the Secret's data.
    pub message: String,
}

impl ConnectError {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<KubeconfigError> for ConnectError {
    fn from(error: KubeconfigError) -> Self {
        let reason = if error.is_refused() { reasons::KUBECONFIG_REFUSED } else { reasons::KUBECONFIG_INVALID };
        Self::new(reason, error.to_string())
    }
}

/// What a driver is built from, and a fingerprint that tells whether that changed.
pub struct Source {
    credentials: Credentials,
    /// A digest of the credentials and of where they are used.
    pub fingerprint: String,
}

/// Reads what the target's driver is to be built from.
///
/// # Errors
/// [`ConnectError`] where the Secret or its key is missing.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Source, ConnectError> {
    let Some(kubernetes) = &target.spec.kubernetes else {
        return Err(ConnectError::new(reasons::INVALID_SPEC, "spec.kubernetes is missing; type Kubernetes needs it"));
    };
    let credentials = match &kubernetes.connection.kubeconfig_secret_ref {
        None => Credentials::InCluster,
        Some(reference) => Credentials::Kubeconfig(kubeconfig(context, &reference.name, &reference.key)?),
    };
    let mut digest = Sha256::new();
    digest.update(kubernetes.namespace.as_bytes());
    digest.update([0]);
    if let Credentials::Kubeconfig(bytes) = &credentials {
        digest.update(bytes);
    }
    Ok(Source { credentials, fingerprint: HEXLOWER.encode(&digest.finalize()) })
}

fn kubeconfig(context: &Context, name: &str, key: &str) -> Result<Vec<u8>, ConnectError> {
    let namespace = &context.settings.namespace;
    let secret = context.caches.secrets.get(&Key::new(namespace, name)).ok_or_else(|| {
        ConnectError::new(
            reasons::CREDENTIALS_MISSING,
            format!("Secret {namespace}/{name} does not exist; create it with a kubeconfig under key {key:?}"),
        )
    })?;
    let data = secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| {
        ConnectError::new(
            reasons::CREDENTIALS_MISSING,
            format!("Secret {namespace}/{name} has no key {key:?}; put the kubeconfig there"),
        )
    })?;
    Ok(data.0.clone())
}

/// Builds the driver; it does nothing before it is asked.
///
/// # Errors
/// [`ConnectError`] where the kubeconfig is refused or cannot be used.
pub async fn connect(
    context: &Context,
    target: &ServingTarget,
    source: &Source,
) -> Result<Arc<dyn Provider>, ConnectError> {
    let client =
        connection::client(&source.credentials, &context.settings.allowed_kubeconfig, context.gate.clone()).await?;
    let namespace = target.spec.kubernetes.as_ref().map(|kubernetes| kubernetes.namespace.clone()).unwrap_or_default();
    let driver = Kubernetes::new(client, namespace, context.settings.install_id.clone());
    Ok(Arc::new(Metered::new(Discreet::new(driver), Arc::clone(&context.metrics))))
}

/// Where the driver of `target` reports what it sees.
pub fn listener(context: &Arc<Context>, target: &ServingTarget) -> Listener {
    let name = target.name_any();
    let weak = Arc::downgrade(context);
    Arc::new(move |event| {
        let Some(context) = weak.upgrade() else { return };
        match event {
            ProviderEvent::Facts => context.target_facts_changed(&name),
            ProviderEvent::Endpoint(endpoint) => context.endpoint_changed_at_provider(&name, &endpoint),
        }
    })
}
