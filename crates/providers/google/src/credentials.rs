//! Credentials: an identity, or the one that it acts as, with a token that is renewed before it ends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use jiff::Timestamp;
use roadstead_provider::address::{self, Reach};
use roadstead_provider::meter::ServiceMeter;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{
    Authorize, BaseUrl, BaseUrlError, Bearer, CallEffect, ClientParts, ErrorEnvelope, Insecure, KeptToken,
    NoCredentials, RestCall, RestClient, ServiceProfile, ServiceRoute, ServiceToken, Transport, class_of_oauth,
    is_on_this_machine, read_oauth_error,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::clock::Clock;
use serde::Deserialize;
use serde_json::json;

use crate::errors::{class, read_google_error};
use crate::external::{EXCHANGE_PATH, ExternalAccount, ImpersonatedAccount};
use crate::key::{SCOPE, ServiceAccountKey};

/// Asks the metadata server for a token.
const METADATA: &str = "MetadataToken";
/// Exchanges a signed request for a token.
const EXCHANGE: &str = "Token";
/// Exchanges a token of another issuer for a token.
const FEDERATE: &str = "ExchangeToken";
/// Asks for a token of another service account.
const ACT: &str = "GenerateAccessToken";

/// Services of tokens with their operations, as metrics name them.
pub const OPERATIONS: [(&str, &str); 4] =
    [("metadata", METADATA), ("oauth2", EXCHANGE), ("iamcredentials", ACT), ("googlests", FEDERATE)];

/// Address of the metadata server; in Kubernetes it gives the identity of the pod's service account.
const METADATA_ADDRESS: &str = "http://metadata.google.internal";
/// Address of the service of tokens.
const OAUTH_ADDRESS: &str = "https://oauth2.googleapis.com";
/// Address of the service of other accounts' tokens.
const IAM_ADDRESS: &str = "https://iamcredentials.googleapis.com";
/// Path of tokens at the metadata server.
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token?scopes=";
/// Grant of a signed request.
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
/// Life of a token whose answer names none.
const LIFE: Duration = Duration::from_mins(5);
/// Life in seconds of a token of an account that a target names.
const ACTING_SECONDS: u64 = 3600;
/// Answers are short.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Identity of the operator at Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleIdentity {
    /// The pod's own: workload identity, or the machine's service account.
    Workload,
    /// That of a service account's key.
    Key(ServiceAccountKey),
    /// The pod's own at another issuer, which Google accepts: workload identity federation.
    External(ExternalAccount),
}

impl GoogleIdentity {
    /// The identity of the pod: that of the credential file which its environment names, or else the one of the metadata server.
    ///
    /// # Errors
    /// `Unauthorized` if the file cannot be used.
    pub fn of_pod() -> Result<Self, ProviderError> {
        Ok(ExternalAccount::of_pod()?.map_or(Self::Workload, Self::External))
    }
}

/// Service account that the operator acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingAs {
    /// Its email address, in plain characters.
    pub email: String,
}

/// Addresses of the services of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleAddresses {
    metadata: BaseUrl,
    oauth: BaseUrl,
    iam: BaseUrl,
    /// Address of the services that a credential file names; `None`: those in the file.
    federation: Option<BaseUrl>,
}

/// Variable with another host of the metadata server, as Google's own libraries know it.
const METADATA_HOST: &str = "GCE_METADATA_HOST";

impl GoogleAddresses {
    /// Google's own addresses, or this one for all of them.
    ///
    /// # Errors
    /// If the environment names another metadata server in a way that is no host.
    pub fn of(stand_in: Option<&BaseUrl>) -> Result<Self, BaseUrlError> {
        if let Some(base) = stand_in {
            let base = || base.clone();
            return Ok(Self { metadata: base(), oauth: base(), iam: base(), federation: Some(base()) });
        }
        Self::with_metadata(std::env::var(METADATA_HOST).ok().filter(|host| !host.is_empty()).as_deref())
    }

    /// Google's own addresses, with this host of the metadata server, if any.
    fn with_metadata(host: Option<&str>) -> Result<Self, BaseUrlError> {
        let metadata = host.map_or_else(|| METADATA_ADDRESS.to_owned(), |host| format!("http://{host}"));
        Ok(Self {
            // Within the node; there is no TLS.
            metadata: BaseUrl::parse(&metadata, Insecure::Allowed)?,
            oauth: BaseUrl::parse(OAUTH_ADDRESS, Insecure::Refused)?,
            iam: BaseUrl::parse(IAM_ADDRESS, Insecure::Refused)?,
            federation: None,
        })
    }
}

/// Parts of credentials.
pub struct GoogleParts {
    /// The identity.
    pub identity: GoogleIdentity,
    /// Account that it acts as, if any.
    pub acting_as: Option<ActingAs>,
    /// Addresses.
    pub addresses: GoogleAddresses,
    /// Addresses that the services of tokens may lead to, but for the metadata server.
    pub reach: Reach,
    /// Counts the calls.
    pub meter: Arc<dyn ServiceMeter>,
    /// The time.
    pub clock: Clock,
}

