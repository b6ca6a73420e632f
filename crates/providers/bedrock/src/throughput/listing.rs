//! Listing of a place: throughputs and their tags.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use super::driver::{BedrockThroughput, TYPES};
use super::wire::TaggedThroughput;
use crate::ownership::{ListedHere, found};

#[async_trait]
impl Listable for BedrockThroughput {
    type Row = TaggedThroughput;

    async fn list(&self) -> Result<ListedPlace<TaggedThroughput>, ProviderError> {
        let mut tagged = self.calls.tagged(&TYPES, names::LABEL_INSTALL_ID, self.install_id()).await?;
        let all = self.calls.throughputs().await?;
        let cut = all.cut.then(|| {
            let count = all.items.len();
            format!(
                "the account has more provisioned throughputs in this region than the operator lists ({count} were read)"
            )
        });
        let mut rows = BTreeMap::new();
        for view in all.items {
            if let Some(tags) = tagged.remove(&view.provisioned_model_arn) {
                rows.insert(view.provisioned_model_name.clone(), TaggedThroughput { view, tags });
            }
        }
        let found = rows.values().filter_map(|one| found(listed(one), &one.tags)).collect();
        Ok(ListedPlace { rows, inventory: Inventory { found, cut, ..Inventory::default() } })
    }
}

fn listed(one: &TaggedThroughput) -> ListedHere<'_> {
    let view = &one.view;
    let (name, created) = (&view.provisioned_model_name, &view.creation_time);
    ListedHere { name, id: one.uid(), is_ready: view.serves(), created }
}
