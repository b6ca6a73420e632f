//! A provider that counts and times every call to the one inside it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_model as model;

use crate::telemetry::metrics::Metrics;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{Probe, ProbeAnswer};
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, Observation, Provider, ProviderError, Redacted, Removal,
    Site, Wanted, Workload,
};
use roadstead_runtime::clock::Clock;

/// The calls that are counted.
const OPERATIONS: [&str; 7] = ["identity", "claim", "observe", "ensure", "remove", "remove_found", "api_key"];
/// Result of a call without a failure.
const SUCCESS: &str = "success";

/// Decorates a [`Provider`] with metrics; the calls themselves are unchanged.
pub struct Metered<P> {
    inner: P,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl<P: Provider> Metered<P> {
    /// Counts the calls of `inner` in `metrics`, from zero.
    pub fn new(inner: P, metrics: Arc<Metrics>, clock: Clock) -> Self {
        let results = [&[SUCCESS], &ErrorClass::NAMES[..]].concat();
        metrics.provider_used(inner.name(), &OPERATIONS, &results);
        Self { inner, metrics, clock }
    }

    async fn count<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let start = self.clock.now();
        let result = call.await;
        let outcome = result.as_ref().map_or_else(|error| error.class.as_str(), |_| SUCCESS);
        self.metrics.provider_request(self.inner.name(), operation, outcome, self.clock.now() - start);
        result
    }
}

#[async_trait]
impl<P: Provider> Site for Metered<P> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        self.count("identity", self.inner.identity()).await
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.count("claim", self.inner.claim(hub_uid, takeover)).await
    }

    fn watch(&self, listener: Listener) {
        self.inner.watch(listener);
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.inner.inventory()
    }

    fn refusal(&self) -> Option<String> {
        self.inner.refusal()
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
impl<P: Provider> Workload for Metered<P> {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        self.count("observe", self.inner.observe(wanted)).await
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        self.count("ensure", self.inner.ensure(wanted)).await
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        self.count("remove", self.inner.remove(endpoint)).await
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        self.count("remove_found", self.inner.remove_found(found)).await
    }

    fn issues_keys(&self) -> bool {
        self.inner.issues_keys()
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        self.count("api_key", self.inner.api_key(endpoint)).await
    }
}