/// Credentials whose token is renewed before it ends.
pub struct GoogleCredentials {
    first: Arc<FirstIdentity>,
    /// Accounts that are acted as: the first one by the identity, each further one by the account before it.
    others: Vec<Arc<OtherAccount>>,
}

/// The identity itself.
struct FirstIdentity {
    identity: GoogleIdentity,
    client: RestClient,
    kept: KeptToken,
    clock: Clock,
}

/// The account that the identity acts as.
struct OtherAccount {
    email: String,
    /// Life of its tokens in seconds.
    seconds: u64,
    client: RestClient,
    kept: KeptToken,
    clock: Clock,
}

const fn profile(
    (name, title): (&'static str, &'static str),
    read_error: fn(&HeaderMap, &[u8]) -> Option<ErrorEnvelope>,
    class: fn(StatusCode, &ErrorEnvelope) -> ErrorClass,
) -> ServiceProfile {
    ServiceProfile {
        name,
        title,
        deadline: Duration::from_secs(CALL_TIMEOUT.as_secs() / 2),
        max_answer_bytes: MAX_ANSWER_BYTES,
        paces: &[],
        request_id: "x-request-id",
        read_error,
        rights: &[],
        class,
    }
}

/// The metadata server has no errors in a form of its own.
fn read_no_error(_: &HeaderMap, _: &[u8]) -> Option<ErrorEnvelope> {
    None
}

impl GoogleCredentials {
    /// Credentials that have asked nothing.
    #[must_use]
    pub fn new(parts: GoogleParts) -> Self {
        let GoogleParts { identity, acting_as, addresses, reach, meter, clock } = parts;
        let GoogleAddresses { metadata, oauth, iam, federation } = addresses;
        let client = |profile: ServiceProfile, base: BaseUrl, reach: Reach, credentials: Arc<dyn Authorize>| {
            let transport = Transport::new(ServiceRoute { authorities: String::new(), reach });
            let meter = Arc::clone(&meter);
            // Tokens are also asked for by a standby.
            RestClient::new(ClientParts {
                profile,
                base,
                transport,
                credentials,
                gate: Arc::new(|| true),
                meter,
                clock,
            })
        };
        let of_file = |named: &BaseUrl| {
            let base = federation.clone().unwrap_or_else(|| named.clone());
            let reach: Reach = if is_on_this_machine(&base.to_string()) { address::anywhere } else { reach };
            (base, reach)
        };
        let mut accounts = Vec::new();
        let first = match &identity {
            GoogleIdentity::Workload => {
                let profile = profile((OPERATIONS[0].0, "Google's metadata server"), read_no_error, class);
                // Its address is link-local. Only the constant above and the environment name it, and no target does.
                client(profile, metadata, address::anywhere, Arc::new(NoCredentials))
            }
            GoogleIdentity::Key(_) => {
                let profile = profile((OPERATIONS[1].0, "Google's token service"), read_oauth_error, class_of_oauth);
                client(profile, oauth, reach, Arc::new(NoCredentials))
            }
            GoogleIdentity::External(ExternalAccount { sts, impersonated, .. }) => {
                accounts.extend(impersonated.as_ref().map(|account| {
                    let ImpersonatedAccount { iam, email, seconds } = account;
                    (email.clone(), *seconds, of_file(iam))
                }));
                let (base, reach) = of_file(sts);
                let title = "Google's Security Token Service";
                let profile = profile((OPERATIONS[3].0, title), read_oauth_error, class_of_oauth);
                client(profile, base, reach, Arc::new(NoCredentials))
            }
        };
        accounts.extend(acting_as.map(|ActingAs { email }| (email, ACTING_SECONDS, (iam, reach))));
        let first = Arc::new(FirstIdentity { identity, client: first, kept: KeptToken::default(), clock });
        let mut bearer: Arc<dyn Authorize> = Arc::clone(&first) as _;
        let other = |(email, seconds, (base, reach)): (String, u64, (BaseUrl, Reach))| {
            let profile = profile((OPERATIONS[2].0, "IAM Credentials"), read_google_error, class);
            let client = client(profile, base, reach, Arc::clone(&bearer));
            let other = Arc::new(OtherAccount { email, seconds, client, kept: KeptToken::default(), clock });
            bearer = Arc::clone(&other) as _;
            other
        };
        Self { first, others: accounts.into_iter().map(other).collect() }
    }

    /// A token with at least three minutes to live, if its source gives such.
    ///
    /// # Errors
    /// `Unauthorized` if Google refuses the identity, `Transient` if there is no answer.
    pub async fn token(&self) -> Result<Redacted, ProviderError> {
        match self.others.last() {
            Some(other) => other.token().await,
            None => self.first.token().await,
        }
    }

