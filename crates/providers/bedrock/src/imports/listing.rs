//! Listing of a place: models, the jobs that import, and the tags of both.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use super::driver::{Bedrock, TYPES};
use super::wire::{ImportView, TaggedImport};
use crate::ownership::{ListedHere, found};

#[async_trait]
impl Listable for Bedrock {
    type Row = TaggedImport;

    async fn list(&self) -> Result<ListedPlace<TaggedImport>, ProviderError> {
        let mut tagged = self.calls.tagged(&TYPES, names::LABEL_INSTALL_ID, self.install_id()).await?;
        let models = self.calls.models().await?;
        let cut = models.cut.then(|| {
            let count = models.items.len();
            format!("the account has more imported models in this region than the operator lists ({count} were read)")
        });
        let importing = self.importing().await?.into_iter();
        let views = models.items.into_iter().map(ImportView::Model).chain(importing.map(ImportView::Job));
        let mut rows = BTreeMap::new();
        for view in views {
            if let Some(tags) = tagged.remove(view.arn()) {
                rows.insert(view.name().to_owned(), TaggedImport { view, tags });
            }
        }
        let found = rows.values().filter_map(|import| found(listed(import, &import.uid()), &import.tags)).collect();
        Ok(ListedPlace { rows, inventory: Inventory { found, cut, ..Inventory::default() } })
    }
}

fn listed<'a>(import: &'a TaggedImport, id: &'a str) -> ListedHere<'a> {
    let (created, is_ready) = match &import.view {
        ImportView::Model(model) => (&model.creation_time, true),
        ImportView::Job(job) => (&job.creation_time, false),
    };
    ListedHere { name: import.view.name(), id, is_ready, created }
}
