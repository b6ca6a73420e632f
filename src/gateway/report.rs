//! Reports to the operator: during a move the revision that Envoy has applied, the requests in flight, and the endpoints that
//! this gateway has verified; and the endpoints that do not answer, or of which the operator asks whether they do; and the hosted models
//! that take requests. A report is written when it says something new, and at short intervals while the operator asks steadily: not at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use roadstead_api::v1alpha1::names;
use roadstead_gateway::render::Addresses;
use roadstead_gateway::{Ack, Acks, Endpoint, File, HostedUses, Route, Sees, State, hosts_of_endpoint};
use roadstead_runtime::client::{CallError, call};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Routes;
use super::admin::{Admin, AdminError, Host};
use super::keeper::Progress;
use super::sight::is_asked_steadily;
use super::verify::Verified;
use crate::controller::traffic::stored;

/// Interval between two looks at Envoy during a move.
const LOOK: Duration = Duration::from_millis(500);

/// Interval at which a gateway says that it still looks, while the operator asks steadily.
const BEAT: Duration = Duration::from_secs(10);

/// Knowledge of this process beside that of Envoy.
pub struct Findings {
    /// Routes whose files are written.
    pub progress: watch::Receiver<Progress>,
    /// Addresses of endpoints.
    pub addresses: watch::Receiver<Addresses>,
    /// Verified endpoints.
    pub verified: watch::Receiver<Verified>,
    /// Endpoints that answer or do not.
    pub sees: watch::Receiver<Sees>,
    /// Use of hosted models.
    pub hosted: watch::Receiver<HostedUses>,
}

/// Author and place of the reports.
pub struct Reporter {
    /// Client of the hub.
    pub hub: watch::Receiver<Client>,
    /// Namespace of the routes.
    pub namespace: String,
    /// Name of this gateway, such as that of its pod.
    pub identity: String,
}

impl Reporter {
    /// Reports until `stop`, and takes the report back then: a gateway that has ended is not waited for.
    pub async fn report(&self, admin: &Admin, mut findings: Findings, stop: &CancellationToken) {
        let mut sent = None;
        let mut beat = 0;
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let routes = findings.progress.borrow_and_update().routes.clone();
            let said = Statement {
                verified: findings.verified.borrow_and_update().clone(),
                sees: findings.sees.borrow_and_update().clone(),
                hosted: findings.hosted.borrow_and_update().clone(),
                beat,
            };
            let known = findings.addresses.borrow().clone();
            let (again, steadily) = match &routes {
                Some(routes) => {
                    let again = !self.report_once(admin, routes, &known, said, &mut sent).await || moves(routes);
                    (again, is_asked_steadily(routes))
                }
                None => (false, false),
            };
            tokio::select! {
                () = stop.cancelled() => break,
                changed = findings.progress.changed() => if changed.is_err() { break },
                changed = findings.verified.changed() => if changed.is_err() { break },
                changed = findings.sees.changed() => if changed.is_err() { break },
                changed = findings.hosted.changed() => if changed.is_err() { break },
                _ = beats.tick(), if steadily => beat += 1,
                () = tokio::time::sleep(LOOK), if again => {}
            }
        }
        self.take_back().await;
    }

    /// Writes the report if it says something new; false if that failed and must be tried again.
    async fn report_once(
        &self,
        admin: &Admin,
        routes: &Routes,
        known: &Addresses,
        said: Statement,
        sent: &mut Option<Acks>,
    ) -> bool {
        let acks = match acks(admin, routes, known, &said.verified).await {
            Ok(routes) => Acks { routes, sees: said.sees, hosted: said.hosted, beat: said.beat },
            Err(error) => {
                tracing::warn!(%error, "Envoy does not say what it has applied; retrying");
                return false;
            }
        };
        if sent.as_ref() == Some(&acks) {
            return true;
        }
        if let Err(error) = self.send(&acks).await {
            tracing::warn!(%error, "the hub does not take this gateway's report; retrying");
            return false;
        }
        *sent = Some(acks);
        true
    }

    fn api(&self) -> Api<ConfigMap> {
        Api::namespaced(self.hub.borrow().clone(), &self.namespace)
    }

    fn name(&self) -> String {
        format!("gateway-{}", self.identity)
    }

    async fn send(&self, acks: &Acks) -> Result<(), CallError> {
        let text = serde_json::to_string(acks).unwrap_or_default();
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": self.name(), "labels": {names::LABEL_GATEWAY: ""}},
            "data": {stored::ACKS: text},
        });
        let (api, name, params) = (self.api(), self.name(), PatchParams::apply("roadstead-gateway").force());
        call("apply configmap", api.patch(&name, &params, &Patch::Apply(object))).await.map(drop)
    }

    async fn take_back(&self) {
        let (api, name) = (self.api(), self.name());
        if let Err(error) = call("delete configmap", api.delete(&name, &DeleteParams::default())).await {
            tracing::warn!(%error, "this gateway's report stays on the hub");
        }
    }
}

/// Parts of a report that Envoy is not asked for.
struct Statement {
    verified: Verified,
    sees: Sees,
    hosted: HostedUses,
    beat: u64,
}

fn moves(routes: &Routes) -> bool {
    routes.values().any(in_move)
}

/// True if an endpoint of the route is being verified or drained.
fn in_move(route: &Route) -> bool {
    route.endpoints.iter().any(|endpoint| matches!(endpoint.state, State::Verifying | State::Draining))
}

/// Of the routes in a move what Envoy has applied and what is in flight; of the others nothing.
async fn acks(
    admin: &Admin,
    routes: &Routes,
    addresses: &Addresses,
    verified: &Verified,
) -> Result<BTreeMap<String, Ack>, AdminError> {
    let mut acks = BTreeMap::new();
    for route in routes.values().filter(|route| in_move(route)) {
        let wanted = roadstead_gateway::render::endpoints_version(route, addresses);
        let applied = admin.applied(&File::Endpoints(route.uid.clone()), routes).await?;
        let hosts = admin.hosts(&format!("^{}$", route.cluster())).await?;
        let hosts = hosts.get(&route.cluster()).map_or(&[][..], Vec::as_slice);
        let revision = if applied == wanted { route.revision } else { 0 };
        let in_flight = in_flight(route, addresses, hosts);
        let is_current = |endpoint: &Endpoint| {
            verified.get(&(route.uid.clone(), endpoint.name.clone())).is_some_and(|known| known.is_same(endpoint))
        };
        let good = route.endpoints.iter().filter(|endpoint| is_current(endpoint));
        let verified = good.map(|endpoint| endpoint.name.clone()).collect();
        acks.insert(route.uid.clone(), Ack { revision, in_flight, verified });
    }
    Ok(acks)
}

/// Requests in flight by endpoint.
fn in_flight(route: &Route, addresses: &Addresses, hosts: &[Host]) -> BTreeMap<String, u64> {
    let of = |endpoint| {
        let own = hosts_of_endpoint(endpoint, addresses);
        hosts.iter().filter(|host| own.contains(&host.address)).map(|host| host.active).sum()
    };
    route.endpoints.iter().map(|endpoint| (endpoint.name.clone(), of(endpoint))).collect()
}
