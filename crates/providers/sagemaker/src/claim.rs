//! Claim of a hub on an account and region: a model package group, which is free and needs no image.

use roadstead_api::v1alpha1::names;
use roadstead_provider::{Claim, ErrorClass, ProviderError};

use crate::place::SageMakerPlace;
use crate::service::{Creation, Services};
use crate::wire::TagMap;

/// Kind of the claim in ARNs.
const KIND: &str = "model-package-group";
/// Tag with the UID of the hub.
const HUB: &str = "roadstead.dev/hub-uid";

/// Claims the place for the hub `hub_uid`, taking it over from `takeover` if that hub has it.
///
/// # Errors
/// The failure of a call.
pub async fn claim(
    services: &Services,
    place: &SageMakerPlace,
    install_id: &str,
    hub_uid: &str,
    takeover: Option<&str>,
) -> Result<Claim, ProviderError> {
    let name = format!("roadstead-{install_id}");
    let arn = place.arn(KIND, &name);
    if !services.has_claim(&name).await? {
        let tags = TagMap::from([
            (HUB.to_owned(), hub_uid.to_owned()),
            (names::LABEL_INSTALL_ID.to_owned(), install_id.to_owned()),
            (names::LABEL_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned()),
        ]);
        if services.create_claim(&name, &tags).await? == Creation::Made {
            return Ok(Claim::Ours);
        }
    }
    let holder = services.tags(&arn).await?.and_then(|tags| tags.get(HUB).cloned());
    match holder {
        Some(holder) if holder == hub_uid => Ok(Claim::Ours),
        Some(holder) if Some(holder.as_str()) == takeover => {
            services.add_tags(&arn, &TagMap::from([(HUB.to_owned(), hub_uid.to_owned())])).await?;
            Ok(Claim::Ours)
        }
        Some(holder) => Ok(Claim::Other { hub_uid: holder }),
        None => {
            let message =
                format!("the model package group {name} has no tag {HUB}; delete it, so that the operator creates it");
            Err(ProviderError::new(ErrorClass::Conflict, message))
        }
    }
}
