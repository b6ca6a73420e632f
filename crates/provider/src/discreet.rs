//! A provider that never repeats secrets: a place may answer with the endpoint's key.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_model as model;

use crate::address::Reach;
use crate::probe::{Probe, ProbeAnswer};
use crate::{
    Capabilities, Claim, Inventory, Listener, Observation, Progress, Provider, ProviderError, Redacted, Removal, Site,
    Wanted, Workload,
};
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};

/// Decorates a [`Provider`]: the secrets of an endpoint are taken out of every text about it.
pub struct Discreet<P> {
    inner: P,
}

impl<P: Provider> Discreet<P> {
    /// Takes secrets out of what `inner` says.
    pub fn new(inner: P) -> Self {
        Self { inner }
    }
}

fn conceal_error(wanted: &Wanted, error: &ProviderError) -> ProviderError {
    ProviderError { class: error.class, message: wanted.conceal(&error.message) }
}

fn conceal(wanted: &Wanted, observation: Observation) -> Observation {
    match observation {
        Observation::Absent => Observation::Absent,
        Observation::Foreign { message } => Observation::Foreign { message: wanted.conceal(&message) },
        Observation::Present(mut present) => {
            if let Progress::Starting { message } = &mut present.progress {
                *message = wanted.conceal(message);
            }
            if let Some(trouble) = &mut present.trouble {
                trouble.message = wanted.conceal(&trouble.message);
            }
            Observation::Present(present)
        }
    }
}

#[async_trait]
impl<P: Provider> Site for Discreet<P> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        self.inner.identity().await
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.inner.claim(hub_uid, takeover).await
    }

    fn watch(&self, listener: Listener) {
        self.inner.watch(listener);
    }

    fn refusal(&self) -> Option<String> {
        self.inner.refusal()
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.inner.inventory()
    }

    fn check_interval(&self) -> Duration {
        self.inner.check_interval()
    }

    fn reach(&self) -> Reach {
        self.inner.reach()
    }

    async fn ask(&self, probe: &Probe) -> ProbeAnswer {
        self.inner.ask(probe).await
    }
}

#[async_trait]
impl<P: Provider> Workload for Discreet<P> {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        let observation = self.inner.observe(wanted).await.map_err(|error| conceal_error(wanted, &error))?;
        Ok(conceal(wanted, observation))
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        self.inner.ensure(wanted).await.map_err(|error| conceal_error(wanted, &error))
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        self.inner.remove(endpoint).await
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        self.inner.remove_found(found).await
    }

    fn issues_keys(&self) -> bool {
        self.inner.issues_keys()
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        self.inner.api_key(endpoint).await
    }
}
