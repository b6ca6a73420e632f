//! Models of a team: those that can be ours, and what their deployments say.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use roadstead_api::v1alpha1::names;
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::RestClient;

use crate::form::RECORD;
use crate::labels::DeploymentLabels;
use crate::place::id;
use crate::service::{self, DeploymentCalls, TeamCalls};
use crate::wire::{BasetenModel, ConfigView, DeploymentView, Deployments, Models};

/// Records of deployments by their ids. The config of a deployment never changes.
#[derive(Default)]
pub struct Records {
    known: Mutex<BTreeMap<String, String>>,
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of a deployment; empty where it has none.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn of(&self, client: &RestClient, calls: DeploymentCalls<'_>) -> Result<String, ProviderError> {
        if let Some(known) = self.lock().get(calls.deployment) {
            return Ok(known.clone());
        }
        let ConfigView { config } = client.call(calls.config()).await?.json()?;
        let record = config["environment_variables"][RECORD].as_str().unwrap_or_default().to_owned();
        self.lock().insert(calls.deployment.to_owned(), record.clone());
        Ok(record)
    }

    /// Forgets the records of deployments that are not there any more.
    pub fn keep(&self, deployments: impl Fn(&str) -> bool) {
        self.lock().retain(|id, _| deployments(id));
    }
}

/// The models of a team whose names can be those of endpoints.
///
/// # Errors
/// The failure of the call.
pub async fn candidates(client: &RestClient, team: &str) -> Result<Vec<BasetenModel>, ProviderError> {
    let Models { models } = client.call(TeamCalls(team).list()).await?.json()?;
    Ok(models.into_iter().filter(|model| names::is_endpoint_name(&model.name) && id(&model.id).is_ok()).collect())
}

/// The newest deployment of a model with labels of ours; `None` where there is none, or the model has gone meanwhile.
///
/// # Errors
/// The failure of the call.
pub async fn newest(client: &RestClient, model: &BasetenModel) -> Result<Option<DeploymentView>, ProviderError> {
    let Deployments { deployments } = match client.call(service::deployments(&model.id)).await {
        Ok(answer) => answer.json()?,
        Err(failure) if failure.error.class == ErrorClass::NotFound => return Ok(None),
        Err(failure) => return Err(failure.into()),
    };
    let ours = deployments.into_iter().filter(|one| DeploymentLabels::of(one).is_some() && id(&one.id).is_ok());
    Ok(ours.max_by(|one, other| (&one.created_at, &one.id).cmp(&(&other.created_at, &other.id))))
}
