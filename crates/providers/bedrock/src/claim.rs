//! Claim of a hub: Bedrock has nothing that is free and can be tagged, so the models of an installation say which hub made them.

use roadstead_api::v1alpha1::names;
use roadstead_provider::Claim;

use crate::ownership::{HUB, get};
use crate::wire::BedrockTags;

/// Claim of the hub `hub_uid` on a place whose endpoints have these tags.
pub fn claim<'a>(
    tags: impl Iterator<Item = &'a BedrockTags>,
    install_id: &str,
    hub_uid: &str,
    takeover: Option<&str>,
) -> Claim {
    let hubs = tags.filter(|tags| get(tags, names::LABEL_INSTALL_ID) == install_id).map(|tags| get(tags, HUB));
    let mut others = hubs.filter(|hub| !hub.is_empty() && *hub != hub_uid && Some(*hub) != takeover);
    others.next().map_or(Claim::Ours, |other| Claim::Other { hub_uid: other.to_owned() })
}
