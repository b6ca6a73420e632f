//! Which nodes belong to an offer: those that have its resource and whose own labels do not say that they are something
//! else. Everything that is left out has a reason that a target's owner can act on.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalogue::{
    Kinds, Mark, Naming, claims, cloud_spelled, kinds_of, mark_of_resource, marks, values_of, values_of_others,
};
use crate::labels::{LabelSelector, Labels};
use crate::offer::{CapacityType, Offer};
use crate::taints::{Effect, Taint, Toleration, first_untolerated};
use crate::target::Node;

/// Characters of a name or a value of a node that a sentence repeats.
const MAX_CHARS: usize = 80;

/// A label of a node, as a sentence shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    key: String,
    value: String,
}

impl Label {
    fn new(key: &str, value: &str) -> Self {
        Self { key: shown(key), value: shown(value) }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// A node's text is another cluster's: one short line of it is shown.
fn shown(text: &str) -> String {
    text.chars().take(MAX_CHARS).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Why a node takes no replicas of an offer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LeftOut {
    /// Its labels name another accelerator.
    OtherAccelerator {
        /// The label that says so.
        label: Label,
        /// The accelerator that it names.
        kind: String,
    },
    /// Its devices are parts of one.
    Slice(Label),
    /// Several pods are given the same device.
    Shared(Label),
    /// Its instance is bought in another way.
    OtherCapacityType(Label),
    /// It matches the offer and offers none of its resource.
    NoDevices,
    /// It has a taint that the offer does not tolerate.
    Tainted {
        /// The taint's key.
        key: String,
        /// The taint's value.
        value: String,
        /// The taint's effect.
        effect: Effect,
    },
    /// It is cordoned or not ready.
    NotSchedulable,
}

impl LeftOut {
    /// The name of the cause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            _ if self.passes() => "NotSchedulable",
            Self::OtherAccelerator { .. } => "OtherAccelerator",
            Self::Slice(_) => "Slice",
            Self::Shared(_) => "Shared",
            Self::OtherCapacityType(_) => "OtherCapacityType",
            Self::NoDevices => "NoDevices",
            Self::Tainted { .. } => "Tainted",
            Self::NotSchedulable => "NotSchedulable",
        }
    }

    /// True if it passes by itself: somebody drains, upgrades or starts the node.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::NotSchedulable => true,
            Self::Tainted { key, .. } => {
                key.ends_with("not-ready") || PASSING.iter().any(|taint| key.starts_with(taint))
            }
            _ => false,
        }
    }

    /// True if the node belongs to the offer all the same.
    const fn belongs(&self) -> bool {
        matches!(self, Self::Tainted { .. } | Self::NotSchedulable)
    }
}

/// Taints that a cluster itself puts on a node that starts, ails or goes.
const PASSING: [&str; 7] = [
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.cilium.io/",
    "karpenter.sh/",
    "cloud.google.com/impending-node-termination",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
];

/// Relation of a node to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It takes replicas; with the label of a product that the catalogue does not know, if it has one.
    Usable(Option<Label>),
    /// It would, but for the cause.
    LeftOut(LeftOut),
    /// It has nothing to do with the offer.
    Elsewhere,
}

/// Statements of a node's labels, read once for all offers of its target.
#[derive(Debug)]
pub struct Said {
    claims: Vec<Naming>,
    marks: Vec<(Mark, &'static str)>,
}

impl Said {
    /// Reads the labels of a node, or of a selector, in this cloud.
    #[must_use]
    pub fn by(cloud: Cloud<'_>, labels: &Labels) -> Self {
        Self { claims: claims(cloud.0, labels), marks: marks(labels) }
    }
}

/// A cloud by the name that the tables give it, whatever its target calls it.
#[derive(Debug, Clone, Copy)]
pub struct Cloud<'a>(&'a str);

impl<'a> Cloud<'a> {
    /// Of a target that calls it so.
    #[must_use]
    pub fn called(name: &'a str) -> Self {
        Self(cloud_spelled(name).unwrap_or(name))
    }
}

/// Which nodes an offer, or an endpoint's record of it, may use.
#[derive(Debug)]
pub struct Membership<'a> {
    cloud: Cloud<'a>,
    resource_name: &'a str,
    selector: &'a LabelSelector,
    tolerations: &'a [Toleration],
    kind: &'a str,
    /// Accelerators that the selector itself names.
    asked: Kinds,
    /// Slices or shares that the selector or the resource itself names.
    asked_marks: Vec<Mark>,
    spot: bool,
}

impl<'a> Membership<'a> {
    /// Of an offer of a target in `cloud`.
    #[must_use]
    pub fn of(cloud: &'a str, offer: &'a Offer) -> Self {
        Self::within(Cloud::called(cloud), offer)
    }

    fn within(cloud: Cloud<'a>, offer: &'a Offer) -> Self {
        let said = Said::by(cloud, &offer.node_selector.match_labels);
        let marks = said.marks.iter().map(|(mark, _)| *mark);
        Self {
            cloud,
            resource_name: &offer.resource_name,
            selector: &offer.node_selector,
            tolerations: &offer.node_tolerations,
            kind: offer.kind().unwrap_or_default(),
            asked: said.claims.iter().flat_map(|claim| claim.kinds.iter().copied()).collect(),
            asked_marks: marks.chain(mark_of_resource(&offer.resource_name)).collect(),
            spot: offer.capacity_type == CapacityType::Spot,
        }
    }

