//! Bearer tokens of services of AWS: signed here, by the AWS identity of the pod or a role that it assumes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use roadstead_aws::{AssumedRole, AwsCredentials, CredentialSettings, CredentialSource, TokenService, bearer_token};
use roadstead_gateway::{Key, TokenRole};
use roadstead_runtime::clock::Clock;

use super::renewal::{MintCause, MintedToken};

/// Name of sessions in the records of an account.
const SESSION: &str = "roadstead-gateway";

/// Region and role of credentials.
type SessionKey = (String, Option<TokenRole>);

/// Signs tokens, and keeps the sessions behind them.
pub struct AwsMint {
    life: Duration,
    clock: Clock,
    sessions: Mutex<BTreeMap<SessionKey, Arc<AwsCredentials>>>,
}

impl AwsMint {
    /// Tokens of at most this life.
    #[must_use]
    pub fn new(life: Duration, clock: Clock) -> Self {
        Self { life, clock, sessions: Mutex::default() }
    }

    /// Signs a token for a service in a region. It ends with the session behind it, if that is sooner than its life.
    ///
    /// # Errors
    /// The cause, without a secret.
    pub async fn mint(
        &self,
        service: TokenService,
        region: &str,
        role: Option<&TokenRole>,
        cause: MintCause,
    ) -> Result<MintedToken, String> {
        let credentials = self.credentials(region, role);
        let keys = match cause {
            MintCause::Age => credentials.current().await,
            MintCause::Refusal => credentials.renewed().await,
        };
        let keys = keys.map_err(|error| error.message)?;
        // A token has whole seconds.
        let now = self.clock.wall().as_second();
        let end = now.saturating_add_unsigned(self.life.as_secs());
        let session = keys.expiry().and_then(|expiry| Timestamp::try_from(expiry).ok());
        let end = session.map_or(end, |session| session.as_second().min(end));
        let life = Duration::from_secs(end.saturating_sub(now).unsigned_abs());
        let at = |second| Timestamp::from_second(second).map_err(|error| error.to_string());
        let (from, until) = (at(now)?, at(end)?);
        let token = bearer_token(service, &keys, region, life, from.into())
            .map_err(|error| credentials.conceal(&error.message))?;
        Ok(MintedToken { key: Key::new(token.expose()), from, until })
    }

    fn credentials(&self, region: &str, role: Option<&TokenRole>) -> Arc<AwsCredentials> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.entry((region.to_owned(), role.cloned())).or_insert_with(|| {
            let role = role.map(|role| AssumedRole {
                arn: role.arn.clone(),
                external_id: role.external_id.clone(),
                session: SESSION.to_owned(),
            });
            let source = CredentialSource::Ambient;
            let settings = CredentialSettings { source, role, region: region.to_owned(), endpoint: None };
            Arc::new(AwsCredentials::new(settings, self.clock))
        });
        Arc::clone(known)
    }
}
