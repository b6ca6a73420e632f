//! The settings that the operator is started with.

use std::collections::BTreeSet;
use std::time::Duration;

use roadstead_model::ReplacementLimits;

use super::drivers::DriverSettings;
use roadstead_runtime::cache::Part;

/// Settings given at the start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The installation's id: the same for ever, also on a rebuilt hub.
    pub install_id: String,
    /// The operator's own namespace, where the Secrets of targets live.
    pub namespace: String,
    /// The UID of the hub's `kube-system` namespace.
    pub hub_uid: String,
    /// The UID of a former hub that is gone and whose members this hub takes over.
    pub takeover: Option<String>,
    /// Settings of the drivers.
    pub drivers: DriverSettings,
    /// The namespaces whose deployments are this operator's.
    pub watched: WatchedNamespaces,
    /// Treatment of orphans.
    pub orphans: OrphanPolicy,
    /// Limits of the replacements in progress.
    pub replacements: ReplacementLimits,
    /// The gateway in front of endpoints, if there is one.
    pub gateway: Option<Gateway>,
    /// Number of deployments with series of their own in metrics.
    pub metrics_deployments: usize,
}

/// The gateway in front of endpoints.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Namespace of the routes.
    pub namespace: String,
    /// Address for callers, without a slash at its end.
    pub url: String,
}

impl Gateway {
    /// Address of one deployment, which OpenAI's clients take as their base URL.
    #[must_use]
    pub fn url_of(&self, namespace: &str, name: &str) -> String {
        format!("{}/{namespace}/{name}/v1", self.url)
    }
}

/// Treatment of orphans.
#[derive(Debug, Clone)]
pub struct OrphanPolicy {
    /// Permission to delete them; without it they are only reported.
    pub delete: bool,
    /// The time between two looks.
    pub interval: Duration,
    /// Minimum age of an orphan, by its provider and by our own sightings, and of the leadership of this process.
    pub min_age: Duration,
}

impl Default for OrphanPolicy {
    fn default() -> Self {
        Self { delete: false, interval: Duration::from_mins(1), min_age: Duration::from_mins(10) }
    }
}

/// The namespaces whose deployments are this operator's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedNamespaces(BTreeSet<String>);

impl WatchedNamespaces {
    /// The deployments of these namespaces alone; of all namespaces if there are none.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    /// True if the deployments of this namespace are this operator's.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        self.0.is_empty() || self.0.contains(namespace)
    }

    /// The parts of kinds that live in tenants' namespaces.
    #[must_use]
    pub fn tenants(&self) -> Vec<Part> {
        self.parts(Part::Namespace)
    }

    /// The parts of the kind Namespace.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Part> {
        self.parts(Part::Named)
    }

    fn parts(&self, part: fn(String) -> Part) -> Vec<Part> {
        if self.0.is_empty() { vec![Part::Everything] } else { self.0.iter().cloned().map(part).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespaces_are_all_of_them() {
        let watched = WatchedNamespaces::default();
        assert_eq!((watched.tenants(), watched.namespaces()), (vec![Part::Everything], vec![Part::Everything]));
    }

    #[test]
    fn each_namespace_is_a_part_of_its_own() {
        let watched = WatchedNamespaces::new(["b".to_owned(), "a".to_owned(), "b".to_owned()]);
        assert_eq!(watched.tenants(), [Part::Namespace("a".into()), Part::Namespace("b".into())]);
        assert_eq!(watched.namespaces(), [Part::Named("a".into()), Part::Named("b".into())]);
    }
}
