//! Claim of a hub on a workspace: an environment without versions, which costs nothing.

use roadstead_provider::{Claim, ErrorClass, ProviderError};

use crate::calls::AzureMlCalls;
use roadstead_azure::ArmTags;

/// Tag with the UID of the hub.
const HUB: &str = "roadstead-hub-uid";

/// Claims the place for the hub `hub_uid`, taking it over from `takeover` if that hub has it. Two hubs that claim a workspace for the
/// first time at once both read what the later one has written, at their next check at the latest.
///
/// # Errors
/// The failure of a call.
pub async fn claim(
    calls: &AzureMlCalls,
    install_id: &str,
    hub_uid: &str,
    takeover: Option<&str>,
) -> Result<Claim, ProviderError> {
    let name = format!("roadstead-claim-{install_id}");
    let ours = ArmTags::from([(HUB.to_owned(), hub_uid.to_owned())]);
    let known = match calls.environment_tags(&name).await? {
        Some(known) => known,
        None => written(calls, &name, &ours).await?,
    };
    let known = if takeover.is_some() && known.get(HUB).map(String::as_str) == takeover {
        written(calls, &name, &ours).await?
    } else {
        known
    };
    match known.get(HUB) {
        Some(holder) if holder == hub_uid => Ok(Claim::Ours),
        Some(holder) => Ok(Claim::Other { hub_uid: holder.clone() }),
        None => {
            let message = format!("the environment {name} has no tag {HUB}; archive it, and set the tag to {hub_uid}");
            Err(ProviderError::new(ErrorClass::Conflict, message))
        }
    }
}

/// Writes the claim, and reads it again: another hub may have been faster.
async fn written(calls: &AzureMlCalls, name: &str, tags: &ArmTags) -> Result<ArmTags, ProviderError> {
    calls.tag_environment(name, tags).await?;
    calls.environment_tags(name).await?.ok_or_else(|| {
        ProviderError::new(ErrorClass::Transient, format!("Azure ML does not show the environment {name} yet"))
    })
}