    /// True if the node takes replicas now.
    #[must_use]
    pub fn takes(&self, node: &Node) -> bool {
        matches!(self.standing(node, &Said::by(self.cloud, &node.labels)), Standing::Usable(_))
    }

    fn standing(&self, node: &Node, said: &Said) -> Standing {
        if !self.selector.matches(&node.labels) {
            return Standing::Elsewhere;
        }
        let has = node.allocatable_accelerators.get(self.resource_name).is_some_and(|count| *count > 0);
        let otherwise = self.otherwise(node, said);
        if !has {
            let named = said.claims.iter().any(|claim| !claim.kinds.is_empty() && self.accepts(claim) == Some(true));
            let meant = named || *self.selector != LabelSelector::default();
            return if meant && otherwise.is_none() {
                Standing::LeftOut(LeftOut::NoDevices)
            } else {
                Standing::Elsewhere
            };
        }
        if let Some(cause) = otherwise {
            return Standing::LeftOut(cause);
        }
        if !node.schedulable {
            return Standing::LeftOut(LeftOut::NotSchedulable);
        }
        if let Some(taint) = first_untolerated(&node.taints, self.tolerations) {
            return Standing::LeftOut(tainted(taint));
        }
        let unknown = said.claims.iter().find(|claim| self.accepts(claim).is_none());
        let told = said.claims.iter().any(|claim| self.accepts(claim) == Some(true));
        Standing::Usable(unknown.filter(|_| !told).map(|claim| Label::new(&claim.key, &claim.value)))
    }

    /// Contradiction between the node's labels and the offer.
    fn otherwise(&self, node: &Node, said: &Said) -> Option<LeftOut> {
        let label = |key: &str| Label::new(key, node.labels.get(key).map_or("", String::as_str));
        let marked = |mark: Mark| said.marks.iter().find(|(found, _)| *found == mark).map(|(_, key)| label(key));
        let other = said.claims.iter().find(|claim| self.accepts(claim) == Some(false));
        if let Some(claim) = other {
            let kind = claim.kinds.first().copied().unwrap_or_default().to_owned();
            return Some(LeftOut::OtherAccelerator { label: Label::new(&claim.key, &claim.value), kind });
        }
        if let Some(label) = marked(Mark::Slice).filter(|_| !self.asked_marks.contains(&Mark::Slice)) {
            return Some(LeftOut::Slice(label));
        }
        if let Some(label) = marked(Mark::Shared).filter(|_| !self.asked_marks.contains(&Mark::Shared)) {
            return Some(LeftOut::Shared(label));
        }
        let wrong = if self.spot { Mark::NotSpot } else { Mark::Spot };
        marked(wrong).filter(|_| !self.asked_marks.contains(&wrong)).map(LeftOut::OtherCapacityType)
    }

    /// True if a label names what the offer has, or what its selector asks for; `None` if that is undecidable.
    fn accepts(&self, claim: &Naming) -> Option<bool> {
        if self.asked.iter().any(|kind| claim.kinds.contains(kind)) {
            return Some(true);
        }
        let selected = self.selector.match_labels.get(&claim.key) == Some(&claim.value);
        if selected { Some(true) } else { claim.is_of(self.kind) }
    }

    /// Node affinity that keeps the member's scheduler off nodes that the planner does not count: labels
    /// whose values, or whose presence (no values), keep a node out.
    #[must_use]
    pub fn keeps_from(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let cloud = self.cloud.0;
        let mut kinds = kinds_of(self.kind);
        kinds.extend(&self.asked);
        // A selector that names the accelerator keeps out all others by itself.
        let others =
            if self.asked.is_empty() { values_of_others(cloud, self.resource_name, &kinds) } else { Vec::new() };
        let spot = if self.spot { Mark::NotSpot } else { Mark::Spot };
        let marks = [Mark::Slice, Mark::Shared, spot].into_iter().filter(|mark| !self.asked_marks.contains(mark));
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, values) in others.into_iter().chain(marks.flat_map(values_of)) {
            let same_maker = is_of_maker(key, self.resource_name);
            if same_maker
                && is_for_pods(key, cloud)
                && is_of_cloud(key, cloud)
                && !self.selector.match_labels.contains_key(key)
            {
                all.entry(key).or_default().extend(values);
            }
        }
        all.into_iter().collect()
    }
}

/// Labels of one maker's devices are of no use to pods that ask for another's.
fn is_of_maker(key: &str, resource_name: &str) -> bool {
    ["nvidia.com/", "amd.com/"].iter().all(|maker| !key.starts_with(maker) || resource_name.starts_with(maker))
}

