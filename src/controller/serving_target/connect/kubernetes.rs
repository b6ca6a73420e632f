//! Clusters: a kubeconfig from a Secret, or the operator's own account.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_explain::TargetMessage;

use super::common::{as_used, fingerprint};
use super::{ConnectError, Source};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, reasons};
use roadstead_kubernetes::Kubernetes;
use roadstead_kubernetes::cluster::connection::{self, Credentials};
use roadstead_kubernetes::cluster::kubeconfig::{self, AllowedKubeconfig, KubeconfigError};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Provider, Redacted};
use roadstead_runtime::cache::Key;

impl From<KubeconfigError> for ConnectError {
    fn from(error: KubeconfigError) -> Self {
        let reason = if error.is_refused() { reasons::KUBECONFIG_REFUSED } else { reasons::KUBECONFIG_INVALID };
        Self { reason, message: error.to_string() }
    }
}

struct Cluster {
    credentials: Credentials,
    namespace: String,
}

/// Reads the settings of a cluster's driver.
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    let Some(kubernetes) = &target.spec.kubernetes else {
        return Err(ConnectError::new(
            reasons::INVALID_SPEC,
            TargetMessage::SettingsMissing { type_: "Kubernetes", field: "spec.kubernetes" },
        ));
    };
    let credentials = match &kubernetes.connection.kubeconfig_secret_ref {
        None => Credentials::InCluster,
        Some(reference) => Credentials::Kubeconfig(secret_data(context, &reference.name, &reference.key)?),
    };
    Ok(Box::new(Cluster { credentials, namespace: kubernetes.namespace.clone() }))
}

/// The way to ask an endpoint of a cluster.
pub fn recorded_probe(context: &Context, endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> (Probe, Reach) {
    (roadstead_kubernetes::recorded_probe(endpoint, url, key), allowed(context).reach())
}

fn allowed(context: &Context) -> AllowedKubeconfig {
    AllowedKubeconfig::new(context.settings.drivers.allow_kubeconfig.iter().copied())
}

#[async_trait]
impl Source for Cluster {
    fn fingerprint(&self) -> String {
        let secret = match &self.credentials {
            Credentials::InCluster => &[],
            Credentials::Kubeconfig(bytes) => bytes.as_slice(),
        };
        fingerprint(&[self.namespace.as_bytes(), secret])
    }

    async fn connect(&self, context: &Context, _: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError> {
        let allowed = allowed(context);
        let client = connection::client(&self.credentials, &allowed, context.gate.clone()).await?;
        let driver = Kubernetes::new(client, self.namespace.clone(), context.settings.install_id.clone());
        Ok(as_used(context, driver.reaching(allowed.reach())))
    }

    /// A certificate may have expired.
    async fn unfit(&self, context: &Context) -> Option<ConnectError> {
        let Credentials::Kubeconfig(bytes) = &self.credentials else { return None };
        kubeconfig::parse(bytes, &allowed(context)).await.err().map(Into::into)
    }
}

fn secret_data(context: &Context, name: &str, key: &str) -> Result<Vec<u8>, ConnectError> {
    let namespace = &context.settings.namespace;
    let secret = context.caches.secrets.get(&Key::new(namespace, name)).ok_or_else(|| {
        ConnectError::new(reasons::CREDENTIALS_MISSING, TargetMessage::SecretMissing { namespace, name, key })
    })?;
    let data = secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| {
        ConnectError::new(reasons::CREDENTIALS_MISSING, TargetMessage::SecretKeyMissing { namespace, name, key })
    })?;
    Ok(data.0.clone())
}
