//! Routes and reports of gateways, as the shared state knows them and as the planner sees them.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::drained::drained;
use super::stored;
use super::verified;
use crate::controller::context::Context;
use crate::controller::fleet::{AtGateways, TakeOver};
use crate::controller::routing::Concerned;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use roadstead_runtime::cache::{Change, Key};

impl Context {
    /// The route of a deployment, as its Secret has it.
    #[must_use]
    pub fn route_of(&self, deployment: &ModelDeployment) -> Option<Arc<Secret>> {
        let gateway = self.settings.gateway.as_ref()?;
        let name = names::route_secret(&deployment.uid()?);
        self.caches.routes.get(&Key::new(&gateway.namespace, name))
    }

    /// The routes of this installation to a deployment of this name, whatever its UID was.
    #[must_use]
    pub fn routes_of(&self, key: &Key) -> Vec<Arc<Secret>> {
        let is_of = |secret: &Arc<Secret>| {
            let ours = secret.labels().get(names::LABEL_INSTALL_ID) == Some(&self.settings.install_id);
            ours && stored::read(secret).is_some_and(|route| route.namespace == key.namespace && route.name == key.name)
        };
        self.caches.routes.list().into_iter().filter(is_of).collect()
    }

    /// A route changed, by our own write or by another hand.
    pub fn route_changed(&self, change: &Change<Secret>) {
        let (Change::Upserted { new: secret, .. } | Change::Deleted(secret)) = change;
        if let Some(route) = stored::read(secret) {
            let key = Key::new(route.namespace, route.name);
            self.traffic_changed(&key);
            self.queues.traffic.add(key, ());
        }
    }

    /// The route of a deployment changed: its endpoints take over what it says of them.
    pub fn traffic_changed(&self, deployment: &Key) {
        if let Some(object) = self.caches.deployments.get(deployment) {
            for endpoint in self.endpoints_of(&object) {
                self.see_endpoint(&endpoint);
            }
        }
    }

    /// A gateway reported, or ended: what has drained may go, and what it has verified may serve.
    pub fn gateways_reported(&self) {
        let gateways: Vec<_> = self.caches.reports.list().iter().map(|report| stored::acks(report)).collect();
        let mut concerned = Vec::new();
        for route in self.caches.routes.list().iter().filter_map(|secret| stored::read(secret)) {
            if verified::is_due(&route, &gateways) {
                self.queues.traffic.add(Key::new(&route.namespace, &route.name), ());
            }
            for name in drained(&route, &gateways) {
                let key = Key::new(&route.namespace, name);
                if self.is_drained(&key) {
                    continue;
                }
                self.drained.change(&key, |()| ());
                if let Some(endpoint) = self.caches.endpoints.get(&key) {
                    self.see_endpoint(&endpoint);
                    concerned.push(Concerned::Deployment(Key::new(&route.namespace, &route.name)));
                }
            }
        }
        self.wake(concerned);
    }

    /// Puts an endpoint into the planner's view.
    pub fn see_endpoint(&self, endpoint: &InferenceEndpoint) {
        self.see_endpoint_of(endpoint, self.deployment_of(endpoint).as_deref());
    }

    /// Puts an endpoint of this owner into the planner's view.
    pub fn see_endpoint_of(&self, endpoint: &InferenceEndpoint, owner: Option<&ModelDeployment>) {
        let key = Key::of(endpoint);
        let (gateways, failed_at) = (self.at_gateways(endpoint, owner), self.looks.failed_at(&key));
        self.fleet.endpoint_changed(endpoint, owner, gateways, failed_at);
        // Another watch may have shown meanwhile that it is gone: nobody would take it out again, nor let its target go.
        if self.caches.endpoints.get(&key).is_none() {
            self.fleet.endpoint_deleted(&key);
            self.wake([Concerned::Target(endpoint.spec.target.clone())]);
        }
    }

    /// Reports of gateways about an endpoint.
    #[must_use]
    pub fn at_gateways(&self, endpoint: &InferenceEndpoint, owner: Option<&ModelDeployment>) -> AtGateways {
        let is_checked = self.settings.gateway.is_some() && verified::is_successor(endpoint, owner);
        let known = || {
            let route = owner.and_then(|owner| self.route_of(owner)).and_then(|secret| stored::read(&secret))?;
            route.endpoint(&endpoint.name_any()).cloned()
        };
        let take_over = match is_checked.then(known) {
            None => TakeOver::Open,
            Some(None) => TakeOver::Unverified,
            Some(Some(known)) => TakeOver::of(&known),
        };
        AtGateways { drained: self.is_drained(&Key::of(endpoint)), take_over }
    }

    /// True if gateways have said that nothing is in flight at an endpoint that takes no new request.
    fn is_drained(&self, endpoint: &Key) -> bool {
        self.drained.see(endpoint, |()| ()).is_some()
    }
}
