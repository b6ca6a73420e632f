//! Targets: connected, identified, claimed, watched over; in use they cannot vanish.
//!
//! `connect` turns credentials into a driver, `check` asks the place who it is, `status` says what came out, and
//! `retire` holds a deleted target until its last endpoint is gone.

mod attention;
mod check;
mod connect;
pub mod news;
mod retire;
mod status;

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::error::ActError;
use super::orphans;
use super::trouble;
use roadstead_api::v1alpha1::ServingTarget;
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

/// Interval of the check of a target's reachability and identity.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The controller of `ServingTarget`s.
pub struct TargetController {
    context: Arc<Context>,
    capacity: status::CapacityWrites,
}

impl TargetController {
    /// The controller over `context`.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, capacity: status::CapacityWrites::default() }
    }
}

impl Reconcile<Key> for TargetController {
    const NAME: &'static str = "servingtarget";
    type Decision = Option<Arc<ServingTarget>>;
    type Error = ActError;

    fn is_ordinary(error: &ActError) -> bool {
        error.is_ordinary()
    }

    fn decide(&self, key: &Key) -> Self::Decision {
        self.context.caches.targets.get(key)
    }

    async fn act(&self, key: &Key, target: Self::Decision) -> Result<Outcome, ActError> {
        let result = self.look(key, target).await;
        if let Err(error) = &result {
            trouble::failed::<ServingTarget>(&self.context, key, error).await;
        }
        result
    }

    async fn panicked(&self, key: &Key) {
        trouble::panicked_on_target(&self.context, key).await;
    }
}

impl TargetController {
    async fn look(&self, key: &Key, target: Option<Arc<ServingTarget>>) -> Result<Outcome, ActError> {
        let Some(target) = target else {
            self.context.connections.remove(&key.name);
            self.context.metrics.target_gone(&key.name);
            self.context.orphans.forget(&key.name);
            self.capacity.forget(key);
            self.context.hub.forget::<ServingTarget>(key);
            return Ok(Outcome::Done);
        };
        if target.metadata.deletion_timestamp.is_some() && retire::retire(&self.context, &target).await? {
            return Ok(Outcome::Done);
        }
        let target = retire::protect(&self.context, target).await?;
        let connection = check::check(&self.context, &target).await;
        let before = self.context.connections.get(&key.name);
        let state_changed = before.is_none_or(|before| before.state != connection.state);
        self.context.connections.set(&key.name, connection);
        self.context.refresh_target(&key.name);
        orphans::look_at(&self.context, &target);
        status::report(&self.context, &self.capacity, &target).await?;
        if state_changed {
            self.context.target_state_changed(&key.name);
        }
        Ok(Outcome::Again(CHECK_INTERVAL))
    }
}
