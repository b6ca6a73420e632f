//! A decided place.

use serde::{Deserialize, Serialize};

use crate::money::MicroDollars;
use crate::offer::CapacityType;
use crate::resources::Accelerator;

/// A decided place for all replicas.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Placement {
    /// Target.
    pub target: String,
    /// Offer of the target.
    pub offer: String,
    /// Shape of the deployment.
    pub shape: String,
    /// Accelerators of one replica.
    pub accelerator: Accelerator,
    /// Capacity type of its offer.
    pub capacity_type: CapacityType,
    /// Lowest number that no endpoint of this deployment holds, deleting ones included.
    pub slot: u32,
    /// Replicas.
    pub replicas: u32,
    /// Hourly cost of one replica, rounded up; `None` is unknown. `Reserved` without a price is zero.
    pub replica_cost: Option<MicroDollars>,
    /// Hourly cost of all replicas; `None` is unknown.
    pub hourly_cost: Option<MicroDollars>,
}
