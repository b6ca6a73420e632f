//! Listing of a place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace};

use crate::calls::VertexCalls;
use crate::ownership::{INSTALL_ID, found};
use crate::wire::{VertexView, id_of};

/// Interval between two listings. Each takes a call for each hundred endpoints.
pub const INTERVAL: Duration = Duration::from_secs(20);

/// The endpoints of an installation in one project and location.
pub struct LocationEndpoints {
    /// The services.
    pub calls: Arc<VertexCalls>,
    /// Id of this installation.
    pub install_id: String,
}

#[async_trait]
impl Listable for LocationEndpoints {
    type Row = VertexView;

    async fn list(&self) -> Result<ListedPlace<VertexView>, ProviderError> {
        let listing = self.calls.endpoints(INSTALL_ID, &self.install_id).await?;
        let cut = listing.cut.then(|| {
            let count = listing.items.len();
            format!("the project has more endpoints in this location than the operator lists ({count} were read)")
        });
        let rows: BTreeMap<String, VertexView> =
            listing.items.into_iter().map(|view| (id_of(&view.name).to_owned(), view)).collect();
        let found = rows.values().filter_map(found).collect();
        Ok(ListedPlace { rows, inventory: Inventory { found, cut, ..Inventory::default() } })
    }
}
