//! The planner's view of the world, kept in step with the caches, and the one place where plans are made.
//!
//! Everything that was decided but is not visible yet stands in here too (the ledger): a plan's new endpoints are
//! assumed at once, so that the next deployment is planned against them, and taken back if they could not be written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_model::{self as model, Plan, Timestamp};
use roadstead_planner as planner;

use super::connections::Connection;
use super::convert;
use super::error::ActError;
use crate::api::v1alpha1::{InferenceEndpoint, ModelDeployment, OfferCapacity, ServingTarget};
use crate::kube_ext::cache::Key;
use crate::kube_ext::clock::Clock;

#[derive(Default)]
struct Inner {
    fleet: planner::Fleet,
    /// Deployments that wait for something that a target's facts can change.
    unsettled: BTreeSet<Key>,
}

/// The planner's view of the world.
pub struct Fleet {
    inner: Mutex<Inner>,
    clock: Clock,
}

impl Fleet {
    /// An empty fleet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { inner: Mutex::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans `deployment` and assumes what the plan does. `name` gives a new endpoint its name. The plan comes with the
    /// deployments that are to be planned again because of it: this one has left the queue for replacements.
    ///
    /// # Errors
    /// [`ActError::Unsound`] if the plan breaks a hard rule: nothing of it is assumed.
    pub fn plan(
        &self,
        deployment: &model::Deployment,
        now: Timestamp,
        name: impl Fn(&model::Placement) -> String,
    ) -> Result<(Plan, BTreeSet<Key>), ActError> {
        let mut inner = self.lock();
        let plan = sound(&inner.fleet, deployment, planner::plan(&inner.fleet, deployment, now))?;
        let waited = inner.fleet.waits_for_turn(&deployment.id);
        inner.fleet.assume(deployment, &plan, name);
        let left = waited && !inner.fleet.waits_for_turn(&deployment.id);
        let key = Key::new(&deployment.id.namespace, &deployment.id.name);
        if plan.waits.is_empty() {
            inner.unsettled.remove(&key);
        } else {
            inner.unsettled.insert(key);
        }
        let again = if left { inner.unsettled.clone() } else { BTreeSet::new() };
        Ok((plan, again))
    }

    /// What `look` makes of everything that is known now.
    pub fn see<T>(&self, look: impl FnOnce(&planner::Fleet) -> T) -> T {
        look(&self.lock().fleet)
    }

    /// A deployment is no longer planned (gone, being deleted or invalid).
    pub fn forget_deployment(&self, key: &Key) {
        let mut inner = self.lock();
        inner.unsettled.remove(key);
        inner.fleet.leave_turn(&convert::deployment_id(key));
    }

    /// Puts back what is known of a deployment's endpoints, after a plan could not be carried out.
    pub fn restore(
        &self,
        key: &Key,
        known: impl IntoIterator<Item = Arc<InferenceEndpoint>>,
        owner: Option<&ModelDeployment>,
    ) {
        let mut inner = self.lock();
        let assumed: BTreeMap<_, _> = inner
            .fleet
            .endpoints_of(&convert::deployment_id(key))
            .map(|endpoint| (endpoint.key(), endpoint.bound.clone()))
            .collect();
        for key in assumed.keys() {
            inner.fleet.remove_endpoint(key);
        }
        for endpoint in known {
            let bound = assumed.get(&convert::endpoint_key(&endpoint)).cloned().unwrap_or_default();
            inner.fleet.upsert_endpoint(convert::endpoint(&endpoint, owner, bound));
        }
    }

    /// The keys of a deployment's endpoints, those that are only assumed included.
    pub fn endpoint_keys_of(&self, deployment: &Key) -> Vec<Key> {
        let inner = self.lock();
        inner.fleet.endpoints_of(&convert::deployment_id(deployment)).map(key_of).collect()
    }

    /// The keys of the endpoints on a target, those that are only assumed included.
    pub fn endpoint_keys_on(&self, target: &str) -> Vec<Key> {
        self.lock().fleet.endpoints_on(target).map(key_of).collect()
    }

    /// An endpoint is new or changed; `deployment` is its owner, if that is known.
    pub fn endpoint_changed(&self, endpoint: &InferenceEndpoint, deployment: Option<&ModelDeployment>) {
        let mut inner = self.lock();
        let bound =
            inner.fleet.endpoint(&convert::endpoint_key(endpoint)).map(|known| known.bound.clone()).unwrap_or_default();
        inner.fleet.upsert_endpoint(convert::endpoint(endpoint, deployment, bound));
    }

    /// An endpoint is gone.
    pub fn endpoint_deleted(&self, key: &Key) {
        self.lock()
            .fleet
            .remove_endpoint(&model::EndpointKey { namespace: key.namespace.clone(), name: key.name.clone() });
    }

