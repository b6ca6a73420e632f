//! Listing of a place. It takes a call for each thirty endpoints, and one for each that is not at rest: its deployments are the news.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::driver::AzureMl;
use crate::ownership::found;
use crate::wire::{OnlineDeploymentView, OnlineView};
use roadstead_azure::marks::INSTALL_ID;

/// An endpoint, with its deployments unless it is at rest.
#[derive(PartialEq)]
pub struct ListedOnline {
    view: OnlineView,
    deployments: Option<Vec<OnlineDeploymentView>>,
}

#[async_trait]
impl Listable for AzureMl {
    type Row = ListedOnline;

    async fn list(&self) -> Result<ListedPlace<ListedOnline>, ProviderError> {
        let listing = self.calls.endpoints(INSTALL_ID, self.install_id()).await?;
        let cut = listing.cut.then(|| {
            let count = listing.items.len();
            format!("the workspace has more endpoints than the operator lists ({count} were read)")
        });
        let found = listing.items.iter().filter_map(found).collect();
        let restless = self.restless().clone();
        let mut rows = BTreeMap::new();
        for view in listing.items {
            let is_restless = restless.contains(&view.name);
            let deployments = if is_restless { Some(self.calls.deployments(&view.name).await?) } else { None };
            rows.insert(view.name.clone(), ListedOnline { view, deployments });
        }
        Ok(ListedPlace { rows, inventory: Inventory { found, cut, ..Inventory::default() } })
    }
}
