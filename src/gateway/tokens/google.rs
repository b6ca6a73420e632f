//! `OAuth` tokens of Google Cloud: of the pod's identity, or of a service account that it acts as.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use roadstead_gateway::Key;
use roadstead_google::{ActingAs, GoogleAddresses, GoogleCredentials, GoogleIdentity, GoogleParts};
use roadstead_provider::address;
use roadstead_rest::Authorize;
use roadstead_runtime::clock::Clock;

use super::renewal::MintedToken;

/// Asks for tokens.
pub struct GoogleMint {
    clock: Clock,
    /// By the account that is acted as.
    known: Mutex<BTreeMap<Option<String>, KnownIdentity>>,
}

/// An identity of the pod, and the credentials that are made of it.
struct KnownIdentity {
    identity: GoogleIdentity,
    credentials: Arc<GoogleCredentials>,
}

impl GoogleMint {
    /// Tokens at this time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// A new token of the pod's identity or of this account. The metadata server gives a former one again while it has time left.
    ///
    /// # Errors
    /// The cause, without a secret.
    pub async fn mint(&self, account: Option<&str>) -> Result<MintedToken, String> {
        let credentials = self.credentials(account)?;
        let from = self.clock.wall();
        let token = credentials.renewed().await.map_err(|error| credentials.conceal(&error.message))?;
        Ok(MintedToken { key: Key::new(token.value.expose()), from, until: token.ends })
    }

    /// The credentials of the pod. Its credential file is read each time: a changed one is followed without a restart.
    fn credentials(&self, account: Option<&str>) -> Result<Arc<GoogleCredentials>, String> {
        let identity = GoogleIdentity::of_pod().map_err(|error| error.message)?;
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = account.map(ToOwned::to_owned);
        if let Some(known) = all.get(&name).filter(|known| known.identity == identity) {
            return Ok(Arc::clone(&known.credentials));
        }
        let credentials = Arc::new(GoogleCredentials::new(GoogleParts {
            identity: identity.clone(),
            acting_as: name.clone().map(|email| ActingAs { email }),
            addresses: GoogleAddresses::of(None).map_err(|error| error.to_string())?,
            reach: address::elsewhere,
            meter: Arc::new(()),
            clock: self.clock,
        }));
        all.insert(name, KnownIdentity { identity, credentials: Arc::clone(&credentials) });
        Ok(credentials)
    }
}
