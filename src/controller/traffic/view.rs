//! Routes and reports of gateways, as the shared state knows them and as the planner sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use roadstead_gateway::{Route, State, WitnessRequest};

use super::drained::{AtRoute, drained};
use super::services::{self, ServiceAccess};
use super::stored;
use super::verified;
use super::witness::{self, GatewayReport, GatewayWord};
use crate::controller::context::Context;
use crate::controller::fleet::{AtGateways, TakeOver};
use crate::controller::routing::Concerned;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, ProbeVia, names};
use roadstead_runtime::cache::{Change, Key};

/// Time for which a report counts as that of a living gateway: three times the interval at which gateways that are asked steadily
/// write.
const FRESH: Duration = Duration::from_secs(30);

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

    /// A gateway reported, or ended: what has drained may go, what it has verified may serve, and what it sees may decide the
    /// health of an endpoint.
    pub fn gateways_reported(&self, change: &Change<ConfigMap>) {
        match change {
            // The first listing shows what was written at any time.
            Change::Upserted { old, new }
                if old.is_some() || self.caches.reports.has_listed(&Key::of(new.as_ref())) =>
            {
                self.reported_at.change(&new.name_any(), |at| *at = Some((self.clock.now(), true)));
            }
            Change::Upserted { new, .. } => {
                self.reported_at.change(&new.name_any(), |at| *at = Some((self.clock.now(), false)));
            }
            Change::Deleted(old) => self.reported_at.forget(&old.name_any()),
        }
        let reports = self.gateway_reports();
        self.hosted_reported(change);
        let gateways: Vec<_> = reports.iter().map(|report| report.acks.clone()).collect();
        let mut concerned = Vec::new();
        for route in self.caches.routes.list().iter().filter_map(|secret| stored::read(secret)) {
            concerned.extend(self.newly_witnessed(&route, &reports));
            for endpoint in route.endpoints.iter().filter(|endpoint| endpoint.state != State::Draining) {
                self.drained.forget(&Key::new(&route.namespace, &endpoint.name));
            }
            if verified::is_due(&route, &gateways) {
                self.queues.traffic.add(Key::new(&route.namespace, &route.name), ());
            }
            for name in drained(&route, &gateways) {
                let key = Key::new(&route.namespace, name);
                if self.is_drained(&key) {
                    continue;
                }
                self.drained.change(&key, |()| ());
                concerned.push(Concerned::Endpoint(key.clone()));
                if let Some(endpoint) = self.caches.endpoints.get(&key) {
                    self.see_endpoint(&endpoint);
                    concerned.push(Concerned::Deployment(Key::new(&route.namespace, &route.name)));
                }
            }
        }
        self.wake(concerned);
    }

    /// Endpoints of which the word of the gateways is another one than before, and the deployment about whose endpoints they are
    /// to be asked.
    fn newly_witnessed(&self, route: &Route, reports: &[GatewayReport]) -> Vec<Concerned> {
        let mut concerned = Vec::new();
        for endpoint in &route.endpoints {
            let key = Key::new(&route.namespace, &endpoint.name);
            let word = witness::word(route, &endpoint.name, reports);
            let former = self.words.change(&key, |known| std::mem::replace(known, word));
            if former != word {
                concerned.push(Concerned::Endpoint(key));
            }
            let is_missed = |report: &GatewayReport| {
                let of = report.acks.sees.get(&route.uid).and_then(|of| of.get(&endpoint.name));
                of.is_some_and(|sight| !sight.answers)
            };
            if reports.iter().any(is_missed) != (endpoint.asked == WitnessRequest::Steadily) {
                self.queues.traffic.add(Key::new(&route.namespace, &route.name), ());
            }
        }
        concerned
    }

    /// Contact of gateways with an endpoint, by its route and their reports.
    #[must_use]
    pub fn at_route(&self, endpoint: &InferenceEndpoint) -> AtRoute {
        let route = self.deployment_of(endpoint).and_then(|owner| self.route_of(&owner));
        let route = route.and_then(|secret| stored::read(&secret));
        let state = route.as_ref().and_then(|route| route.endpoint(&endpoint.name_any())).map(|known| known.state);
        let reports = !self.caches.reports.list().is_empty();
        AtRoute {
            is_used: reports && matches!(state, Some(State::Active | State::Draining)),
            is_drained: state == Some(State::Draining) && self.is_drained(&Key::of(endpoint)),
        }
    }

    /// The reports of all gateways.
    #[must_use]
    pub fn gateway_reports(&self) -> Vec<GatewayReport> {
        let now = self.clock.now();
        let is_fresh = |report: &ConfigMap| {
            let at = self.reported_at.see(&report.name_any(), |at| *at).flatten();
            at.is_some_and(|(at, renewed)| renewed && now.saturating_duration_since(at) < FRESH)
        };
        let reports = self.caches.reports.list();
        reports.iter().map(|report| GatewayReport { acks: stored::acks(report), fresh: is_fresh(report) }).collect()
    }

    /// Reports that have not changed for this long while this process watched them.
    #[must_use]
    pub fn silent_reports(&self, time: Duration) -> Vec<Arc<ConfigMap>> {
        let now = self.clock.now();
        let is_silent = |report: &Arc<ConfigMap>| {
            let at = self.reported_at.see(&report.name_any(), |at| *at).flatten();
            at.is_some_and(|(at, _)| now.saturating_duration_since(at) >= time)
        };
        self.caches.reports.list().into_iter().filter(is_silent).collect()
    }

    /// The word of the gateways about an endpoint.
    #[must_use]
    pub fn word_of_gateways(&self, endpoint: &InferenceEndpoint) -> GatewayWord {
        let route = self.deployment_of(endpoint).and_then(|owner| self.route_of(&owner));
        let route = route.and_then(|secret| stored::read(&secret));
        route.map(|route| witness::word(&route, &endpoint.name_any(), &self.gateway_reports())).unwrap_or_default()
    }

    /// Names of the endpoints whose target leaves it to the gateways to ask them.
    #[must_use]
    pub fn probed_by_gateways<'a>(
        &self,
        endpoints: impl IntoIterator<Item = &'a InferenceEndpoint>,
    ) -> BTreeSet<String> {
        let is_one = |endpoint: &&InferenceEndpoint| {
            let target = self.caches.targets.get(&Key::cluster(&endpoint.spec.target));
            target.is_some_and(|target| target.spec.probe_via() == ProbeVia::Gateway)
        };
        endpoints.into_iter().filter(is_one).map(ResourceExt::name_any).collect()
    }

    /// Access to the endpoints at managed services, by name.
    #[must_use]
    pub fn service_access<'a>(
        &self,
        endpoints: impl IntoIterator<Item = &'a InferenceEndpoint>,
    ) -> BTreeMap<String, ServiceAccess> {
        let access = |endpoint: &InferenceEndpoint| {
            let target = self.caches.targets.get(&Key::cluster(&endpoint.spec.target))?;
            let name = endpoint.name_any();
            let access = services::access(&target, &name)?;
            Some((name, access))
        };
        endpoints.into_iter().filter_map(access).collect()
    }

    /// Names of the model at endpoints whose service chooses them, by endpoint.
    #[must_use]
    pub fn renamed_models<'a>(
        &self,
        endpoints: impl IntoIterator<Item = &'a InferenceEndpoint>,
    ) -> BTreeMap<String, String> {
        let name = |endpoint: &InferenceEndpoint| {
            let target = self.caches.targets.get(&Key::cluster(&endpoint.spec.target))?;
            let own = endpoint.name_any();
            let name = target.spec.name_of_model(&own, endpoint.spec.template.model.source.as_deref())?.to_owned();
            Some((own, name))
        };
        endpoints.into_iter().filter_map(name).collect()
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
