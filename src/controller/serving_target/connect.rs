//! From a target's declaration and its Secret to a driver.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::api::v1alpha1::{ServingTarget, TargetType, reasons};
use crate::cluster::connection::{self, Credentials};
use crate::cluster::kubeconfig::{self, KubeconfigError};
use crate::controller::context::Context;
use crate::kube_ext::cache::Key;
use crate::provider::discreet::Discreet;
use crate::provider::kubernetes::Kubernetes;
use crate::provider::metered::Metered;
use crate::provider::simulated::{self, Simulated};
use crate::provider::{Listener, Provider, ProviderEvent};
use crate::simulated_cloud::CloudAddress;
use crate::simulated_cloud::wire::Profile;
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
    kind: Kind,
    /// A digest of the credentials and of where and how they are used.
    pub fingerprint: String,
}

/// The kinds of place, each with what its driver needs.
enum Kind {
    Cluster { credentials: Credentials, namespace: String },
    Simulated { cloud: CloudAddress, profile: Profile },
}

/// Reads what the target's driver is to be built from.
///
/// # Errors
/// [`ConnectError`] where the spec is incomplete, the Secret or its key is missing, or the operator was not told enough.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Source, ConnectError> {
    match target.spec.type_ {
        TargetType::Kubernetes => cluster(context, target),
        TargetType::Simulated => simulated(context, target),
    }
}

fn cluster(context: &Context, target: &ServingTarget) -> Result<Source, ConnectError> {
    let Some(kubernetes) = &target.spec.kubernetes else {
        return Err(ConnectError::new(reasons::INVALID_SPEC, "spec.kubernetes is missing; type Kubernetes needs it"));
    };
    let namespace = kubernetes.namespace.clone();
    let (credentials, secret) = match &kubernetes.connection.kubeconfig_secret_ref {
        None => (Credentials::InCluster, Vec::new()),
        Some(reference) => {
            let bytes = secret_data(context, &reference.name, &reference.key)?;
            (Credentials::Kubeconfig(bytes.clone()), bytes)
        }
    };
    let fingerprint = fingerprint(&[namespace.as_bytes(), &secret]);
    Ok(Source { kind: Kind::Cluster { credentials, namespace }, fingerprint })
}

fn simulated(context: &Context, target: &ServingTarget) -> Result<Source, ConnectError> {
    let cloud = context.settings.simulated_cloud.clone().ok_or_else(|| {
        let message = "type Simulated needs a simulated cloud: start one by `roadstead simulated-cloud`, and give the \
                       operator its address by --simulated-cloud (chart value simulatedCloud.enabled)";
        ConnectError::new(reasons::SIMULATION_DISABLED, message)
    })?;
    let profile = simulated::profile(&target.spec);
    let text = serde_json::to_vec(&profile).unwrap_or_default();
    Ok(Source { kind: Kind::Simulated { cloud, profile }, fingerprint: fingerprint(&[&text]) })
}

fn fingerprint(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    HEXLOWER.encode(&digest.finalize())
}

fn secret_data(context: &Context, name: &str, key: &str) -> Result<Vec<u8>, ConnectError> {
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
    let install_id = context.settings.install_id.clone();
    let metrics = Arc::clone(&context.metrics);
    match &source.kind {
        Kind::Cluster { credentials, namespace } => {
            let allowed = &context.settings.allowed_kubeconfig;
            let client = connection::client(credentials, allowed, context.gate.clone()).await?;
            let driver = Kubernetes::new(client, namespace.clone(), install_id);
            Ok(Arc::new(Metered::new(Discreet::new(driver), metrics, context.clock)))
        }
        Kind::Simulated { cloud, profile } => {
            let (place, gate) = (target.name_any(), context.gate.clone());
            let driver = Simulated::new(cloud.clone(), place, install_id, profile.clone(), gate);
            Ok(Arc::new(Metered::new(Discreet::new(driver), metrics, context.clock)))
        }
    }
}

/// Why credentials that were fit for use once are not any more, where they say so themselves: a certificate may have expired.
pub async fn unfit(context: &Context, source: &Source) -> Option<ConnectError> {
    let Kind::Cluster { credentials: Credentials::Kubeconfig(bytes), .. } = &source.kind else { return None };
    kubeconfig::parse(bytes, &context.settings.allowed_kubeconfig).await.err().map(Into::into)
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
