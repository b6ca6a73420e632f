//! Credentials: the identity of a pod or of an application, with a token that is renewed before it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use roadstead_provider::address::{self, Reach};
use roadstead_provider::meter::ServiceMeter;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{
    Authorize, BaseUrl, BaseUrlError, Bearer, CallEffect, ClientParts, Insecure, KeptToken, NoCredentials, RestCall,
    RestClient, ServiceProfile, ServiceRoute, ServiceToken, Transport, class_of_oauth, encoded, is_on_this_machine,
    read_oauth_error,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::clock::Clock;
use serde::Deserialize;

/// Asks for a token.
const TOKEN: &str = "Token";
/// The service of tokens with its operation, as metrics name them.
pub const OPERATIONS: (&str, &str) = ("entra", TOKEN);
/// Scope of Azure Resource Manager.
pub const MANAGEMENT_SCOPE: &str = "https://management.azure.com/.default";
/// Address of Entra ID.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Kind of an assertion that is a JWT, encoded.
const ASSERTION: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
/// Variables that the webhook of workload identity sets in a pod: tenant, client, and the file with the pod's token.
const VARIABLES: [&str; 3] = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"];
/// Variable with another address of Entra ID, which the webhook sets too.
const AUTHORITY_VARIABLE: &str = "AZURE_AUTHORITY_HOST";
/// Answers are short.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const ENTRA: ServiceProfile = ServiceProfile {
    name: OPERATIONS.0,
    title: "Entra ID",
    deadline: Duration::from_secs(CALL_TIMEOUT.as_secs() / 2),
    max_answer_bytes: MAX_ANSWER_BYTES,
    paces: &[],
    request_id: "x-ms-request-id",
    read_error: read_oauth_error,
    rights: &[],
    class: class_of_oauth,
};

/// Identity of the operator at Azure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntraIdentity {
    /// The pod's own, by workload identity.
    Workload,
    /// That of an application with a secret.
    Application(EntraSecret),
}

/// Secret of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraSecret {
    /// Directory of the application.
    pub tenant: String,
    /// Its client id.
    pub client: String,
    /// Its secret.
    pub secret: Redacted,
}

/// Address of Entra ID: the stand-in, that of the environment, or the public one.
///
/// # Errors
/// If the environment names an address without TLS on another machine.
pub fn authority(stand_in: Option<&BaseUrl>) -> Result<BaseUrl, BaseUrlError> {
    if let Some(base) = stand_in {
        return Ok(base.clone());
    }
    let named = std::env::var(AUTHORITY_VARIABLE).ok().filter(|host| !host.is_empty());
    let named = named.as_deref().unwrap_or(AUTHORITY);
    BaseUrl::parse(named, if is_on_this_machine(named) { Insecure::Allowed } else { Insecure::Refused })
}

/// Addresses to which the authority of the environment may lead.
#[must_use]
pub fn authority_reach(authority: &BaseUrl) -> Reach {
    if is_on_this_machine(&authority.to_string()) { address::anywhere } else { address::elsewhere }
}

/// Parts of credentials.
pub struct EntraParts {
    /// The identity.
    pub identity: EntraIdentity,
    /// Address of Entra ID.
    pub authority: BaseUrl,
    /// Scope of the tokens, such as [`MANAGEMENT_SCOPE`].
    pub scope: &'static str,
    /// Addresses that Entra ID may lead to.
    pub reach: Reach,
    /// Counts the calls.
    pub meter: Arc<dyn ServiceMeter>,
    /// The time.
    pub clock: Clock,
}

/// Credentials whose token is renewed before it ends.
pub struct EntraCredentials {
    identity: EntraIdentity,
    scope: &'static str,
    client: RestClient,
    kept: KeptToken,
    clock: Clock,
}

#[derive(Deserialize)]
struct GivenToken {
    access_token: String,
    expires_in: u64,
}

