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
    identities: Mutex<BTreeMap<Option<String>, Arc<GoogleCredentials>>>,
}

impl GoogleMint {
    /// Tokens at this time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, identities: Mutex::default() }
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

    fn credentials(&self, account: Option<&str>) -> Result<Arc<GoogleCredentials>, String> {
        let mut identities = self.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let name = account.map(ToOwned::to_owned);
        if let Some(known) = identities.get(&name) {
            return Ok(Arc::clone(known));
        }
        let credentials = Arc::new(GoogleCredentials::new(GoogleParts {
            identity: GoogleIdentity::Workload,
            acting_as: name.clone().map(|email| ActingAs { email }),
            addresses: GoogleAddresses::of(None).map_err(|error| error.to_string())?,
            reach: address::elsewhere,
            meter: Arc::new(()),
            clock: self.clock,
        }));
        identities.insert(name, Arc::clone(&credentials));
        Ok(credentials)
    }
}
