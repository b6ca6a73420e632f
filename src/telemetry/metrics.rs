//! Metrics: controller-runtime's names where it has one, so that dashboards work, and ours where it has none.
//!
//! The current state (`figures`, `process`) is read at each scrape; this module counts events. Labels are small fixed
//! sets, or names of targets, of which there are hundreds at most; series of single deployments are bounded
//! (docs/adr/0030-metrics-of-deployments.md). Counters whose labels are known begin at zero, so that their first
//! increase is seen.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::figures::{FigureSource, FleetCollector, dollars};
use super::process::ProcessCollector;
use roadstead_model::MicroDollars;
use roadstead_provider::meter::{CODES, ServiceMeter};
use roadstead_runtime::clock::Clock;
use roadstead_runtime::meter::Meter;
use roadstead_runtime::queue::Counts;

/// Reconciles take from a millisecond (nothing to do) to the call timeout of ten seconds, several times over.
const RECONCILE_BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Provider calls are network calls with a limit of ten seconds each, a few in a row.
const PROVIDER_BUCKETS: [f64; 8] = [0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];
/// Planning is meant to take less than a millisecond.
const PLANNING_BUCKETS: [f64; 8] = [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.1];

/// From the record of an endpoint to its first answer: seconds in a simulated cloud, an hour where nodes are added and
/// large weights are loaded.
const READY_BUCKETS: [f64; 11] = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// The controllers, by their names.
pub const CONTROLLERS: [&str; 4] = ["modeldeployment", "inferenceendpoint", "servingtarget", "traffic"];
/// Results of a reconcile.
const RESULTS: [&str; 3] = ["success", "requeue_after", "error"];
/// Why an endpoint can be created.
const PLACEMENTS: [&str; 6] = ["InitialPlacement", "Scaled", "SpecChanged", "PolicyViolated", "OverBudget", "Adopted"];
/// The lease that makes a process the leader.
pub const LEASE: &str = "roadstead";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    name: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: &'static str,
    operation: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: &'static str,
    operation: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    provider: &'static str,
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

type Counters<L> = Family<L, Counter>;
type Level<L> = Family<L, Gauge>;
type FloatGauges<L> = Family<L, Gauge<f64, AtomicU64>>;
type Times<L> = Family<L, Histogram, fn() -> Histogram>;

/// The operator's metrics.
pub struct Metrics {
    registry: Registry,
    reconciles: Counters<ResultLabels>,
    errors: Counters<ControllerLabels>,
    panics: Counters<ControllerLabels>,
    reconcile_time: Times<ControllerLabels>,
    max_concurrent: Level<ControllerLabels>,
    active: Level<ControllerLabels>,
    depth: Level<NameLabels>,
    adds: Counters<NameLabels>,
    retries: Counters<NameLabels>,
    leader: Level<NameLabels>,
    provider_requests: Counters<ProviderLabels>,
    provider_time: Times<OperationLabels>,
    service_requests: Counters<ServiceLabels>,
    placements: Counters<ReasonLabels>,
    planning_time: Histogram,
    time_to_ready: Histogram,
    abandoned: Counter,
    orphans: Level<TargetLabels>,
    orphans_cost: FloatGauges<TargetLabels>,
    orphans_removed: Counter,
    fleet: FleetCollector,
}

