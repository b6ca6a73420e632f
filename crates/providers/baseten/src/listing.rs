//! Listing of a team's models in one region.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use roadstead_model as model;
use roadstead_provider::tags::ListedEndpoint;
use roadstead_provider::{Inventory, ProviderError, record};
use roadstead_rest::{Listable, ListedPlace, ManagedService};

use crate::driver::Baseten;
use crate::labels::DeploymentLabels;
use crate::models::{candidates, newest};
use crate::prices::terms;
use crate::service::{self, DeploymentCalls};
use crate::wire::{BasetenModel, DeploymentPhase, DeploymentView, Prices};

/// Models that are read at once.
const AT_ONCE: usize = 16;

/// A listed model of this installation.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedModel {
    model: BasetenModel,
    /// Its newest deployment with our labels.
    deployment: DeploymentView,
    labels: DeploymentLabels,
    record: String,
}

impl Baseten {
    async fn row(&self, model: BasetenModel) -> Result<Option<ListedModel>, ProviderError> {
        let Some(deployment) = newest(&self.client, &model).await? else { return Ok(None) };
        let Some(labels) = DeploymentLabels::of(&deployment) else { return Ok(None) };
        if labels.owner.install_id != self.install_id() {
            return Ok(None);
        }
        let calls = DeploymentCalls { model: &model.id, deployment: &deployment.id };
        let record = self.records.of(&self.client, calls).await?;
        Ok(Some(ListedModel { model, deployment, labels, record }))
    }
}

#[async_trait]
impl Listable for Baseten {
    type Row = ListedModel;

    async fn list(&self) -> Result<ListedPlace<Self::Row>, ProviderError> {
        let models = candidates(&self.client, &self.team().await?.id).await?;
        let read: Vec<Option<ListedModel>> =
            stream::iter(models).map(|model| self.row(model)).buffer_unordered(AT_ONCE).try_collect().await?;
        let rows: BTreeMap<String, ListedModel> =
            read.into_iter().flatten().map(|row| (row.model.name.clone(), row)).collect();
        self.records.keep(|id| rows.values().any(|row| row.deployment.id == id));
        let found = rows.values().filter_map(found).collect();
        let read = self.terms.newest(async |now| {
            let prices: Prices = self.client.call(service::prices()).await?.json()?;
            Ok(terms(&prices, now))
        });
        let terms = read.await;
        let refused = self.terms.refusal();
        Ok(ListedPlace { inventory: Inventory { found, terms, refused, ..Inventory::default() }, rows })
    }
}

/// A model as a rebuilt hub may adopt it; `None` where its labels do not give the name that it has.
fn found(row: &ListedModel) -> Option<model::Found> {
    let ListedModel { model, deployment, labels, record } = row;
    let wanted = deployment.autoscaling_settings.map_or(0, |settings| settings.min_replica);
    labels.owner.found(ListedEndpoint {
        name: &model.name,
        id: &model.id,
        accelerators: record::runs(record).map_or(0, |runs| runs.accelerator.count),
        replicas: if deployment.phase() == DeploymentPhase::Inactive { 0 } else { wanted },
        ready_replicas: deployment.active_replica_count,
        record,
        created_at: model.created(),
    })
}
