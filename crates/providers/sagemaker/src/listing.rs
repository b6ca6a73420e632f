//! Listing of a place: SageMaker says states and tags in two listings, which take two calls, and two more for each hundred
//! endpoints.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::driver::SageMaker;
use crate::ownership::found;
use crate::wire::{EndpointRow, TagMap, tag_map};

#[async_trait]
impl Listable for SageMaker {
    type Row = (EndpointRow, TagMap);

    async fn list(&self) -> Result<ListedPlace<Self::Row>, ProviderError> {
        let tagged = self.services.tagged_endpoints(names::LABEL_INSTALL_ID, self.install_id()).await?;
        let all = self.services.endpoints().await?;
        let cut = (tagged.cut || all.cut).then(|| {
            let count = all.items.len();
            format!("the account has more endpoints in this region than the operator lists ({count} were read)")
        });
        // ARNs have names in lower case; those of ours are.
        let name_of = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let mut tags: BTreeMap<String, TagMap> =
            tagged.items.into_iter().map(|row| (name_of(&row.arn), tag_map(row.tags))).collect();
        let ours = all.items.into_iter().filter_map(|row| {
            let tags = tags.remove(&row.endpoint_name)?;
            Some((row.endpoint_name.clone(), (row, tags)))
        });
        let rows: BTreeMap<String, Self::Row> = ours.collect();
        let found = rows.values().filter_map(|(row, tags)| found(row, tags)).collect();
        Ok(ListedPlace { rows, inventory: Inventory { found, cut, ..Inventory::default() } })
    }
}
