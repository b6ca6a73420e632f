//! Keeps the inventory of a place current: SageMaker has no watch, so it is listed at intervals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roadstead_api::v1alpha1::names;
use roadstead_provider::{ErrorClass, Inventory, Listener, NewestInventory, ProviderError, ProviderEvent};
use roadstead_runtime::panics::caught;
use tokio::task::AbortHandle;

use crate::ownership::found;
use crate::service::Services;
use crate::wire::{EndpointRow, TagMap, tag_map};

/// Interval between two listings. Each takes two calls, and two more for each hundred endpoints.
pub const INTERVAL: Duration = Duration::from_secs(20);
/// Pause after a failed listing.
const PAUSE: Duration = Duration::from_secs(5);

/// Listing that continues until this is dropped.
pub struct SageMakerListing {
    task: AbortHandle,
}

impl Drop for SageMakerListing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Parts of a listing.
pub struct ListingParts {
    /// The services.
    pub services: Arc<Services>,
    /// Id of this installation.
    pub install_id: String,
    /// The inventory.
    pub known: Arc<NewestInventory>,
    /// Interval between two listings.
    pub interval: Duration,
}

impl SageMakerListing {
    /// Lists the place repeatedly, and reports news to `listener`.
    pub fn start(parts: ListingParts, listener: Listener) -> Self {
        Self { task: tokio::spawn(list(parts, listener)).abort_handle() }
    }
}

/// Endpoints of this installation by name, with their tags.
type Rows = BTreeMap<String, (EndpointRow, TagMap)>;

async fn list(parts: ListingParts, listener: Listener) {
    let mut before = Rows::new();
    loop {
        let pause = match rows(&parts).await {
            Ok((rows, cut)) => {
                caught("listing of SageMaker", || {
                    let found = rows.values().filter_map(|(row, tags)| found(row, tags)).collect();
                    if parts.known.take(Inventory { found, cut, ..Inventory::default() }) {
                        listener(ProviderEvent::Inventory);
                    }
                    changed(&before, &rows).for_each(|name| listener(ProviderEvent::Endpoint(name.to_owned())));
                });
                before = rows;
                parts.interval
            }
            Err(error) => {
                tracing::debug!(%error, "cannot list; retrying");
                match error.class {
                    ErrorClass::Throttled { after: Some(after) } => after.max(PAUSE),
                    _ => PAUSE.min(parts.interval),
                }
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// The endpoints of this installation, and why some may be missing.
async fn rows(parts: &ListingParts) -> Result<(Rows, Option<String>), ProviderError> {
    let tagged = parts.services.tagged_endpoints(names::LABEL_INSTALL_ID, &parts.install_id).await?;
    let all = parts.services.endpoints().await?;
    let cut = (tagged.cut || all.cut).then(|| {
        format!("the account has more endpoints in this region than the operator lists ({} were read)", all.items.len())
    });
    // ARNs have names in lower case; those of ours are.
    let name_of = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
    let mut tags: BTreeMap<String, TagMap> =
        tagged.items.into_iter().map(|row| (name_of(&row.arn), tag_map(row.tags))).collect();
    let ours = all.items.into_iter().filter_map(|row| {
        let tags = tags.remove(&row.endpoint_name)?;
        Some((row.endpoint_name.clone(), (row, tags)))
    });
    Ok((ours.collect(), cut))
}

/// The names of the endpoints that are not in one listing as they are in the other.
fn changed<'a>(before: &'a Rows, after: &'a Rows) -> impl Iterator<Item = &'a str> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let other = after.iter().filter(|(name, row)| before.get(*name) != Some(row)).map(|(name, _)| name);
    other.chain(gone).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Rows {
        let row = |(name, status): &(&str, &str)| {
            let row = EndpointRow {
                endpoint_name: (*name).to_owned(),
                endpoint_status: (*status).to_owned(),
                creation_time: 1.0,
                last_modified_time: 1.0,
            };
            ((*name).to_owned(), (row, TagMap::new()))
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn only_what_came_changed_or_went_is_news() {
        let before = rows(&[("a", "Creating"), ("b", "InService"), ("c", "Deleting")]);
        let after = rows(&[("a", "InService"), ("b", "InService"), ("d", "Creating")]);
        assert_eq!(changed(&before, &after).collect::<Vec<_>>(), ["a", "d", "c"]);
    }

    #[test]
    fn a_removal_is_not_forgotten_because_a_listing_lags() {
        let known = NewestInventory::default();
        assert!(known.take(Inventory::default()) && !known.take(Inventory::default()));
        known.removed("a");
        assert!(known.get().is_some_and(|inventory| inventory.found.is_empty()));
    }
}
