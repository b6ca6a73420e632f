//! Clusters: a Deployment, a Service, a `PodDisruptionBudget` and Secrets for each endpoint.
//!
//! `facts` is what a member shows by itself, `survey` what is there of one endpoint, `render` what should be there,
//! `objects` the writes, `removal` the way back to nothing, `read` what a survey says about progress and trouble, `claim` whose the member is.

mod admission;
mod claim;
pub mod cluster;
mod differences;
pub mod engine;
mod facts;
pub mod found;
pub mod nodes;
mod objects;
mod ownership;
pub mod pods;
mod read;
pub mod refusal;
mod removal;
pub mod render;
pub mod requests;
mod spare;
mod survey;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use roadstead_model as model;

use self::admission::Admissions;
use self::facts::{Watched, Watches};
use self::survey::{Site, Survey};
use roadstead_api::v1alpha1::{InferenceEndpoint, names};
use roadstead_provider::{
    Claim, ErrorClass, Facts, Listener, Observation, Provider, ProviderError, Redacted, Removal, Wanted,
};

/// The driver of one cluster.
pub struct Kubernetes {
    client: Client,
    namespace: String,
    install_id: String,
    watched: OnceLock<Arc<Watched>>,
    watches: Mutex<Option<Watches>>,
    identity: OnceLock<String>,
    admissions: Admissions,
}

impl Kubernetes {
    /// A driver for the cluster behind `client`, working in `namespace` under `install_id`.
    #[must_use]
    pub fn new(client: Client, namespace: String, install_id: String) -> Self {
        Self {
            client,
            namespace,
            install_id,
            watched: OnceLock::new(),
            watches: Mutex::new(None),
            identity: OnceLock::new(),
            admissions: Admissions::default(),
        }
    }

    fn watched(&self) -> Result<&Arc<Watched>, ProviderError> {
        self.watched.get().ok_or_else(|| ProviderError::new(ErrorClass::Transient, "the member is not watched yet"))
    }

    fn site(&self) -> Site<'_> {
        Site {
            client: &self.client,
            namespace: &self.namespace,
            install_id: &self.install_id,
            admissions: &self.admissions,
        }
    }

    fn identity_seen(&self) -> String {
        self.identity.get().cloned().unwrap_or_default()
    }
}

#[async_trait]
impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let uid = claim::cluster_uid(&self.client).await?;
        // What is said about endpoints is said about the cluster that was met first.
        let _ = self.identity.set(uid.clone());
        Ok(uid)
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        claim::claim(&self.client, &self.namespace, &self.install_id, hub_uid, takeover).await
    }

    fn watch(&self, listener: Listener) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if watches.is_some() {
            return;
        }
        let (facts, tasks) = Watched::start(&self.client, &self.namespace, &self.install_id, listener);
        // The lock is held: nobody else sets it.
        let _ = self.watched.set(facts);
        *watches = Some(tasks);
    }

    fn facts(&self) -> Option<Arc<Facts>> {
        self.watched.get().and_then(|watched| watched.facts())
    }

    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        let survey = Box::pin(Survey::take(&self.site(), wanted)).await?;
        read::observation(&survey, wanted, self.watched()?, &self.site(), &self.identity_seen())
    }

    async fn apply(&self, wanted: &Wanted) -> Result<(), ProviderError> {
        let survey = Box::pin(Survey::take(&self.site(), wanted)).await?;
        let facts = self.watched()?.facts();
        Box::pin(survey.put_right(&self.site(), wanted, facts.as_deref())).await
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        removal::remove(&self.site(), endpoint).await
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        removal::remove_found(&self.site(), found).await
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        let site = self.site();
        let (api, mark): (Api<Secret>, _) = (site.api(), site.mark(endpoint));
        let name = names::key_secret(endpoint);
        let Some(secret) = objects::read(&api, &name).await? else { return Ok(None) };
        if !mark.is_on(&secret) {
            return Err(mark.missing_on(&secret));
        }
        let value = secret.data.as_ref().and_then(|data| data.get(names::API_KEY));
        let key = value.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok()).filter(|key| names::is_api_key(key));
        key.map(|key| Some(Redacted::new(key))).ok_or_else(|| {
            ProviderError::new(
                ErrorClass::Invalid,
                format!(
                    "Secret {name} on the member holds no API key of the expected form; delete it to have it made anew"
                ),
            )
        })
    }
}
