//! Traffic: the route of each deployment, which gateways read. Only with a gateway.
//!
//! `build` makes the route from the deployment, its endpoints and keys; `keys` reads the keys, and `services` says what gateways need to know of managed services
//! instead; `hosted` says which hosted models may take requests; `witness` is what gateways say of
//! endpoints, `published` the mark of a complete set of routes. The route is one Secret
//! (docs/adr/0049-routes-are-secrets-of-one-namespace.md), written only when it says something new.

mod build;
#[cfg(test)]
mod build_tests;
pub mod drained;
pub mod hosted;
pub mod keys;
mod published;
mod record;
mod services;
mod shift;
pub mod stored;
pub mod verified;
mod view;
pub mod witness;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use roadstead_gateway::{Caller, Route, WitnessRequest};

use self::build::RouteFacts;
use self::drained::was_silent;
use self::stored::{ROUTE, read};
use super::context::Context;
use super::error::ActError;
use super::watches::LIST_AGAIN;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use roadstead_runtime::cache::Key;
use roadstead_runtime::kept::Kept;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

/// A gateway that is asked steadily and writes nothing for this long is dead, or cut off from the hub.
const MUTE: Duration = Duration::from_mins(1);

/// The controller of routes, by deployment.
pub struct TrafficController {
    context: Arc<Context>,
    /// Callers as they were last read, with the name of their Secret.
    callers: Kept<Key, Option<(String, Vec<Caller>)>>,
    mark: published::PublishedMark,
}

/// A decision about the route of a deployment.
pub enum RouteDecision {
    /// Its namespace has not been listed.
    Unknown,
    /// The deployment is gone: these routes go.
    Gone(Vec<Arc<Secret>>),
    /// The route follows from these.
    Serve(Arc<ModelDeployment>, Vec<Arc<InferenceEndpoint>>),
}

