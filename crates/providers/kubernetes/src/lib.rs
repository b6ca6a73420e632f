//! Clusters: a Deployment, a Service, a `PodDisruptionBudget` and Secrets for each endpoint.
//!
//! `watched` is what a member shows by itself, `survey` what is there of one endpoint, `render` what should be there,
//! `objects` the writes, `removal` the way back to nothing, `read` what a survey says about progress and trouble, `proxied` the probe through the API server, `claim` the owner of the member.

mod admission;
mod claim;
pub mod cluster;
mod copies;
mod differences;
pub mod found;
mod identity;
mod mark;
mod member;
pub mod nodes;
mod objects;
mod ownership;
pub mod pods;
mod proxied;
mod read;
pub mod refusal;
mod removal;
pub mod render;
pub mod requests;
mod spare;
mod survey;
mod watched;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use roadstead_model as model;

use self::admission::Admissions;
use self::member::Member;
pub use self::read::probe as recorded_probe;
use self::survey::Survey;
use self::watched::{Watched, Watches};
use roadstead_api::v1alpha1::{Engine, ExternalId, InferenceEndpoint, names};
use roadstead_provider::address::{self, Reach};
use roadstead_provider::launch;
use roadstead_provider::probe::{self, Probe, ProbeAnswer, ProbeWay};
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, Observation, ProviderError, Redacted, Removal, Site, Wanted,
    Workload,
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
    reach: Reach,
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
            reach: address::elsewhere,
        }
    }

    /// The same for a cluster whose endpoints may lead wherever `reach` lets them.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    fn watched(&self) -> Result<&Arc<Watched>, ProviderError> {
        self.watched
            .get()
            .ok_or_else(|| ProviderError::new(ErrorClass::Transient, "the watches of the member have not started"))
    }

    fn member(&self) -> Member<'_> {
        Member {
            client: &self.client,
            namespace: &self.namespace,
            install_id: &self.install_id,
            admissions: &self.admissions,
            identity: self.identity.get().map(String::as_str).unwrap_or_default(),
        }
    }
}

#[async_trait]
impl Site for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn capabilities(&self) -> Capabilities {
        let engines = Engine::ALL.iter().map(|engine| engine.as_str().to_owned()).collect();
        let sources = launch::SOURCES.iter().map(|scheme| (*scheme).to_owned()).collect();
        Capabilities { engines: Some(engines), sources: Some(sources), ..Capabilities::default() }
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
        let (shown, tasks) = Watched::start(&self.client, &self.namespace, &self.install_id, listener);
        // This call holds the lock, so no other one sets it.
        let _ = self.watched.set(shown);
        *watches = Some(tasks);
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.watched.get().and_then(|watched| watched.inventory())
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    async fn ask(&self, probe: &Probe) -> ProbeAnswer {
        match &probe.way {
            ProbeWay::Address | ProbeWay::Gateways => probe::ask(probe, self.reach).await,
            ProbeWay::ApiServer { path, health } => proxied::ask(&self.client, path, health, probe).await,
        }
    }
}

#[async_trait]
impl Workload for Kubernetes {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        let survey = Box::pin(Survey::take(&self.member(), wanted)).await?;
        read::observation(&survey, wanted, self.watched()?, &self.member())
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        let survey = Box::pin(Survey::take(&self.member(), wanted)).await?;
        let inventory = self.watched()?.inventory();
        let made = Box::pin(survey.put_right(&self.member(), wanted, inventory.as_deref())).await?;
        Ok(made.into_id(&self.member()))
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        removal::remove(&self.member(), endpoint).await
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        removal::remove_found(&self.member(), found).await
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        let member = self.member();
        let (api, mark): (Api<Secret>, _) = (member.api(), member.mark(endpoint));
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
                    "Secret {name} on the member contains no valid API key; delete it, and the operator recreates it"
                ),
            )
        })
    }
}
