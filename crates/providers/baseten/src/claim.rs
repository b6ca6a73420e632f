//! Claim of a hub on a team: a secret whose name has the hub's UID. The service lists names of secrets, and never values; a secret costs
//! nothing.

use roadstead_provider::{Claim, ErrorClass, ProviderError};
use roadstead_rest::RestClient;
use serde_json::json;

use crate::service::TeamCalls;
use crate::wire::{SecretView, Secrets};

/// Installation that claims a team.
pub struct Claimant<'a> {
    /// The management API.
    pub client: &'a RestClient,
    /// Id of the team.
    pub team: &'a str,
    /// Installation.
    pub install_id: &'a str,
}

impl Claimant<'_> {
    /// Claims the team for the hub `hub_uid`, taking it over from `takeover` if that hub has it. Of two hubs that claim a team for the
    /// first time at once, the older secret holds, and the hub of the other one takes it back.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let mut holders = self.holders().await?;
        let gives_way = |holder: &str| Some(holder) == takeover && holder != hub_uid;
        if !holders.iter().any(|holder| holder == hub_uid) && holders.iter().all(|holder| gives_way(holder)) {
            let secret = json!({"name": self.secret(hub_uid), "value": "claimed"});
            self.client.call(TeamCalls(self.team).upsert_secret(&secret)?).await?;
            holders = self.holders().await?;
        }
        match holders.iter().find(|holder| !gives_way(holder)) {
            Some(holder) if holder == hub_uid => {
                for former in holders.iter().filter(|holder| gives_way(holder)) {
                    self.delete(former).await?;
                }
                Ok(Claim::Ours)
            }
            Some(holder) => {
                if holders.iter().any(|holder| holder == hub_uid) {
                    self.delete(hub_uid).await?;
                }
                Ok(Claim::Other { hub_uid: holder.clone() })
            }
            None => {
                let message = format!("Baseten does not show the secret {} yet", self.secret(hub_uid));
                Err(ProviderError::new(ErrorClass::Transient, message))
            }
        }
    }

    /// Takes back the claim of a hub.
    async fn delete(&self, hub_uid: &str) -> Result<(), ProviderError> {
        match self.client.call(TeamCalls(self.team).delete_secret(&self.secret(hub_uid))).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// Name of the secret with which a hub claims the team. No installation id has an underscore.
    fn secret(&self, hub_uid: &str) -> String {
        format!("roadstead-claim_{}_{hub_uid}", self.install_id)
    }

    /// UIDs of the hubs that claim the team, in the order of their claims.
    async fn holders(&self) -> Result<Vec<String>, ProviderError> {
        let Secrets { mut secrets } = self.client.call(TeamCalls(self.team).secrets()).await?.json()?;
        secrets.sort_by(|one, other| (&one.created_at, &one.name).cmp(&(&other.created_at, &other.name)));
        let prefix = self.secret("");
        let hub = |secret: &SecretView| secret.name.strip_prefix(&prefix).map(ToOwned::to_owned);
        Ok(secrets.iter().filter_map(hub).collect())
    }
}