impl TrafficController {
    /// The controller over `context`.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, callers: Kept::default(), mark: published::PublishedMark::default() }
    }

    /// Brings the route up to date; returns when it changes by time alone.
    async fn serve(
        &self,
        deployment: &ModelDeployment,
        endpoints: &[Arc<InferenceEndpoint>],
    ) -> Result<Option<Duration>, ActError> {
        let context = &self.context;
        let former = context.route_of(deployment);
        let known = former.as_deref().and_then(read);
        let endpoints = || endpoints.iter().map(AsRef::as_ref);
        let services = context.service_access(endpoints());
        let renamed = context.renamed_models(endpoints());
        // Where gateways mint a token, the endpoint's own key is not used.
        let is_minted = |name: &str| services.get(name).is_some_and(|access| access.token.is_some());
        let has_key = |endpoint: &&InferenceEndpoint| !is_minted(&endpoint.name_any());
        let with_keys: Vec<&InferenceEndpoint> = endpoints().filter(has_key).collect();
        let keys = keys::of_endpoints(context, with_keys, known.as_ref()).await?;
        let callers = self.callers(deployment).await?;
        let reports = context.gateway_reports();
        let acks: Vec<_> = reports.iter().map(|report| report.acks.clone()).collect();
        let by_gateways = context.probed_by_gateways(endpoints());
        let uid = deployment.uid().unwrap_or_default();
        let asked = witness::asked(endpoints(), &by_gateways, &uid, &reports);
        let verified = known.as_ref().map_or(Some(BTreeSet::new()), |known| verified::verified(known, &acks));
        let now = context.clock.wall().as_second();
        let facts = RouteFacts {
            keys: &keys,
            services: &services,
            renamed: &renamed,
            callers,
            verified,
            asked,
            by_gateways,
            hosted: self.context.hosted_models(deployment),
            former: known.as_ref(),
            now,
        };
        let route = build::route(deployment, &endpoints(), facts);
        if known.as_ref() != Some(&route) {
            let written = context.hub.put_secret(former.as_deref(), &self.secret(&route)?).await?;
            context.caches.routes.apply_answer(written);
            context.traffic_changed(&Key::of(deployment));
            context.wake([super::routing::Concerned::Deployment(Key::of(deployment))]);
        }
        if let Some(former) = known {
            self.forget_silent(&former, &route).await?;
        }
        let is_asked = self.forget_mute(&route).await?;
        let next = shift::next_end(&route).filter(|_| !deployment.spec.suspend);
        let next = next.map(|end| Duration::from_secs(end.saturating_sub(now).max(1).unsigned_abs()));
        Ok([next, is_asked.then_some(MUTE)].into_iter().flatten().min())
    }

    /// Removes the reports of gateways that did not answer in a whole drain or verification: later ones would wait for them
    /// as well. A gateway that lives reports again in its next move.
    async fn forget_silent(&self, former: &Route, route: &Route) -> Result<(), ActError> {
        let reports = self.context.caches.reports.list();
        for report in reports.iter().filter(|report| was_silent(former, route, &stored::acks(report))) {
            tracing::warn!(
                gateway = report.name_any(),
                deployment = former.cluster(),
                "the gateway did not report during a move; later moves do not wait for it until it reports again"
            );
            self.context.hub.discard(report.as_ref()).await?;
        }
        Ok(())
    }

    /// Removes the reports of gateways that are asked steadily and have written nothing for long; true if any is asked so. A
    /// gateway that lives writes its report anew.
    async fn forget_mute(&self, route: &Route) -> Result<bool, ActError> {
        if route.endpoints.iter().all(|endpoint| endpoint.asked != WitnessRequest::Steadily) {
            return Ok(false);
        }
        for report in self.context.silent_reports(MUTE) {
            if witness::is_mute(route, &stored::acks(&report)) {
                tracing::warn!(gateway = report.name_any(), "the gateway reports no more; its last report is removed");
                self.context.hub.discard(report.as_ref()).await?;
            }
        }
        Ok(true)
    }

    /// The callers, from memory unless their Secret has changed.
    async fn callers(&self, deployment: &ModelDeployment) -> Result<Vec<Caller>, ActError> {
        let (key, name) = (Key::of(deployment), keys::secret_of(deployment));
        let stale = self.context.caller_secrets.take_stale(&key);
        let known = self.callers.see(&key, Clone::clone).flatten().filter(|(of, _)| !stale && *of == name);
        if let Some((_, callers)) = known {
            return Ok(callers);
        }
        self.callers.forget(&key);
        let callers = keys::of_callers(&self.context, deployment).await?;
        self.callers.change(&key, |known| *known = Some((name, callers.clone())));
        Ok(callers)
    }

    fn secret(&self, route: &Route) -> Result<Secret, ActError> {
        let labels = [
            (names::LABEL_ROUTE, route.uid.as_str()),
            (names::LABEL_INSTALL_ID, self.context.settings.install_id.as_str()),
            (names::LABEL_MANAGED_BY, names::MANAGED_BY),
        ];
        Ok(Secret {
            metadata: ObjectMeta {
                name: Some(names::route_secret(&route.uid)),
                namespace: self.context.settings.gateway.as_ref().map(|gateway| gateway.namespace.clone()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            data: Some([(ROUTE.to_owned(), ByteString(serde_json::to_vec(route)?))].into()),
            type_: Some("roadstead.dev/route".to_owned()),
            ..Secret::default()
        })
    }
}

impl Reconcile<Key> for TrafficController {
    const NAME: &'static str = "traffic";
    type Decision = RouteDecision;
    type Error = ActError;

    fn is_ordinary(error: &ActError) -> bool {
        error.is_ordinary()
    }

    fn decide(&self, key: &Key) -> RouteDecision {
        if !self.context.knows(&key.namespace) {
            return RouteDecision::Unknown;
        }
        match self.context.caches.deployments.get(key) {
            Some(deployment) => {
                let endpoints = self.context.endpoints_of(&deployment);
                RouteDecision::Serve(deployment, endpoints)
            }
            None => RouteDecision::Gone(self.context.routes_of(key)),
        }
    }

    async fn act(&self, key: &Key, decision: RouteDecision) -> Result<Outcome, ActError> {
        match decision {
            RouteDecision::Unknown => return Ok(Outcome::Again(LIST_AGAIN)),
            RouteDecision::Gone(routes) => {
                for route in routes {
                    self.context.hub.discard(route.as_ref()).await?;
                }
                self.callers.forget(key);
                self.context.caller_secrets.forget(key);
            }
            RouteDecision::Serve(deployment, endpoints) => {
                let ours: Vec<_> =
                    endpoints.into_iter().filter(|endpoint| !self.context.is_foreign(endpoint)).collect();
                let again = self.serve(&deployment, &ours).await?;
                self.mark.keep(&self.context).await?;
                return Ok(again.map_or(Outcome::Done, Outcome::Again));
            }
        }
        Ok(Outcome::Done)
    }
}
