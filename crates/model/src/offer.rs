//! Offers: the kinds of instances that a target has, and how they are bought.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::labels::LabelSelector;
use crate::price::Price;
use crate::resources::Accelerator;
use crate::taints::Toleration;

/// The way of buying capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CapacityType {
    /// Paid already, whether used or not.
    Reserved,
    /// Paid while it is used.
    OnDemand,
    /// Cheaper, and can be taken away.
    Spot,
}

impl CapacityType {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "Reserved",
            Self::OnDemand => "OnDemand",
            Self::Spot => "Spot",
        }
    }
}

impl fmt::Display for CapacityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One kind of instance that a target has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offer {
    /// Name, unique within its target.
    pub name: String,
    /// Instance type, as the cloud names it.
    pub instance_type: String,
    /// Accelerators of one whole instance; `None` where it has none, as a hosted service.
    pub accelerator: Option<Accelerator>,
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// Price; `None` is unknown, and for `Reserved` paid already.
    pub price: Option<Price>,
    /// At most so many instances hold replicas of ours; also what an autoscaler may grow to.
    pub max_instances: Option<u32>,
    /// The service says that it has no further instance at present.
    pub sold_out: bool,
    /// True if an autoscaler may add nodes up to `max_instances` (`provisionTimeoutSeconds` is set).
    pub autoscaled: bool,
    /// Kubernetes resource that a pod asks for, like `nvidia.com/gpu`.
    pub resource_name: String,
    /// Nodes that belong to the offer, among those that have the resource.
    pub node_selector: LabelSelector,
    /// Node taints that its pods tolerate.
    pub node_tolerations: Vec<Toleration>,
}

impl Offer {
    /// Number of accelerators of one whole instance; 0 where it has none.
    #[must_use]
    pub fn accelerators(&self) -> u32 {
        self.accelerator.as_ref().map_or(0, |accelerator| accelerator.count)
    }

    /// Kind of its accelerators; `None` where it has none.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.accelerator.as_ref().map(|accelerator| accelerator.kind.as_str())
    }

    /// True if its accelerators are of the kind of these.
    #[must_use]
    pub fn has_kind_of(&self, accelerator: &Accelerator) -> bool {
        self.kind() == Some(accelerator.kind.as_str())
    }
}
