//! Metrics of hosted models.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use roadstead_gateway::{HostedUseState, HostedUses, Route};

use super::ledger::Usage;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct HostedLabels {
    namespace: String,
    deployment: String,
    endpoint: String,
}

impl HostedLabels {
    /// The labels of a way, whose name is namespace, deployment and endpoint with slashes between them.
    fn of_way(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, '/').map(ToOwned::to_owned);
        Some(Self { namespace: parts.next()?, deployment: parts.next()?, endpoint: parts.next()? })
    }

    fn token(&self, kind: &'static str) -> HostedTokenLabels {
        let Self { namespace, deployment, endpoint } = self.clone();
        HostedTokenLabels { namespace, deployment, endpoint, kind }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostedTokenLabels {
    namespace: String,
    deployment: String,
    endpoint: String,
    kind: &'static str,
}

/// Tokens of a request and of an answer.
const KINDS: [&str; 2] = ["input", "output"];

/// The metrics of hosted models.
#[derive(Default)]
pub struct HostedMetrics {
    serving: Family<HostedLabels, Gauge>,
    closed: Family<HostedLabels, Gauge>,
    refused: Family<HostedLabels, Counter>,
    tokens: Family<HostedTokenLabels, Counter>,
    cost: Family<HostedLabels, Counter<f64, AtomicU64>>,
    /// Series that exist, so that those of a model without a route can be removed.
    known: Mutex<BTreeSet<HostedLabels>>,
}

impl HostedMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("hosted_serving", "1 if a hosted model takes requests", self.serving.clone());
        registry.register(
            "hosted_closed",
            "1 if a hosted model takes no request until the hour ends: its ceiling of cost is reached",
            self.closed.clone(),
        );
        registry.register(
            "hosted_refused",
            "Requests to a hosted model above its ceiling of requests per minute",
            self.refused.clone(),
        );
        registry.register("hosted_tokens", "Tokens that answers of a hosted model state", self.tokens.clone());
        registry.register(
            "hosted_cost_dollars",
            "Cost of a hosted model in US dollars, with the even share for an answer that states no tokens",
            self.cost.clone(),
        );
    }

    /// Counts a request above the ceiling; `name` is that of the way to the model.
    pub fn refused(&self, name: &str) {
        if let Some(labels) = self.labels(name) {
            self.refused.get_or_create(&labels).inc();
        }
    }

    /// Counts an answer and its micro-dollars.
    pub fn answered(&self, name: &str, usage: Usage, micro_dollars: u64) {
        let Some(labels) = self.labels(name) else { return };
        #[expect(clippy::cast_precision_loss, reason = "the cost of one answer")]
        self.cost.get_or_create(&labels).inc_by(micro_dollars as f64 / 1e6);
        let (input, output) = usage.tokens.unwrap_or_default();
        for (kind, count) in KINDS.into_iter().zip([input, output]) {
            self.tokens.get_or_create(&labels.token(kind)).inc_by(count);
        }
    }

    fn labels(&self, name: &str) -> Option<HostedLabels> {
        let labels = HostedLabels::of_way(name)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(labels.clone());
        Some(labels)
    }

    /// Shows the use of the models of these routes, and forgets the others.
    pub fn show(&self, routes: &BTreeMap<String, Route>, uses: &HostedUses) {
        self.serving.clear();
        self.closed.clear();
        let mut shown = BTreeSet::new();
        for route in routes.values() {
            for model in &route.hosted {
                let labels = HostedLabels {
                    namespace: route.namespace.clone(),
                    deployment: route.name.clone(),
                    endpoint: model.access.name.clone(),
                };
                let state = uses.get(&route.uid).and_then(|of| of.get(&labels.endpoint)).map(|one| one.state);
                self.serving.get_or_create(&labels).set((state == Some(HostedUseState::Serving)).into());
                self.closed.get_or_create(&labels).set((state == Some(HostedUseState::CeilingReached)).into());
                shown.insert(labels);
            }
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels| {
            let stays = shown.contains(labels);
            if !stays {
                self.refused.remove(labels);
                self.cost.remove(labels);
                for kind in KINDS {
                    self.tokens.remove(&labels.token(kind));
                }
            }
            stays
        });
    }
}
