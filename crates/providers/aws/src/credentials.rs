//! Credentials: where they come from, and one copy of them that is renewed before it expires.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use roadstead_provider::address;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{ServiceRoute, Transport};
use roadstead_runtime::clock::Clock;
use tokio::sync::OnceCell;

use crate::chain::ChainHttp;
use crate::secret::LongLivedKey;

/// Credentials with less life than this are renewed before they are used.
const MARGIN: Duration = Duration::from_mins(5);
/// Source named in credentials from a Secret.
const SECRET: &str = "Secret";

/// Origin of the first credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// The pod's own identity: a service account with a role (IRSA), EKS Pod Identity, the environment, or the instance.
    Ambient,
    /// A key.
    Key(LongLivedKey),
}

/// A role that is assumed with the first credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// ARN of the role.
    pub arn: String,
    /// External id that its trust policy requires, if any.
    pub external_id: Option<String>,
    /// Name of the session in the account's records.
    pub session: String,
}

/// Settings of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSettings {
    /// Origin of the first credentials.
    pub source: CredentialSource,
    /// Role to assume; `None`: the first credentials are used.
    pub role: Option<AssumedRole>,
    /// Region whose STS is asked.
    pub region: String,
    /// Address of every AWS service in tests.
    pub endpoint: Option<String>,
}

/// Credentials that are renewed before they expire.
pub struct AwsCredentials {
    settings: CredentialSettings,
    clock: Clock,
    http: ChainHttp,
    provider: OnceCell<Option<SharedCredentialsProvider>>,
    current: Mutex<Option<Keys>>,
}

impl AwsCredentials {
    /// Credentials of these settings; nothing is asked before they are used.
    #[must_use]
    pub fn new(settings: CredentialSettings, clock: Clock) -> Self {
        // Pod Identity and instances are asked at link-local addresses, which the environment of the pod names.
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach: address::anywhere });
        let http = ChainHttp::new(transport);
        Self { settings, clock, http, provider: OnceCell::new(), current: Mutex::new(None) }
    }

    /// Region in which they are used.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.settings.region
    }

    /// The time, for signatures.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.clock.wall().into()
    }

    /// Credentials with at least five minutes to live, if their source gives such.
    ///
    /// # Errors
    /// `Unauthorized` where there are none, or the role is refused; `Transient` where their source does not answer, or cannot serve now.
    pub async fn current(&self) -> Result<Keys, ProviderError> {
        if let Some(known) = self.known().filter(|known| is_fresh(known, self.now())) {
            return Ok(known);
        }
        self.renewed().await
    }

    /// New credentials, also where the known ones have time to live: their session may have been revoked.
    ///
    /// # Errors
    /// As for [`Self::current`]; the known ones are kept.
    pub async fn renewed(&self) -> Result<Keys, ProviderError> {
        self.http.begin();
        let provider = self.provider.get_or_init(|| provider(&self.settings, &self.http)).await;
        let fresh = match provider {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded_no_source()),
        };
        let fresh = fresh.map_err(|error| self.failure(&error))?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
        Ok(fresh)
    }

    /// Takes the credentials out of a text.
    #[must_use]
    pub fn conceal(&self, text: &str) -> String {
        let key = match &self.settings.source {
            CredentialSource::Key(key) => [Some(key.secret.clone()), key.session.clone()],
            CredentialSource::Ambient => [None, None],
        };
        let of_session = self.known().map(|known| {
            let secrets = [Some(known.secret_access_key()), known.session_token()];
            secrets.map(|secret| secret.map(|secret| Redacted::new(secret.to_owned())))
        });
        let secrets = key.into_iter().chain(of_session.into_iter().flatten()).flatten();
        secrets.fold(text.to_owned(), |text, secret| secret.conceal(&text))
    }

    fn known(&self) -> Option<Keys> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if the source of the credentials is out of service. One that never answered may not be there at all: the chain asks the
    /// instance last, wherever the pod runs.
    fn is_outage(&self, error: &CredentialsError) -> bool {
        match error {
            CredentialsError::ProviderTimedOut(_) => true,
            CredentialsError::InvalidConfiguration(_) => false,
            CredentialsError::CredentialsNotLoaded(_) => self.http.saw_outage() && self.known().is_some(),
            _ => self.http.saw_outage(),
        }
    }

    fn failure(&self, error: &CredentialsError) -> ProviderError {
        let class = if self.is_outage(error) { ErrorClass::Transient } else { ErrorClass::Unauthorized };
        let whose = match (&self.settings.role, &self.settings.source) {
            (Some(role), _) => format!("role {} cannot be assumed", role.arn),
            (None, CredentialSource::Ambient) => "the pod has no usable AWS identity".to_owned(),
            (None, CredentialSource::Key(_)) => "the key in the Secret cannot be used".to_owned(),
        };
        ProviderError::new(class, self.conceal(&format!("{whose}: {}", told(error))))
    }
}

