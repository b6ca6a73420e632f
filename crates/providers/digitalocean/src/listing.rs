//! Listing of a team's instances in one region.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::tags::ListedEndpoint;
use roadstead_provider::{Inventory, ProviderError};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::catalogue::terms;
use crate::driver::DedicatedInference;
use crate::marks::{DedicatedMarks, endpoint};
use crate::wire::{DedicatedState, DedicatedView};

/// A listed instance of this installation.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedInstance {
    view: DedicatedView,
    marks: DedicatedMarks,
}

#[async_trait]
impl Listable for DedicatedInference {
    type Row = ListedInstance;

    async fn list(&self) -> Result<ListedPlace<Self::Row>, ProviderError> {
        let views = self.calls.list(Some(&self.place.region)).await?;
        let marked = views.into_iter().filter_map(|view| Some((DedicatedMarks::read(&view.spec.name)?, view)));
        let ours = marked.filter(|(marks, _)| marks.owner.install_id == self.install_id());
        let row = |(marks, view): (DedicatedMarks, DedicatedView)| {
            (endpoint(&view.spec.name).to_owned(), ListedInstance { view, marks })
        };
        let rows: BTreeMap<String, ListedInstance> = ours.map(row).collect();
        let found = rows.iter().filter_map(|(name, row)| found(name, row)).collect();
        let region = &self.place.region;
        let terms = self.terms.newest(async |now| Ok(terms(&self.calls.sizes().await?, region, now))).await;
        let refused = self.terms.refusal();
        Ok(ListedPlace { rows, inventory: Inventory { found, terms, refused, ..Inventory::default() } })
    }
}

/// An instance as a rebuilt hub may adopt it, in the form that its deployment has now: the service keeps no record. `None` where its marks do
/// not give the name that it has.
fn found(name: &str, ListedInstance { view, marks }: &ListedInstance) -> Option<model::Found> {
    let serves = matches!(view.state(), DedicatedState::Active | DedicatedState::Updating);
    let replicas = view.spec.replicas();
    marks.owner.found(ListedEndpoint {
        name,
        id: &view.id,
        accelerators: 0,
        replicas,
        ready_replicas: if serves { replicas } else { 0 },
        record: "",
        created_at: created(&view.created_at).unwrap_or_default(),
    })
}

fn created(time: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some(Timestamp(time.as_second()))
}
