//! Values of the fleet, read at each scrape: a series ends with its object, and nothing counts twice.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use roadstead_model::MicroDollars;

/// Current values of deployments and targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Number of deployments by the status and the reason of their condition `Ready`.
    pub deployments: Vec<(Readiness, i64)>,
    /// The deployments that have series of their own.
    pub each: Vec<DeploymentFigures>,
    /// Number of deployments that have none, for there are too many.
    pub without_series: i64,
    /// Hourly cost of all deployments with known prices.
    pub hourly_cost: MicroDollars,
    /// Number of replacements that count against the limit.
    pub replacements: i64,
    /// Limit of that number.
    pub max_replacements: i64,
    /// Readiness of each target.
    pub targets: Vec<(String, bool)>,
}

/// A condition `Ready`, without its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct Readiness {
    /// `True`, `False` or `Unknown`.
    pub ready: String,
    /// The condition's reason.
    pub reason: String,
}

/// Current values of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentFigures {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its condition `Ready`.
    pub readiness: Readiness,
    /// Replicas that its spec asks for.
    pub wanted: i32,
    /// Replicas that are ready.
    pub ready: i32,
    /// Hourly cost of all its endpoints; `None` while a price is unknown.
    pub hourly_cost: Option<MicroDollars>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeploymentLabels {
    namespace: String,
    deployment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadyLabels {
    namespace: String,
    deployment: String,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

/// Gives the figures as they are now.
pub type FigureSource = Arc<dyn Fn() -> Figures + Send + Sync>;

/// Writes the values at each scrape. A standby has no source and therefore no values.
#[derive(Clone, Default)]
pub struct FleetCollector {
    source: Arc<OnceLock<FigureSource>>,
}

impl FleetCollector {
    /// Reads from `source` from now on; the first one stays.
    pub fn read_from(&self, source: FigureSource) {
        let _ = self.source.set(source);
    }
}

impl fmt::Debug for FleetCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetCollector").finish_non_exhaustive()
    }
}

impl Collector for FleetCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(source) = self.source.get() else { return Ok(()) };
        let figures = source();
        deployments(&mut encoder, &figures)?;
        each_deployment(&mut encoder, &figures.each)?;
        let targets =
            figures.targets.iter().map(|(name, ready)| (TargetLabels { target: name.clone() }, i64::from(*ready)));
        gauges(&mut encoder, "roadstead_target_ready", "1 while a target is Ready", targets)
    }
}

fn deployments(encoder: &mut DescriptorEncoder, figures: &Figures) -> fmt::Result {
    let counts = figures.deployments.iter().map(|(readiness, count)| (readiness.clone(), *count));
    gauges(encoder, "roadstead_deployments", "Deployments by the status and reason of their condition Ready", counts)?;
    gauge(
        encoder,
        "roadstead_deployments_without_series",
        "Deployments without series of their own, because there are more than --metrics-deployments",
        &figures.without_series,
    )?;
    gauge(
        encoder,
        "roadstead_hourly_cost_dollars",
        "Hourly cost of all deployments with known prices",
        &dollars(figures.hourly_cost),
    )?;
    gauge(
        encoder,
        "roadstead_replacements_under_way",
        "Replacements in progress, which count against the limit",
        &figures.replacements,
    )?;
    gauge(
        encoder,
        "roadstead_replacements_limit",
        "Limit of the replacements in progress (--max-replacements)",
        &figures.max_replacements,
    )
}

fn each_deployment(encoder: &mut DescriptorEncoder, all: &[DeploymentFigures]) -> fmt::Result {
    let labels =
        |one: &DeploymentFigures| DeploymentLabels { namespace: one.namespace.clone(), deployment: one.name.clone() };
    let ready = all.iter().map(|one| {
        let DeploymentLabels { namespace, deployment } = labels(one);
        let labels = ReadyLabels { namespace, deployment, reason: one.readiness.reason.clone() };
        (labels, i64::from(one.readiness.ready == "True"))
    });
    gauges(encoder, "roadstead_deployment_ready", "1 while a deployment is Ready, with the condition's reason", ready)?;
    let wanted = all.iter().map(|one| (labels(one), i64::from(one.wanted)));
    gauges(encoder, "roadstead_deployment_replicas_wanted", "Wanted replicas of a deployment", wanted)?;
    let ready = all.iter().map(|one| (labels(one), i64::from(one.ready)));
    gauges(encoder, "roadstead_deployment_replicas_ready", "Ready replicas of a deployment", ready)?;
    let costs = all.iter().filter_map(|one| Some((labels(one), dollars(one.hourly_cost?))));
    gauges(
        encoder,
        "roadstead_deployment_hourly_cost_dollars",
        "Hourly cost of all endpoints of a deployment; absent while a price is unknown",
        costs,
    )
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: &impl EncodeGaugeValue) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}

fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (L, V)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

/// An amount as metrics have it: in dollars, as the nearest number that they can hold.
#[must_use]
pub fn dollars(amount: MicroDollars) -> f64 {
    amount.to_string().parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_dollars() {
        for (micro, told) in [(0, 0.0), (1, 0.000_001), (22_120_000, 22.12), (98_765_432_100_000, 98_765_432.1)] {
            assert!((dollars(MicroDollars(micro)) - told).abs() < 1e-9, "{micro}");
        }
    }
}
