//! Listing of a namespace.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::tags::{EndpointTags, ListedEndpoint};
use roadstead_provider::{Inventory, ProviderError, record};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::driver::HuggingFace;
use crate::service::all;
use crate::view::{HubState, HubView, RECORD};

#[async_trait]
impl Listable for HuggingFace {
    type Row = (EndpointTags, HubView);

    async fn list(&self) -> Result<ListedPlace<Self::Row>, ProviderError> {
        let views = all(&self.endpoints, &self.paths).await?;
        let owned = views.into_iter().filter_map(|view| Some((view.owner()?, view)));
        let ours = owned.filter(|(owner, _)| owner.install_id == self.install_id());
        let rows: BTreeMap<String, Self::Row> = ours.map(|(owner, view)| (view.name.clone(), (owner, view))).collect();
        let found = rows.values().filter_map(|(owner, view)| found(owner, view)).collect();
        let views = rows.values().map(|(_, view)| view);
        let awake = views.filter(|view| view.state() != HubState::Paused && self.terms.is_of(&view.provider));
        let terms = self.terms.newest(&self.endpoints, &self.paths, awake.map(|view| &view.compute)).await;
        let refused = self.terms.refusal();
        Ok(ListedPlace { rows, inventory: Inventory { found, terms, refused, ..Inventory::default() } })
    }
}

/// An endpoint as a rebuilt hub may adopt it; `None` where its owner and part do not give the name that it has.
fn found(owner: &EndpointTags, view: &HubView) -> Option<model::Found> {
    let record = view.variable(RECORD).unwrap_or_default();
    let paused = view.state() == HubState::Paused;
    owner.found(ListedEndpoint {
        name: &view.name,
        id: &view.uid(),
        accelerators: record::runs(record).map_or(0, |runs| runs.accelerator.count),
        replicas: if paused { 0 } else { view.compute.scaling.min_replica },
        ready_replicas: view.status.ready_replica,
        record,
        created_at: created(&view.status.created_at).unwrap_or_default(),
    })
}

fn created(time: &str) -> Option<Timestamp> {
    let time: k8s_openapi::jiff::Timestamp = time.parse().ok()?;
    Some(Timestamp(time.as_second()))
}
