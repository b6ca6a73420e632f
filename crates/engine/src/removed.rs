//! Endpoints whose removal their place has confirmed. A listing may show them once more: a watch whose connection broke in an
//! outage shows the past until it is made anew.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::Found;

/// Names of removed endpoints by target, until a listing of the target does not show them any more.
#[derive(Debug, Clone, Default)]
pub struct RemovedEndpoints {
    by_target: BTreeMap<String, BTreeSet<String>>,
}

impl RemovedEndpoints {
    /// The place says that what had this name is gone.
    pub fn confirm(&mut self, target: &str, name: &str) {
        self.by_target.entry(target.to_owned()).or_default().insert(name.to_owned());
    }

    /// An endpoint of this name is on record again.
    pub fn return_of(&mut self, target: &str, name: &str) {
        self.keep(target, |removed| removed != name);
    }

    /// A listing without what was removed before it.
    #[must_use]
    pub fn without(&mut self, target: &str, mut found: Vec<Found>) -> Vec<Found> {
        self.keep(target, |removed| found.iter().any(|found| found.name == *removed));
        if let Some(removed) = self.by_target.get(target) {
            found.retain(|found| !removed.contains(&found.name));
        }
        found
    }

    fn keep(&mut self, target: &str, is_kept: impl Fn(&str) -> bool) {
        let Some(removed) = self.by_target.get_mut(target) else { return };
        removed.retain(|name| is_kept(name));
        if removed.is_empty() {
            self.by_target.remove(target);
        }
    }
}
