//! The claim of a hub, which the tags of what it made hold: Bedrock has nothing free that could.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use roadstead_provider::{Claim, ProviderError};
use roadstead_rest::claim_by_endpoints;

use crate::calls::BedrockCalls;
use crate::ownership::{self, HUB};
use crate::wire::BedrockTags;

/// The hub that has the claim; empty before there is one.
#[derive(Debug, Default)]
pub struct BedrockHub(RwLock<String>);

impl BedrockHub {
    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Claims a place for the hub `hub_uid`, where these resources are marked by other hubs.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn claim(
        &self,
        calls: &BedrockCalls,
        others: BTreeMap<String, String>,
        hub_uid: &str,
        takeover: Option<&str>,
    ) -> Result<Claim, ProviderError> {
        let claim = claim_by_endpoints(others.values().map(String::as_str), hub_uid, takeover);
        if claim == Claim::Ours {
            // Every one is of the hub that gives way: without the new mark, it would claim the place again.
            for arn in others.keys() {
                calls.tag(arn, &BedrockTags::from([(HUB.to_owned(), hub_uid.to_owned())])).await?;
            }
            hub_uid.clone_into(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(claim)
    }
}

/// The tagged resources that were marked by another hub than this one, which is the value, by ARN.
#[must_use]
pub fn of_other_hubs(tagged: BTreeMap<String, BedrockTags>, hub_uid: &str) -> BTreeMap<String, String> {
    let hubs = tagged.into_iter().map(|(arn, tags)| (arn, ownership::get(&tags, HUB).to_owned()));
    hubs.filter(|(_, hub)| !hub.is_empty() && hub != hub_uid).collect()
}
