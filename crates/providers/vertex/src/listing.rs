//! Listing of a place. It takes a call for each hundred endpoints.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::driver::VertexAi;
use crate::ownership::{INSTALL_ID, found};
use crate::wire::{VertexView, id_of};

#[async_trait]
impl Listable for VertexAi {
    type Row = VertexView;

    async fn list(&self) -> Result<ListedPlace<VertexView>, ProviderError> {
        let listing = self.calls.endpoints(INSTALL_ID, self.install_id()).await?;
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
