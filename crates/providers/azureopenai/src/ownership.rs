//! Tags of a deployment beside those that all resources have. Pure.

use roadstead_azure::ArmTags;
use roadstead_azure::marks::{self, ArmMark, get, seconds};
use roadstead_model as model;
use roadstead_provider::Redacted;
use roadstead_provider::tags::ListedEndpoint;

use crate::wire::CatalogDeployment;

/// Key of the endpoint. Azure guards the account, so that the key opens nothing; a rebuilt hub reads it here.
pub const KEY: &str = "roadstead-endpoint-key";
/// UID of the hub that wrote the tags.
const HUB: &str = "roadstead-hub-uid";

/// Tags of an endpoint.
///
/// # Errors
/// If the mark cannot be written as JSON, which would be a defect.
pub fn tags(mark: &ArmMark, record: Option<&str>, key: &Redacted, hub: &str) -> Result<ArmTags, serde_json::Error> {
    let mut tags = marks::mark_tags(mark, record)?;
    tags.insert(KEY.to_owned(), key.expose().to_owned());
    tags.insert(HUB.to_owned(), hub.to_owned());
    Ok(tags)
}

/// The hub that wrote the tags; empty where they do not say.
#[must_use]
pub fn hub(tags: &ArmTags) -> &str {
    get(tags, HUB)
}

/// Identity of a deployment at the place.
#[must_use]
pub fn uid(view: &CatalogDeployment) -> String {
    marks::uid_of(&view.system_data.created_at)
}

/// A listed deployment as a rebuilt hub may adopt it; `None` where its tags do not give its name.
#[must_use]
pub fn found(view: &CatalogDeployment) -> Option<model::Found> {
    let mark = ArmMark::read(&view.tags)?;
    mark.tags.found(ListedEndpoint {
        name: &view.name,
        id: &uid(view),
        accelerators: mark.accelerators,
        replicas: mark.replicas,
        ready_replicas: if view.is_up() { mark.replicas } else { 0 },
        record: &marks::record_of(&view.tags),
        created_at: seconds(&view.system_data.created_at),
    })
}