/// True if pods may name the label in their affinity. GKE Autopilot refuses pods that name labels of others than GKE,
/// and autoscalers of EKS and AKS make no node for pods that name these two.
fn is_for_pods(key: &str, cloud: &str) -> bool {
    let refused = ["eks.amazonaws.com/capacityType", "kubernetes.azure.com/scalesetpriority"];
    !refused.contains(&key) && (cloud != "gcp" || key.starts_with("cloud.google.com/"))
}

/// Labels that one cloud alone sets are of no use on targets that name another.
fn is_of_cloud(key: &str, cloud: &str) -> bool {
    const ONLY: [(&str, &str); 6] = [
        ("cloud.google.com/", "gcp"),
        ("karpenter.k8s.aws/", "aws"),
        ("eks.amazonaws.com/", "aws"),
        ("kubernetes.azure.com/", "azure"),
        ("gpu.nvidia.com/", "coreweave"),
        ("doks.digitalocean.com/", "digitalocean"),
    ];
    let owner = ONLY.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, cloud)| *cloud);
    owner.is_none_or(|owner| owner == cloud || !ONLY.iter().any(|(_, known)| *known == cloud))
}

fn tainted(taint: &Taint) -> LeftOut {
    LeftOut::Tainted { key: shown(&taint.key), value: shown(&taint.value), effect: taint.effect }
}

/// The nodes of an offer, and those that it leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The nodes that take replicas now, as indexes into the target's nodes.
    pub usable: Vec<usize>,
    /// Nodes that belong to it, usable now or not: an autoscaler adds beside them.
    pub belonging: u32,
    /// Nodes of the target.
    pub seen: u32,
    /// Nodes of the target that have the resource at all.
    pub having: u32,
    /// Why nodes are left out, each with their number.
    pub left_out: BTreeMap<LeftOut, u32>,
    /// Usable nodes of a product that the catalogue does not know.
    pub unknown: BTreeMap<Label, u32>,
    /// Usable nodes that have more devices than an instance of the offer, and the most that one of them has.
    pub excess: Option<Excess>,
}

/// Why an offer has no nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoNodes {
    /// No node of the target has the offer's resource.
    NoDevices,
    /// Nodes have the resource, and none of them has the offer's labels.
    OtherLabels {
        /// Nodes that have the resource.
        having: u32,
    },
}

/// Nodes that have more devices than one instance of their offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excess {
    /// Number of nodes.
    pub nodes: u32,
    /// The most devices that one of them has.
    pub devices: u32,
}

impl Members {
    /// Sorts the nodes of a target for one of its offers; `said` are the labels of each node, read.
    #[must_use]
    pub fn sort(cloud: Cloud<'_>, offer: &Offer, nodes: &[Node], said: &[Said]) -> Self {
        let membership = Membership::within(cloud, offer);
        let mut sorted = Self::default();
        for (index, (node, said)) in nodes.iter().zip(said).enumerate() {
            let devices = node.allocatable_accelerators.get(&offer.resource_name).copied().unwrap_or(0);
            sorted.seen += 1;
            sorted.having += u32::from(devices > 0);
            match membership.standing(node, said) {
                Standing::Elsewhere => {}
                Standing::LeftOut(cause) => {
                    sorted.belonging += u32::from(cause.belongs());
                    *sorted.left_out.entry(cause).or_default() += 1;
                }
                Standing::Usable(unknown) => {
                    sorted.belonging += 1;
                    sorted.usable.push(index);
                    if let Some(label) = unknown {
                        *sorted.unknown.entry(label).or_default() += 1;
                    }
                    if devices > offer.accelerators() {
                        let excess = sorted.excess.get_or_insert_default();
                        excess.nodes += 1;
                        excess.devices = excess.devices.max(devices);
                    }
                }
            }
        }
        sorted
    }

    /// Why the offer has no nodes; `None` where it has some, where each that is left out has its cause, and where the
    /// target shows no nodes at all.
    #[must_use]
    pub fn no_nodes(&self) -> Option<NoNodes> {
        if self.seen == 0 || self.belonging > 0 || !self.left_out.is_empty() {
            return None;
        }
        Some(if self.having == 0 { NoNodes::NoDevices } else { NoNodes::OtherLabels { having: self.having } })
    }

    /// The causes by the number of their nodes, the most first.
    #[must_use]
    pub fn causes(&self) -> Vec<(&LeftOut, u32)> {
        let mut causes: Vec<_> = self.left_out.iter().map(|(cause, nodes)| (cause, *nodes)).collect();
        causes.sort_by_key(|(_, nodes)| std::cmp::Reverse(*nodes));
        causes
    }
}

/// Devices of a node that replicas of an offer may still take: never more than one instance of the offer has, however
/// many the node shows (shared devices, virtual ones). `returned` of those in use are counted as free.
#[must_use]
pub fn free_devices(offer: &Offer, node: &Node, returned: u32) -> u32 {
    let of = |amounts: &BTreeMap<String, u32>| amounts.get(&offer.resource_name).copied().unwrap_or(0);
    let (all, free) = (of(&node.allocatable_accelerators), of(&node.free_accelerators).saturating_add(returned));
    if all <= offer.accelerators() {
        return free;
    }
    offer.accelerators().saturating_sub(all.saturating_sub(free))
}
