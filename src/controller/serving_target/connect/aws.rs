//! Credentials of AWS: the identity of the operator's pod or a key from a Secret, and a role that it assumes.

use roadstead_explain::TargetMessage;

use super::ConnectError;
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{AssumeRole, LocalRef, reasons};
use roadstead_aws::{AssumedRole, CredentialSettings, CredentialSource, LongLivedKey, SecretFault};
use roadstead_provider::Redacted;
use roadstead_rest::BaseUrl;
use roadstead_runtime::cache::Key;

/// The credentials of a target.
///
/// # Errors
/// [`ConnectError`] where the Secret is missing or has no key.
pub fn credentials(
    context: &Context,
    secret: Option<&LocalRef>,
    role: Option<&AssumeRole>,
    region: &str,
    endpoint: Option<&BaseUrl>,
) -> Result<CredentialSettings, ConnectError> {
    let source = match secret {
        None => CredentialSource::Ambient,
        Some(reference) => CredentialSource::Key(key(context, &reference.name)?),
    };
    let role = role.map(|role| AssumedRole {
        arn: role.role_arn.clone(),
        external_id: role.external_id.clone(),
        session: format!("roadstead-{}", context.settings.install_id),
    });
    Ok(CredentialSettings { source, role, region: region.to_owned(), endpoint: endpoint.map(ToString::to_string) })
}

fn key(context: &Context, name: &str) -> Result<LongLivedKey, ConnectError> {
    let namespace = &context.settings.namespace;
    let told = |message| ConnectError::new(reasons::CREDENTIALS_MISSING, message);
    let secret = context.caches.secrets.get(&Key::new(namespace, name));
    let secret = secret.ok_or_else(|| told(TargetMessage::AwsSecretMissing { namespace, name }))?;
    LongLivedKey::read(&secret.data.clone().unwrap_or_default()).map_err(|fault| {
        let (SecretFault::Missing(entry) | SecretFault::Malformed(entry)) = fault;
        told(TargetMessage::SecretEntryUnusable { namespace, name, entry })
    })
}

/// Everything of credentials that makes a driver another one.
pub fn parts(credentials: &CredentialSettings) -> [&str; 7] {
    let CredentialSettings { source, role, region, endpoint } = credentials;
    let [id, secret, session] = match source {
        CredentialSource::Ambient => [None, None, None],
        CredentialSource::Key(LongLivedKey { id, secret, session }) => {
            [Some(id.as_str()), Some(secret.expose()), session.as_ref().map(Redacted::expose)]
        }
    };
    let role = role.as_ref().map(|role| (role.arn.as_str(), role.external_id.as_deref().unwrap_or_default()));
    let (arn, external_id) = role.unwrap_or_default();
    let [id, secret, session, endpoint] = [id, secret, session, endpoint.as_deref()].map(Option::unwrap_or_default);
    [region, arn, external_id, id, secret, session, endpoint]
}
