//! Endpoints: made what they should be at their provider, watched until they answer, and removed until nothing is left.
//!
//! `hold` sees to the finalizers, `inputs` gathers the key and the Secrets, `intent` writes down what is about to be asked, `interruption`
//! delays an update that ends the last replica,
//! `serve` drives the provider, `witness` asks the endpoint itself, `heard` weighs
//! its answer and the word of the gateways, `status` and `health` say what came out, `remove` takes
//! the endpoint away. `memory` holds what is only worth keeping while the process lives.

mod first_creation;
#[cfg(test)]
mod foreign_tests;
mod health;
#[cfg(test)]
mod health_tests;
mod heard;
mod hold;
mod inputs;
mod intent;
mod interruption;
mod memory;
mod news;
mod remove;
mod seen;
mod serve;
mod status;
#[cfg(test)]
mod status_tests;
mod witness;

use std::sync::Arc;

use super::context::Context;
use super::error::ActError;
use super::trouble;
use super::watches::LIST_AGAIN;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

/// The controller of `InferenceEndpoint`s.
pub struct EndpointController {
    context: Arc<Context>,
    memory: memory::Memory,
}

impl EndpointController {
    /// The controller over `context`.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, memory: memory::Memory::default() }
    }

    /// The endpoint under `key` is none of ours.
    fn forget(&self, key: &Key) -> Outcome {
        self.memory.forget(key);
        self.context.hub.forget::<InferenceEndpoint>(key);
        self.context.looks.forget(key);
        self.context.named_secrets.forget(key);
        Outcome::Done
    }
}

impl Reconcile<Key> for EndpointController {
    const NAME: &'static str = "inferenceendpoint";
    type Decision = Option<Arc<InferenceEndpoint>>;
    type Error = ActError;

    fn is_ordinary(error: &ActError) -> bool {
        error.is_ordinary()
    }

    fn decide(&self, key: &Key) -> Self::Decision {
        self.context.caches.endpoints.get(key)
    }

    async fn act(&self, key: &Key, endpoint: Self::Decision) -> Result<Outcome, ActError> {
        let result = self.look(key, endpoint).await;
        if let Err(error) = &result {
            trouble::failed::<InferenceEndpoint>(&self.context, key, error).await;
        }
        result
    }

    async fn panicked(&self, key: &Key) {
        trouble::panicked::<InferenceEndpoint>(&self.context, key).await;
    }
}

impl EndpointController {
    async fn look(&self, key: &Key, endpoint: Option<Arc<InferenceEndpoint>>) -> Result<Outcome, ActError> {
        match endpoint {
            None => Ok(self.forget(key)),
            Some(endpoint) if self.context.is_foreign(&endpoint) => Ok(self.forget(key)),
            Some(_) if !self.context.knows(&key.namespace) => Ok(Outcome::Again(LIST_AGAIN)),
            Some(endpoint) if endpoint.metadata.deletion_timestamp.is_some() => {
                remove::remove(&self.context, &self.memory, &endpoint).await
            }
            Some(endpoint) => {
                let endpoint = hold::endpoint(&self.context, endpoint).await?;
                serve::serve(&self.context, &self.memory, &endpoint).await
            }
        }
    }
}
