//! Identities at Azure: that of the operator's pod, or of an application whose secret is in a Secret.

use roadstead_azure::{EntraIdentity, EntraSecret};
use roadstead_explain::TargetMessage;
use roadstead_provider::Redacted;
use roadstead_runtime::cache::Key;

use super::ConnectError;
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{LocalRef, reasons};

/// Entries of the Secret, called as Azure's environment variables.
const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";

/// The identity of a target.
pub fn identity(context: &Context, reference: Option<&LocalRef>) -> Result<EntraIdentity, ConnectError> {
    let Some(LocalRef { name }) = reference else { return Ok(EntraIdentity::Workload) };
    let namespace = &context.settings.namespace;
    let told = |message| ConnectError::new(reasons::CREDENTIALS_MISSING, message);
    let secret = context.caches.secrets.get(&Key::new(namespace, name));
    let secret = secret.ok_or_else(|| told(TargetMessage::AzureSecretMissing { namespace, name }))?;
    let entry = |entry: &'static str| {
        let value = secret.data.as_ref().and_then(|data| data.get(entry));
        let text = value.and_then(|value| std::str::from_utf8(&value.0).ok()).map(str::trim).unwrap_or_default();
        let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let unusable = || told(TargetMessage::SecretEntryUnusable { namespace, name, entry });
        printable.then(|| text.to_owned()).ok_or_else(unusable)
    };
    let (tenant, client) = (entry(TENANT)?, entry(CLIENT)?);
    Ok(EntraIdentity::Application(EntraSecret { tenant, client, secret: Redacted::new(entry(SECRET)?) }))
}

/// Parts of an identity, for a fingerprint.
pub fn parts(identity: &EntraIdentity) -> [&str; 3] {
    match identity {
        EntraIdentity::Workload => [""; 3],
        EntraIdentity::Application(EntraSecret { tenant, client, secret }) => [tenant, client, secret.expose()],
    }
}