/// An error with its causes, each once.
fn told(error: &CredentialsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

fn is_fresh(keys: &Keys, now: SystemTime) -> bool {
    keys.expiry().is_none_or(|expiry| expiry.duration_since(now).is_ok_and(|left| left > MARGIN))
}

/// The source of credentials; `None` where aws-config knows none.
async fn provider(settings: &CredentialSettings, http: &ChainHttp) -> Option<SharedCredentialsProvider> {
    let first = match &settings.source {
        CredentialSource::Key(LongLivedKey { id, secret, session }) => {
            let session = session.as_ref().map(|session| session.expose().to_owned());
            Some(Keys::new(id, secret.expose(), session, None, SECRET))
        }
        CredentialSource::Ambient => None,
    };
    let base = base(settings, http, first.clone()).await;
    let provider = match (&settings.role, first) {
        (Some(role), _) => {
            let assumed = AssumeRoleProvider::builder(&role.arn).session_name(&role.session).configure(&base);
            let assumed = match &role.external_id {
                Some(id) => assumed.external_id(id),
                None => assumed,
            };
            SharedCredentialsProvider::new(assumed.build().await)
        }
        (None, Some(key)) => SharedCredentialsProvider::new(key),
        (None, None) => return base.credentials_provider(),
    };
    Some(provider)
}

/// Settings of aws-config: its chain of sources, with the operator's own connections.
async fn base(settings: &CredentialSettings, http: &ChainHttp, first: Option<Keys>) -> SdkConfig {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(Region::new(settings.region.clone()));
    let loader = match &settings.endpoint {
        Some(endpoint) => loader.endpoint_url(endpoint),
        None => loader,
    };
    match first {
        Some(key) => loader.credentials_provider(key).load().await,
        None => loader.load().await,
    }
}

#[cfg(test)]
#[path = "pod_identity_tests.rs"]
mod pod_identity_tests;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::http::StatusCode;
    use bytes::Bytes;
    use http::Request;
    use roadstead_rest::Authorize;

    use super::*;
    use crate::sign::Signed;

    const ROLE: &str = "arn:aws:iam::123456789012:role/roadstead";

    /// An STS that gives a session to whoever knows the external id, and counts how often it does.
    async fn sts(life_seconds: i64) -> (String, Arc<Mutex<usize>>) {
        let given = Arc::<Mutex<usize>>::default();
        let count = Arc::clone(&given);
        let app = Router::new().fallback(move |body: String| async move {
            if !body.contains("ExternalId=tenant-7") || !body.contains("Action=AssumeRole") {
                let refused = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                    <Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
                return (StatusCode::FORBIDDEN, refused.to_owned());
            }
            *count.lock().unwrap() += 1;
            let end = Clock::system().wall().as_second() + life_seconds;
            let end = rfc3339(end);
            let session = format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA7</AccessKeyId>\
                 <SecretAccessKey>session-canary</SecretAccessKey><SessionToken>token-canary</SessionToken>\
                 <Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            );
            (StatusCode::OK, session)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (address, given)
    }

    fn rfc3339(second: i64) -> String {
        k8s_openapi::jiff::Timestamp::from_second(second).unwrap().to_string()
    }

    fn credentials(endpoint: String, external_id: Option<&str>) -> AwsCredentials {
        let key =
            LongLivedKey { id: "AKIA1".to_owned(), secret: Redacted::new("key-canary".to_owned()), session: None };
        let role = AssumedRole {
            arn: ROLE.to_owned(),
            external_id: external_id.map(ToOwned::to_owned),
            session: "roadstead".to_owned(),
        };
        let settings = CredentialSettings {
            source: CredentialSource::Key(key),
            role: Some(role),
            region: "eu-west-1".to_owned(),
            endpoint: Some(endpoint),
        };
        AwsCredentials::new(settings, Clock::system())
    }

    #[tokio::test]
    async fn a_role_is_assumed_once_with_its_external_id_and_signs_requests() {
        let (endpoint, given) = sts(3600).await;
        let credentials = Arc::new(credentials(endpoint, Some("tenant-7")));
        let signed = Signed::new(Arc::clone(&credentials), "sagemaker");
        for _ in 0..2 {
            let request = Request::post("https://api.example/").header("host", "api.example");
            let mut request = request.header("x-amz-target", "SageMaker.ListEndpoints").body(Bytes::new()).unwrap();
            signed.authorize(&mut request).await.unwrap();
            let proof = request.headers()["authorization"].to_str().unwrap();
            assert!(
                proof.contains("Credential=ASIA7/") && proof.contains("/eu-west-1/sagemaker/aws4_request"),
                "{proof}"
            );
            assert!(proof.contains("SignedHeaders=host;") && proof.contains("x-amz-target"), "{proof}");
            assert_eq!(request.headers()["x-amz-security-token"], "token-canary");
        }
        assert_eq!(*given.lock().unwrap(), 1);
        let told = signed.conceal("session-canary, token-canary and key-canary are refused");
        assert!(!told.contains("canary"), "{told}");
    }

    #[tokio::test]
    async fn a_session_that_is_about_to_end_is_renewed_before_it_is_used() {
        let (endpoint, given) = sts(240).await;
        let credentials = credentials(endpoint, Some("tenant-7"));
        credentials.current().await.unwrap();
        credentials.current().await.unwrap();
        assert_eq!(*given.lock().unwrap(), 2);
    }

    /// An STS that answers everything so.
    async fn sts_of(status: StatusCode, body: &'static str) -> String {
        let app = Router::new().fallback(move || async move { (status, body) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    #[tokio::test]
    async fn an_sts_that_cannot_serve_refuses_nothing() {
        let throttled =
            "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
        let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        let unavailable = sts_of(StatusCode::SERVICE_UNAVAILABLE, "<html>").await;
        let busy = sts_of(StatusCode::BAD_REQUEST, throttled).await;
        let refusing = sts_of(StatusCode::FORBIDDEN, denied).await;
        let class = async |endpoint: String| credentials(endpoint, Some("tenant-7")).current().await.unwrap_err().class;
        let classes = tokio::join!(class(nobody), class(unavailable), class(busy), class(refusing));
        let [transient, unauthorized] = [ErrorClass::Transient, ErrorClass::Unauthorized];
        assert_eq!(classes, (transient, transient, transient, unauthorized));
    }

    #[tokio::test]
    async fn a_refused_role_is_named() {
        let (endpoint, _) = sts(3600).await;
        let error = credentials(endpoint, None).current().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unauthorized);
        assert!(error.message.contains(ROLE) && error.message.contains("not authorized"), "{error}");
        assert!(!error.message.contains("canary"), "{error}");
    }
}
