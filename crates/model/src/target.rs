//! The platform team's targets and offers, and the known facts about them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::capabilities::Capabilities;
use crate::deployment::{Deployment, Topology};
use crate::identity::DeploymentId;
use crate::labels::{LabelSelector, Labels};
use crate::offer::Offer;
use crate::resources::{Resources, Size};
use crate::taints::Taint;
use crate::time::Timestamp;

/// A cluster, or a (provider, account, region), where models may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Name of the `ServingTarget`.
    pub name: String,
    /// Cloud, like `aws`.
    pub cloud: String,
    /// Region, as the cloud names it.
    pub region: String,
    /// Its location according to its owner; used only if the region is not in the built-in table.
    pub location: Option<Location>,
    /// Labels that deployments select by.
    pub labels: Labels,
    /// Usability now.
    pub state: TargetState,
    /// Time since which it is usable without a break, where that is known.
    pub ready_since: Option<Timestamp>,
    /// Contact with its API.
    pub contact: Contact,
    /// It is the cluster of the hub itself: its answers do not show that the hub reaches others.
    pub in_cluster: bool,
    /// Namespaces that may use it, by their labels: `None` is none, an empty selector is all.
    pub allowed_namespaces: Option<LabelSelector>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Its offers. A second offer of the same name is dropped.
    pub offers: Vec<Offer>,
    /// Its nodes; `None` where there is no such thing, so that only `max_instances` limits.
    pub nodes: Option<Vec<Node>>,
    /// Recent refusals with the end of their back-off.
    pub exhausted: Vec<Exhausted>,
    /// State of the listing by our installation id.
    pub inventory: Inventory,
    /// Abilities beside having room.
    pub capabilities: Capabilities,
}

impl Target {
    /// Its failure domain.
    #[must_use]
    pub fn domain(&self, topology: Topology) -> (&str, &str) {
        match topology {
            Topology::Region => (&self.cloud, &self.region),
            Topology::Cloud => (&self.cloud, ""),
            Topology::Target => (&self.name, ""),
        }
    }
}

/// Legal location of a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Location {
    /// ISO 3166-1 alpha-2 code.
    pub country: String,
    /// Jurisdictions like `EU`.
    pub jurisdictions: BTreeSet<String>,
}

/// Usability of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetState {
    /// It answers, its credentials are valid, and it is the one that was pinned.
    Ready,
    /// Nothing new goes there.
    NotReady {
        /// CamelCase reason, like `CredentialsMissing`.
        reason: String,
        /// A sentence for people.
        message: String,
        /// Since when.
        since: Timestamp,
    },
    /// Its spec says something that cannot be, until somebody edits it. Nothing new goes there, and what runs or starts
    /// there is left alone: the place itself may be well.
    Invalid {
        /// CamelCase reason, like `InvalidSpec`.
        reason: String,
        /// A sentence for people.
        message: String,
        /// Since when.
        since: Timestamp,
    },
}

/// Contact with a target's API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Contact {
    /// It answers.
    Answers,
    /// It does not answer, or refuses the credentials.
    Silent,
    /// It has not been asked yet.
    #[default]
    Pending,
    /// It cannot be asked.
    Unknown,
}

/// State of a target's listing by installation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inventory {
    /// It is known and kept up to date.
    Answered,
    /// Not yet.
    Pending {
        /// Since when it is asked.
        since: Timestamp,
    },
}

/// A node, with what is free on it: allocatable minus every bound pod, ours included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Node {
    /// Name, unique within its target.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Ready and not cordoned.
    pub schedulable: bool,
    /// Accelerators by resource name that the node has.
    pub allocatable_accelerators: BTreeMap<String, u32>,
    /// Accelerators by resource name that no bound pod asks for.
    pub free_accelerators: BTreeMap<String, u32>,
    /// Other resources that no bound pod asks for.
    pub free: Resources,
}

/// A size that an offer refused, and until when nothing as large is tried there again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exhausted {
    /// Offer of the target.
    pub offer: String,
    /// Size of the refused replica; anything as large or larger is left out too.
    pub size: Size,
    /// The only deployment it holds for; `None` is everyone. A start that took too long says
    /// something about that deployment, a lack of capacity about the offer.
    pub only_for: Option<DeploymentId>,
    /// Generation of that deployment's spec that was refused; another one may be tried. 0 holds for every generation.
    pub generation: i64,
    /// End of the back-off.
    pub until: Timestamp,
    /// Number of consecutive refusals.
    pub attempts: u32,
    /// CamelCase reason, like `CapacityExhausted`.
    pub reason: String,
}

impl Exhausted {
    /// True if it keeps `deployment` away.
    #[must_use]
    pub fn holds_for(&self, deployment: &Deployment) -> bool {
        self.only_for.as_ref().is_none_or(|id| *id == deployment.id)
            && (self.generation == 0 || self.generation == deployment.generation)
    }
}