    /// A token that was asked for now, with its end; the tokens on the way to it, too.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn renewed(&self) -> Result<ServiceToken, ProviderError> {
        let mut token = self.first.renewed().await?;
        for other in &self.others {
            token = other.renewed().await?;
        }
        Ok(token)
    }
}

#[async_trait]
impl Authorize for GoogleCredentials {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError> {
        Bearer::new(self.token().await?).authorize(request).await
    }

    fn conceal(&self, text: &str) -> String {
        let text = self.first.kept.conceal(text);
        self.others.iter().fold(text, |text, other| other.kept.conceal(&text))
    }
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl FirstIdentity {
    async fn token(&self) -> Result<Redacted, ProviderError> {
        match self.kept.fresh(self.clock.wall()) {
            Some(token) => Ok(token),
            None => Ok(self.renewed().await?.value),
        }
    }

    async fn renewed(&self) -> Result<ServiceToken, ProviderError> {
        let now = self.clock.wall();
        let mut subject = None;
        let (call, whose) = match &self.identity {
            GoogleIdentity::Workload => (by_metadata(), "the pod has no usable Google identity".to_owned()),
            GoogleIdentity::Key(key) => {
                (by_key(&key.request(now)?), format!("the key of service account {} cannot be used", key.email))
            }
            GoogleIdentity::External(account) => {
                let token = subject.insert(account.subject_token()?);
                let whose = format!("the pod's token gives no identity at Google by {}", account.audience());
                (by_form(FEDERATE, EXCHANGE_PATH, account.form(token)), whose)
            }
        };
        let answer = self.client.call(call).await.map_err(|failure| {
            let error = named(&whose, &failure.error);
            let message = subject.map_or(error.message.clone(), |subject| subject.conceal(&error.message));
            ProviderError::new(error.class, message)
        })?;
        let Given { access_token, expires_in } = answer.json()?;
        let life = expires_in.map_or(LIFE, Duration::from_secs);
        let ends = now.checked_add(life).unwrap_or(now);
        let token = ServiceToken { value: Redacted::new(access_token), ends };
        self.kept.keep(token.clone());
        Ok(token)
    }
}

#[async_trait]
impl Authorize for FirstIdentity {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError> {
        Bearer::new(self.token().await?).authorize(request).await
    }

    fn conceal(&self, text: &str) -> String {
        self.kept.conceal(text)
    }
}

impl OtherAccount {
    async fn token(&self) -> Result<Redacted, ProviderError> {
        match self.kept.fresh(self.clock.wall()) {
            Some(token) => Ok(token),
            None => Ok(self.renewed().await?.value),
        }
    }

    /// A new token of the account.
    async fn renewed(&self) -> Result<ServiceToken, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Generated {
            access_token: String,
            expire_time: Timestamp,
        }
        let path = format!("/v1/projects/-/serviceAccounts/{}:generateAccessToken", self.email);
        let call = RestCall::new(ACT, CallEffect::Reads, Method::POST, path);
        let call = call.json(&json!({"scope": [SCOPE], "lifetime": format!("{}s", self.seconds)}))?;
        let whose = format!("service account {} cannot be acted as", self.email);
        let answer = self.client.call(call).await.map_err(|failure| named(&whose, &failure.error))?;
        let Generated { access_token, expire_time } = answer.json()?;
        let token = ServiceToken { value: Redacted::new(access_token), ends: expire_time };
        self.kept.keep(token.clone());
        Ok(token)
    }
}

#[async_trait]
impl Authorize for OtherAccount {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError> {
        Bearer::new(self.token().await?).authorize(request).await
    }

    fn conceal(&self, text: &str) -> String {
        self.kept.conceal(text)
    }
}

/// The error, beginning with what does not work.
fn named(whose: &str, error: &ProviderError) -> ProviderError {
    // For a caller, an account that does not exist is one that it may not act as.
    let class = if error.class == ErrorClass::NotFound { ErrorClass::Unauthorized } else { error.class };
    ProviderError::new(class, format!("{whose}: {}", error.message))
}

fn by_metadata() -> RestCall {
    let scope = SCOPE.replace(':', "%3A").replace('/', "%2F");
    let call = RestCall::new(METADATA, CallEffect::Reads, Method::GET, format!("{METADATA_PATH}{scope}"));
    call.header(HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"))
}

fn by_key(request: &Redacted) -> RestCall {
    by_form(EXCHANGE, "/token", format!("grant_type={GRANT}&assertion={}", request.expose()))
}

fn by_form(operation: &'static str, path: &str, form: String) -> RestCall {
    let call = RestCall::new(operation, CallEffect::Reads, Method::POST, path);
    let call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    RestCall { body: form.into(), ..call }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