    /// A target, its connection or its facts may have changed; says whether that can matter to those who wait.
    pub fn target_changed(&self, target: &ServingTarget, connection: Option<&Connection>) -> bool {
        let mut inner = self.lock();
        let facts = connection.and_then(Connection::facts);
        let converted = convert::target(target, connection, facts.as_deref(), self.clock.wall());
        let name = converted.name.clone();
        let mut matters = inner.fleet.target(&name) != Some(&converted);
        inner.fleet.upsert_target(converted);
        inner.fleet.set_found(&name, facts.as_ref().map(|facts| facts.found.clone()).unwrap_or_default());
        let Some(facts) = facts else { return matters };
        // What has a record is known; what has none may be somebody's who waits.
        matters |= facts.found.iter().any(|found| inner.fleet.endpoint(&key_of_found(found)).is_none());
        let none = BTreeMap::new();
        let bound = |name: &str| facts.bound.get(name).unwrap_or(&none);
        let moved: Vec<model::Endpoint> = inner
            .fleet
            .endpoints_on(&name)
            .filter(|endpoint| endpoint.bound != *bound(&endpoint.name))
            .cloned()
            .collect();
        matters |= !moved.is_empty();
        for endpoint in moved {
            let bound = bound(&endpoint.name).clone();
            inner.fleet.upsert_endpoint(model::Endpoint { bound, ..endpoint });
        }
        matters
    }

    /// A target's place confirmed that what had this name there is gone.
    pub fn removed(&self, target: &str, name: &str) {
        self.lock().fleet.remove_found(target, name);
    }

    /// A target is gone.
    pub fn target_deleted(&self, name: &str) {
        self.lock().fleet.remove_target(name);
    }

    /// The deployments that wait for something that a target's facts can change.
    pub fn unsettled(&self) -> BTreeSet<Key> {
        self.lock().unsettled.clone()
    }

    /// The deployments that have an endpoint on the target.
    pub fn deployments_on(&self, target: &str) -> BTreeSet<Key> {
        self.lock()
            .fleet
            .endpoints_on(target)
            .map(|endpoint| Key::new(&endpoint.deployment.namespace, &endpoint.deployment.name))
            .collect()
    }

    /// What is free on the target, by offer; nothing until it has told what runs there.
    pub fn capacity(&self, target: &str) -> Vec<OfferCapacity> {
        let inner = self.lock();
        let told = inner.fleet.target(target).filter(|target| target.inventory == model::Inventory::Answered);
        if told.is_none() {
            return Vec::new();
        }
        let offers = inner.fleet.members_of(target);
        offers.map(|(offer, members, usable)| convert::capacity(offer, members, &usable)).collect()
    }

    /// How many replacements are under way at `now`.
    pub fn replacements_under_way(&self, now: Timestamp) -> u32 {
        self.lock().fleet.replacements_under_way(now)
    }

    /// The hard rule about the target that the deployment breaks, whatever was decided before.
    pub fn rule_against(&self, deployment: &model::Deployment, target: &str) -> Option<model::Reason> {
        self.lock().fleet.rule_against(deployment, target)
    }
}

/// The plan, if it breaks no hard rule: what decides is not trusted to have kept them.
fn sound(fleet: &planner::Fleet, deployment: &model::Deployment, plan: Plan) -> Result<Plan, ActError> {
    let violations = planner::lint(fleet, deployment, &plan);
    if violations.is_empty() {
        return Ok(plan);
    }
    let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
    Err(ActError::Unsound { violations: violations.join("; ") })
}

fn key_of_found(found: &model::Found) -> model::EndpointKey {
    model::EndpointKey { namespace: found.deployment.namespace.clone(), name: found.name.clone() }
}

fn key_of(endpoint: &model::Endpoint) -> Key {
    Key::new(&endpoint.deployment.namespace, &endpoint.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(placement: &Value) -> model::Deployment {
        let object: ModelDeployment = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "llama"},
            "spec": {
                "serving": {"engine": "custom", "image": "i:1", "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]},
                "placement": placement,
            },
        }))
        .unwrap();
        convert::deployment(&object, BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_plan_that_breaks_a_hard_rule_is_not_carried_out() {
        let target: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "allowedNamespaces": {},
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                            "capacityType": "OnDemand", "hourlyPrice": "40.00", "maxInstances": 1}],
            },
        }))
        .unwrap();
        let mut fleet = planner::Fleet::new();
        fleet.upsert_target(model::Target {
            state: model::TargetState::Ready,
            nodes: None,
            inventory: model::Inventory::Answered,
            ..convert::target(&target, None, None, jiff::Timestamp::UNIX_EPOCH)
        });
        let anywhere = request(&json!({}));
        let plan = planner::plan(&fleet, &anywhere, Timestamp(1_000));
        assert_eq!(plan.decision, model::Decision::InitialPlacement);
        assert!(sound(&fleet, &anywhere, plan.clone()).is_ok());
        let error = sound(&fleet, &request(&json!({"jurisdictions": ["EU"]})), plan).unwrap_err();
        assert!(error.to_string().contains("east: a rule of the deployment"), "{error}");
    }
}
