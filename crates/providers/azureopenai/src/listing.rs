//! Listing of a place, with the quotas now and then.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_azure::marks::{INSTALL_ID, get};
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::driver::AzureOpenAi;
use crate::ownership::found;
use crate::wire::CatalogDeployment;

#[async_trait]
impl Listable for AzureOpenAi {
    type Row = CatalogDeployment;

    async fn list(&self) -> Result<ListedPlace<CatalogDeployment>, ProviderError> {
        let listing = self.calls.deployments().await?;
        let cut = listing.cut.then(|| {
            let count = listing.items.len();
            format!("the account has more deployments than the operator lists ({count} were read)")
        });
        let is_ours = |view: &CatalogDeployment| get(&view.tags, INSTALL_ID) == self.install_id();
        let ours = listing.items.into_iter().filter(is_ours);
        let rows: BTreeMap<String, CatalogDeployment> = ours.map(|view| (view.name.clone(), view)).collect();
        let found = rows.values().filter_map(found).collect();
        let terms = self.newest_terms(rows.values()).await;
        Ok(ListedPlace {
            rows,
            inventory: Inventory { found, cut, terms, refused: self.terms_refusal(), ..Inventory::default() },
        })
    }
}