impl Metrics {
    /// All metrics, at nothing, of a process that starts now.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            reconciles: Family::default(),
            errors: Family::default(),
            panics: Family::default(),
            reconcile_time: Family::new_with_constructor(|| Histogram::new(RECONCILE_BUCKETS)),
            max_concurrent: Family::default(),
            active: Family::default(),
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            leader: Family::default(),
            provider_requests: Family::default(),
            provider_time: Family::new_with_constructor(|| Histogram::new(PROVIDER_BUCKETS)),
            service_requests: Family::default(),
            placements: Family::default(),
            planning_time: Histogram::new(PLANNING_BUCKETS),
            time_to_ready: Histogram::new(READY_BUCKETS),
            abandoned: Counter::default(),
            orphans: Family::default(),
            orphans_cost: Family::default(),
            orphans_removed: Counter::default(),
            fleet: FleetCollector::default(),
        };
        metrics.register(clock);
        metrics.begin_at_zero();
        metrics
    }

    fn begin_at_zero(&self) {
        for controller in CONTROLLERS {
            for result in RESULTS {
                let _ = self.reconciles.get_or_create(&ResultLabels { controller, result });
            }
            let labels = ControllerLabels { controller };
            let _ = self.errors.get_or_create(&labels);
            let _ = self.panics.get_or_create(&labels);
            let _ = self.active.get_or_create(&labels);
            let _ = self.reconcile_time.get_or_create(&labels);
            self.queue(controller, 0, Counts::default());
        }
        for reason in PLACEMENTS {
            let _ = self.placements.get_or_create(&ReasonLabels { reason });
        }
        self.leader(LEASE, false);
    }

    /// Counters get the suffix `_total` when they are written out.
    fn register(&mut self, clock: Clock) {
        let r = &mut self.registry;
        r.register("controller_runtime_reconcile", "Reconciles, by controller and result", self.reconciles.clone());
        r.register("controller_runtime_reconcile_errors", "Failed reconciles", self.errors.clone());
        r.register("controller_runtime_reconcile_panics", "Panicked reconciles", self.panics.clone());
        r.register("controller_runtime_reconcile_time_seconds", "Duration of a reconcile", self.reconcile_time.clone());
        r.register(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles of a controller",
            self.max_concurrent.clone(),
        );
        r.register("controller_runtime_active_workers", "Reconciles in progress", self.active.clone());
        r.register("workqueue_depth", "Objects waiting in a queue", self.depth.clone());
        r.register("workqueue_adds", "Objects added to a queue", self.adds.clone());
        r.register("workqueue_retries", "Objects added again after a failure", self.retries.clone());
        r.register("leader_election_master_status", "1 while this process leads", self.leader.clone());
        r.register("roadstead_provider_requests", "Calls to providers, by result", self.provider_requests.clone());
        r.register(
            "roadstead_provider_request_duration_seconds",
            "Duration of a call to a provider",
            self.provider_time.clone(),
        );
        r.register(
            "roadstead_service_requests",
            "HTTP requests to managed services, by operation and status",
            self.service_requests.clone(),
        );
        r.register("roadstead_placements", "Placement decisions, by reason", self.placements.clone());
        r.register(
            "roadstead_planning_duration_seconds",
            "Duration of planning one deployment",
            self.planning_time.clone(),
        );
        r.register("roadstead_endpoints_abandoned", "Endpoint records released by hand", self.abandoned.clone());
        r.register("roadstead_orphans", "Endpoints at a target without a record", self.orphans.clone());
        r.register(
            "roadstead_orphans_hourly_cost_dollars",
            "Hourly cost of the orphans at a target with known prices",
            self.orphans_cost.clone(),
        );
        r.register("roadstead_orphans_removed", "Deleted orphans", self.orphans_removed.clone());
        r.register(
            "roadstead_time_to_ready_seconds",
            "Time from the record of an endpoint to its first answer",
            self.time_to_ready.clone(),
        );
        let build = BuildLabels { version: env!("CARGO_PKG_VERSION") };
        r.register("roadstead_build", "Build of the operator", Info::new(build));
        r.register_collector(Box::new(self.fleet.clone()));
        r.register_collector(Box::new(ProcessCollector::started(clock.wall())));
    }

    /// Everything in the text format of `OpenMetrics`.
    ///
    /// # Errors
    /// Never in practice: writing to a string cannot fail.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// True if this process leads.
    pub fn leader(&self, name: &'static str, leads: bool) {
        self.leader.get_or_create(&NameLabels { name }).set(i64::from(leads));
    }

    /// A call to a provider ended.
    pub fn provider_request(
        &self,
        provider: &'static str,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        self.provider_requests.get_or_create(&ProviderLabels { provider, operation, result }).inc();
        self.provider_time.get_or_create(&OperationLabels { provider, operation }).observe(took.as_secs_f64());
    }

    /// An endpoint was decided.
    pub fn placed(&self, reason: &'static str) {
        self.placements.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// A deployment was planned.
    pub fn planned(&self, took: Duration) {
        self.planning_time.observe(took.as_secs_f64());
    }

    /// An endpoint was released by hand.
    pub fn abandoned(&self) {
        self.abandoned.inc();
    }

    /// An endpoint has answered for the first time, this long after its record was made.
    pub fn became_ready(&self, after: Duration) {
        self.time_to_ready.observe(after.as_secs_f64());
    }

    /// A provider is used: its calls are counted from zero.
    pub fn provider_used(&self, provider: &'static str, operations: &[&'static str], results: &[&'static str]) {
        for &operation in operations {
            let _ = self.provider_time.get_or_create(&OperationLabels { provider, operation });
            for &result in results {
                let _ = self.provider_requests.get_or_create(&ProviderLabels { provider, operation, result });
            }
        }
    }

    /// A service is used: the calls of these operations are counted from zero.
    pub fn service_used(&self, service: &'static str, operations: &[&'static str]) {
        for &operation in operations {
            for code in CODES {
                let _ = self.service_requests.get_or_create(&ServiceLabels { service, operation, code });
            }
        }
    }

    /// Figures of the fleet are read from `source` at each scrape from now on.
    pub fn read_fleet_from(&self, source: FigureSource) {
        self.fleet.read_from(source);
    }

    /// Sets the number and hourly cost of the orphans at a target.
    pub fn orphans(&self, target: &str, count: usize, cost: MicroDollars) {
        let labels = TargetLabels { target: target.to_owned() };
        self.orphans.get_or_create(&labels).set(level(count));
        self.orphans_cost.get_or_create(&labels).set(dollars(cost));
    }

    /// An orphan was deleted.
    pub fn orphan_removed(&self) {
        self.orphans_removed.inc();
    }

    /// A target is gone.
    pub fn target_gone(&self, target: &str) {
        let labels = TargetLabels { target: target.to_owned() };
        self.orphans.remove(&labels);
        self.orphans_cost.remove(&labels);
    }
}

