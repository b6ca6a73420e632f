//! Tokens of Entra ID for requests to services of Azure, of the pod's own identity.

use std::sync::{Arc, OnceLock};

use roadstead_azure::{EntraCredentials, EntraIdentity, EntraParts, authority, authority_reach};
use roadstead_azureopenai::TRAFFIC_SCOPE;
use roadstead_gateway::Key;
use roadstead_rest::Authorize;
use roadstead_runtime::clock::Clock;

use super::renewal::MintedToken;

/// Asks for tokens.
pub struct EntraMint {
    clock: Clock,
    credentials: OnceLock<Arc<EntraCredentials>>,
}

impl EntraMint {
    /// Tokens at this time.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, credentials: OnceLock::new() }
    }

    /// A new token of the pod's identity.
    ///
    /// # Errors
    /// The cause, without a secret.
    pub async fn mint(&self) -> Result<MintedToken, String> {
        let credentials = self.credentials()?;
        let from = self.clock.wall();
        let token = credentials.renewed().await.map_err(|error| credentials.conceal(&error.message))?;
        Ok(MintedToken { key: Key::new(token.value.expose()), from, until: token.ends })
    }

    fn credentials(&self) -> Result<Arc<EntraCredentials>, String> {
        if let Some(known) = self.credentials.get() {
            return Ok(Arc::clone(known));
        }
        let authority = authority(None).map_err(|error| error.to_string())?;
        let credentials = Arc::new(EntraCredentials::new(EntraParts {
            identity: EntraIdentity::Workload,
            scope: TRAFFIC_SCOPE,
            reach: authority_reach(&authority),
            authority,
            meter: Arc::new(()),
            clock: self.clock,
        }));
        Ok(Arc::clone(self.credentials.get_or_init(|| credentials)))
    }
}