impl EntraCredentials {
    /// Credentials that have asked nothing.
    #[must_use]
    pub fn new(parts: EntraParts) -> Self {
        let EntraParts { identity, authority, scope, reach, meter, clock } = parts;
        let client = RestClient::new(ClientParts {
            profile: ENTRA,
            base: authority,
            transport: Transport::new(ServiceRoute { authorities: String::new(), reach }),
            credentials: Arc::new(NoCredentials),
            // Tokens are also asked for by a standby.
            gate: Arc::new(|| true),
            meter,
            clock,
        });
        Self { identity, scope, client, kept: KeptToken::default(), clock }
    }

    /// A token with at least three minutes to live, if Entra ID gives such.
    ///
    /// # Errors
    /// `Unauthorized` if there is no identity or Entra ID refuses it, `Transient` if there is no answer.
    pub async fn token(&self) -> Result<Redacted, ProviderError> {
        match self.kept.fresh(self.clock.wall()) {
            Some(token) => Ok(token),
            None => Ok(self.renewed().await?.value),
        }
    }

    /// A token that was asked for now, with its end.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn renewed(&self) -> Result<ServiceToken, ProviderError> {
        let now = self.clock.wall();
        let ClientProof { tenant, client, proof } = self.proof()?;
        let path = format!("/{}/oauth2/v2.0/token", encoded(&tenant));
        let call = RestCall::new(TOKEN, CallEffect::Reads, Method::POST, path);
        let call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let body = format!(
            "grant_type=client_credentials&client_id={}&scope={}&{proof}",
            encoded(&client),
            encoded(self.scope)
        );
        let answer = self.client.call(RestCall { body: body.into(), ..call }).await.map_err(|failure| {
            let message = format!("application {client} gets no token: {}", failure.error.message);
            ProviderError::new(failure.error.class, message)
        })?;
        let GivenToken { access_token, expires_in } = answer.json()?;
        let ends = now.checked_add(Duration::from_secs(expires_in)).unwrap_or(now);
        let token = ServiceToken { value: Redacted::new(access_token), ends };
        self.kept.keep(token.clone());
        Ok(token)
    }

    /// The proof of the identity. A pod's token is read each time: the kubelet renews it.
    fn proof(&self) -> Result<ClientProof, ProviderError> {
        match &self.identity {
            EntraIdentity::Application(EntraSecret { tenant, client, secret }) => Ok(ClientProof {
                tenant: tenant.clone(),
                client: client.clone(),
                proof: format!("client_secret={}", encoded(secret.expose())),
            }),
            EntraIdentity::Workload => of_pod(&|name| std::env::var(name).ok()),
        }
    }
}

/// Tenant and client, and the fields of the form that prove the identity.
struct ClientProof {
    tenant: String,
    client: String,
    proof: String,
}

/// The proof that the environment of a pod names.
fn of_pod(variable: &dyn Fn(&str) -> Option<String>) -> Result<ClientProof, ProviderError> {
    let unauthorized = |message: String| ProviderError::new(ErrorClass::Unauthorized, message);
    let read = |name: &str| {
        variable(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            unauthorized(format!(
                "the pod has no Azure workload identity: {name} is not set; label the pod and annotate its service account, \
                 or name a Secret with an application's secret"
            ))
        })
    };
    let [tenant, client, file] = VARIABLES;
    let (tenant, client, file) = (read(tenant)?, read(client)?, PathBuf::from(read(file)?));
    let token = std::fs::read_to_string(&file)
        .map_err(|error| unauthorized(format!("cannot read the pod's token in {}: {error}", file.display())))?;
    let proof = format!("client_assertion_type={ASSERTION}&client_assertion={}", encoded(token.trim()));
    Ok(ClientProof { tenant, client, proof })
}

#[async_trait]
impl Authorize for EntraCredentials {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError> {
        Bearer::new(self.token().await?).authorize(request).await
    }

    fn conceal(&self, text: &str) -> String {
        let text = self.kept.conceal(text);
        match &self.identity {
            EntraIdentity::Application(EntraSecret { secret, .. }) => secret.conceal(&text),
            EntraIdentity::Workload => text,
        }
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
