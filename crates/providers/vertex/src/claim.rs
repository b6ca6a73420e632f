//! Claim of a hub on a project and location: an endpoint without a model, which costs nothing.

use roadstead_provider::{Claim, ErrorClass, ProviderError};
use roadstead_rest::wait_for;

use crate::calls::{VERTEX_AI, VertexCalls};
use crate::wire::{EndpointForm, LabelMap, VertexView};

/// Label with the UID of the hub.
const HUB: &str = "roadstead-hub-uid";
/// Label with the installation; another one than that of endpoints, whose listing does not show the claim.
const CLAIM: &str = "roadstead-claim";

/// Claims the place for the hub `hub_uid`, taking it over from `takeover` if that hub has it.
///
/// # Errors
/// The failure of a call.
pub async fn claim(
    calls: &VertexCalls,
    install_id: &str,
    hub_uid: &str,
    takeover: Option<&str>,
) -> Result<Claim, ProviderError> {
    let name = format!("roadstead-claim-{install_id}");
    let labels = LabelMap::from([(HUB.to_owned(), hub_uid.to_owned()), (CLAIM.to_owned(), install_id.to_owned())]);
    let view = match calls.endpoint(&name).await? {
        Some(view) => view,
        None => create(calls, &name, &labels).await?,
    };
    match view.labels.get(HUB).map(String::as_str) {
        Some(holder) if holder == hub_uid => Ok(Claim::Ours),
        Some(holder) if Some(holder) == takeover => {
            calls.label(&name, &labels).await?;
            Ok(Claim::Ours)
        }
        Some(holder) => Ok(Claim::Other { hub_uid: holder.to_owned() }),
        None => {
            let message = format!("the endpoint {name} has no label {HUB}; delete it, so that the operator creates it");
            Err(ProviderError::new(ErrorClass::Conflict, message))
        }
    }
}

/// Creates the claim; another hub may have been faster, so it is read again.
async fn create(calls: &VertexCalls, name: &str, labels: &LabelMap) -> Result<VertexView, ProviderError> {
    let form = EndpointForm {
        display_name: name.to_owned(),
        labels: labels.clone(),
        dedicated_endpoint_enabled: false,
        client_connection_config: None,
    };
    calls.create(name, &form).await?;
    wait_for(VERTEX_AI.title, &format!("endpoint {name}"), || calls.endpoint(name)).await
}
