//! Keeps the inventory of a service current: services have no watch, so they are listed at intervals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_provider::{ErrorClass, Inventory, Listener, NewestInventory, ProviderError, ProviderEvent};
use roadstead_runtime::panics::caught;
use tokio::task::AbortHandle;

use crate::failure::refusal;

/// Pause after a failed listing.
const PAUSE: Duration = Duration::from_secs(5);

/// One listing of a place.
#[derive(Debug)]
pub struct ListedPlace<T> {
    /// Endpoints of this installation by name: one that differs from its former self is news.
    pub rows: BTreeMap<String, T>,
    /// The inventory.
    pub inventory: Inventory,
}

/// A place that can be listed.
#[async_trait]
pub trait Listable: Send + Sync + 'static {
    /// An endpoint as a listing shows it.
    type Row: PartialEq + Send + Sync;

    /// Lists the endpoints of this installation.
    ///
    /// # Errors
    /// The failure of a call.
    async fn list(&self) -> Result<ListedPlace<Self::Row>, ProviderError>;
}

/// Listing that continues until this is dropped.
pub struct PlaceListing {
    task: AbortHandle,
}

impl Drop for PlaceListing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PlaceListing {
    /// Lists `place` of the service with this title at intervals, and reports news to `listener`.
    pub fn start(
        title: &'static str,
        place: Arc<impl Listable>,
        interval: Duration,
        known: Arc<NewestInventory>,
        listener: Listener,
    ) -> Self {
        let task = tokio::spawn(async move {
            let mut before = BTreeMap::new();
            loop {
                let pause = match place.list().await {
                    Ok(ListedPlace { rows, inventory }) => {
                        caught(title, || report(&before, &rows, inventory, &known, &listener));
                        before = rows;
                        interval
                    }
                    Err(error) => {
                        tracing::debug!(%error, "cannot list; retrying");
                        if let Some(words) = refusal(&error)
                            && known.refuse(Some(words))
                        {
                            caught(title, || listener(ProviderEvent::Inventory));
                        }
                        pause_after(&error, interval)
                    }
                };
                tokio::time::sleep(pause).await;
            }
        });
        Self { task: task.abort_handle() }
    }
}

/// Pause after a failed listing: as long as the service asks for.
fn pause_after(error: &ProviderError, interval: Duration) -> Duration {
    match error.class {
        ErrorClass::Throttled { after: Some(after) } => after.max(PAUSE),
        _ => PAUSE.min(interval),
    }
}

fn report<T: PartialEq>(
    before: &BTreeMap<String, T>,
    rows: &BTreeMap<String, T>,
    inventory: Inventory,
    known: &NewestInventory,
    listener: &Listener,
) {
    if known.take(inventory) {
        listener(ProviderEvent::Inventory);
    }
    changed(before, rows).for_each(|name| listener(ProviderEvent::Endpoint(name.to_owned())));
}

/// The names of the endpoints that are not in one listing as they are in the other.
fn changed<'a, T: PartialEq>(
    before: &'a BTreeMap<String, T>,
    after: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = &'a str> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let other = after.iter().filter(|(name, row)| before.get(*name) != Some(row)).map(|(name, _)| name);
    other.chain(gone).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
    }

    #[test]
    fn only_what_came_changed_or_went_is_news() {
        let before = rows(&[("a", "Creating"), ("b", "InService"), ("c", "Deleting")]);
        let after = rows(&[("a", "InService"), ("b", "InService"), ("d", "Creating")]);
        assert_eq!(changed(&before, &after).collect::<Vec<_>>(), ["a", "d", "c"]);
    }

    #[test]
    fn a_failed_listing_is_repeated_soon_unless_the_service_asks_for_a_pause() {
        let after = |class| pause_after(&ProviderError::new(class, "no"), Duration::from_secs(20));
        assert_eq!(after(ErrorClass::Transient), PAUSE);
        assert_eq!(after(ErrorClass::Throttled { after: Some(Duration::from_secs(61)) }), Duration::from_secs(61));
    }
}
