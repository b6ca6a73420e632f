//! Metrics of a gateway. Labels are names of deployments and endpoints that have a route, never anything that a caller
//! sends; the series of a deployment go with its route.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use roadstead_gateway::render::Addresses;
use roadstead_gateway::{HostedUses, Route, hosts_of_endpoint};
use serde::Deserialize;

use super::admin::Host;
use super::hosted::metrics::HostedMetrics;
use super::keeper::Progress;

/// Seconds to the first byte: a cached answer takes milliseconds, a long generation without streaming minutes.
const FIRST_BYTE_BUCKETS: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeploymentLabels {
    namespace: String,
    deployment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct EndpointLabels {
    namespace: String,
    deployment: String,
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    source: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct RequestLabels {
    namespace: String,
    deployment: String,
    endpoint: String,
    code: &'static str,
}

/// A request, as far as it is counted.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Line {
    /// `<namespace>/<name>` of the deployment; empty for a request to none.
    pub deployment: String,
    /// Name of the endpoint; empty where none was asked.
    pub endpoint: String,
    /// Status of the answer; 0 where the caller left before one.
    pub status: u16,
    /// Attempts at endpoints.
    pub attempts: u64,
    /// Milliseconds until the first byte of the answer.
    pub first_byte_millis: u64,
}

/// The metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    first_byte: Family<DeploymentLabels, Histogram, fn() -> Histogram>,
    retries: Family<DeploymentLabels, Counter>,
    in_flight: Family<EndpointLabels, Gauge>,
    ejected: Family<EndpointLabels, Gauge>,
    unhealthy: Family<EndpointLabels, Gauge>,
    token_missing: Family<EndpointLabels, Gauge>,
    tokens: Family<TokenLabels, Counter>,
    /// Those of hosted models.
    pub hosted: HostedMetrics,
    refused: Counter,
    routes: Gauge,
    stale: Gauge,
    /// Series of endpoints that exist, so that those of an endpoint that is gone can be removed.
    known: Mutex<BTreeSet<RequestLabels>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("roadstead_gateway");
        let first_byte: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(FIRST_BYTE_BUCKETS));
        let metrics = Self {
            first_byte,
            requests: Family::default(),
            retries: Family::default(),
            in_flight: Family::default(),
            ejected: Family::default(),
            unhealthy: Family::default(),
            token_missing: Family::default(),
            tokens: Family::default(),
            hosted: HostedMetrics::default(),
            refused: Counter::default(),
            routes: Gauge::default(),
            stale: Gauge::default(),
            known: Mutex::default(),
            registry: Registry::default(),
        };
        registry.register(
            "requests",
            "Requests by the endpoint that answered and the class of the status",
            metrics.requests.clone(),
        );
        registry.register("first_byte_seconds", "Time to the first byte of an answer", metrics.first_byte.clone());
        registry.register("retries", "Attempts after the first, at another endpoint", metrics.retries.clone());
        registry.register("in_flight", "Requests in flight at an endpoint", metrics.in_flight.clone());
        registry.register(
            "ejected",
            "1 if an endpoint is ejected because its answers were errors",
            metrics.ejected.clone(),
        );
        registry.register("unhealthy", "1 if the health checks of an endpoint fail", metrics.unhealthy.clone());
        registry.register(
            "token_missing",
            "1 if an endpoint takes no request because this gateway cannot mint its token",
            metrics.token_missing.clone(),
        );
        registry.register("tokens", "Attempts to mint a token, by source and result", metrics.tokens.clone());
        metrics.hosted.register(&mut registry);
        registry.register(
            "refused",
            "Requests without a deployment: the key or the address is unknown",
            metrics.refused.clone(),
        );
        registry.register("routes", "Deployments with a route", metrics.routes.clone());
        registry.register("stale", "1 if the newest routes are not in effect", metrics.stale.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts one request of the log.
    pub fn request(&self, line: &Line) {
        let Some((namespace, deployment)) = line.deployment.split_once('/') else {
            self.refused.inc();
            return;
        };
        let of = DeploymentLabels { namespace: namespace.to_owned(), deployment: deployment.to_owned() };
        let labels = RequestLabels {
            namespace: of.namespace.clone(),
            deployment: of.deployment.clone(),
            endpoint: line.endpoint.clone(),
            code: class(line.status),
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(labels.clone());
        self.requests.get_or_create(&labels).inc();
        self.retries.get_or_create(&of).inc_by(line.attempts.saturating_sub(1));
        if line.attempts > 0 && line.status > 0 {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a request")]
            self.first_byte.get_or_create(&of).observe(line.first_byte_millis as f64 / 1000.0);
        }
    }

    /// Counts an attempt to mint a token.
    pub fn token_minted(&self, source: &'static str, good: bool) {
        let result = if good { "minted" } else { "failed" };
        self.tokens.get_or_create(&TokenLabels { source, result }).inc();
    }

    /// Number of counted requests.
    #[must_use]
    pub fn requests(&self, namespace: &str, deployment: &str, endpoint: &str, code: &'static str) -> u64 {
        let (namespace, deployment, endpoint) = (namespace.to_owned(), deployment.to_owned(), endpoint.to_owned());
        self.requests.get_or_create(&RequestLabels { namespace, deployment, endpoint, code }).get()
    }

    /// The text of a scrape, with the endpoints as Envoy sees them now.
    ///
    /// # Errors
    /// If a value cannot be written.
    pub fn encode(
        &self,
        progress: &Progress,
        addresses: &Addresses,
        hosts: &BTreeMap<String, Vec<Host>>,
        uses: &HostedUses,
    ) -> Result<String, std::fmt::Error> {
        let routes = progress.routes.clone().unwrap_or_default();
        self.routes.set(i64::try_from(routes.len()).unwrap_or(i64::MAX));
        self.stale.set(progress.trouble.is_some().into());
        self.forget(&routes);
        self.hosted.show(&routes, uses);
        for family in [&self.in_flight, &self.ejected, &self.unhealthy, &self.token_missing] {
            family.clear();
        }
        for route in routes.values() {
            let hosts = hosts.get(&route.cluster()).map_or(&[][..], Vec::as_slice);
            self.show_endpoints(route, addresses, hosts);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn show_endpoints(&self, route: &Route, addresses: &Addresses, hosts: &[Host]) {
        for endpoint in &route.endpoints {
            let own = hosts_of_endpoint(endpoint, addresses);
            let own: Vec<&Host> = hosts.iter().filter(|host| own.contains(&host.address)).collect();
            let labels = EndpointLabels {
                namespace: route.namespace.clone(),
                deployment: route.name.clone(),
                endpoint: endpoint.name.clone(),
            };
            let in_flight: u64 = own.iter().map(|host| host.active).sum();
            self.in_flight.get_or_create(&labels).set(i64::try_from(in_flight).unwrap_or(i64::MAX));
            self.ejected.get_or_create(&labels).set(own.iter().any(|host| host.ejected).into());
            self.unhealthy.get_or_create(&labels).set(own.iter().any(|host| host.unhealthy).into());
            if endpoint.token.is_some() {
                self.token_missing.get_or_create(&labels).set(endpoint.lacks_token().into());
            }
        }
    }

    /// Removes the series of deployments and endpoints that have no route any more.
    fn forget(&self, routes: &BTreeMap<String, Route>) {
        let deployments: BTreeSet<(&str, &str)> =
            routes.values().map(|route| (route.namespace.as_str(), route.name.as_str())).collect();
        let endpoints: BTreeSet<&str> =
            routes.values().flat_map(Route::everywhere).map(|endpoint| endpoint.name.as_str()).collect();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels| {
            let of = (labels.namespace.as_str(), labels.deployment.as_str());
            let is_endpoint = labels.endpoint.is_empty() || endpoints.contains(labels.endpoint.as_str());
            let stays = deployments.contains(&of) && is_endpoint;
            if !stays {
                self.requests.remove(labels);
            }
            if !deployments.contains(&of) {
                let gone =
                    DeploymentLabels { namespace: labels.namespace.clone(), deployment: labels.deployment.clone() };
                self.first_byte.remove(&gone);
                self.retries.remove(&gone);
            }
            stays
        });
    }
}

fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "none",
    }
}