fn level(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Meter for Metrics {
    fn max_concurrent_reconciles(&self, controller: &'static str, limit: usize) {
        self.max_concurrent.get_or_create(&ControllerLabels { controller }).set(level(limit));
    }

    fn queue(&self, controller: &'static str, depth: usize, counts: Counts) {
        let labels = NameLabels { name: controller };
        self.depth.get_or_create(&labels).set(level(depth));
        self.adds.get_or_create(&labels).inc_by(counts.adds);
        self.retries.get_or_create(&labels).inc_by(counts.retries);
    }

    fn worker_started(&self, controller: &'static str) {
        self.active.get_or_create(&ControllerLabels { controller }).inc();
    }

    fn worker_ended(&self, controller: &'static str) {
        self.active.get_or_create(&ControllerLabels { controller }).dec();
    }

    fn reconcile_panicked(&self, controller: &'static str) {
        self.panics.get_or_create(&ControllerLabels { controller }).inc();
    }

    fn reconciled(&self, controller: &'static str, result: &'static str, time: Duration) {
        self.reconciles.get_or_create(&ResultLabels { controller, result }).inc();
        self.reconcile_time.get_or_create(&ControllerLabels { controller }).observe(time.as_secs_f64());
        if result == "error" {
            self.errors.get_or_create(&ControllerLabels { controller }).inc();
        }
    }
}

impl ServiceMeter for Metrics {
    fn requested(&self, service: &'static str, operation: &'static str, code: &'static str) {
        self.service_requests.get_or_create(&ServiceLabels { service, operation, code }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_names_that_dashboards_know() {
        let metrics = Metrics::new(Clock::system());
        metrics.reconciled("modeldeployment", "error", Duration::from_millis(3));
        metrics.leader("roadstead", true);
        metrics.worker_started("modeldeployment");
        let text = metrics.encode().unwrap();
        for line in [
            "controller_runtime_reconcile_total{controller=\"modeldeployment\",result=\"error\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"modeldeployment\"} 1",
            "controller_runtime_active_workers{controller=\"modeldeployment\"} 1",
            "leader_election_master_status{name=\"roadstead\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.worker_ended("modeldeployment");
        assert!(metrics.encode().unwrap().contains("active_workers{controller=\"modeldeployment\"} 0"));
    }
}
