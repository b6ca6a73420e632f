//! From a target's declaration to how its place behaves.

use crate::cloud::wire::{Capacity, Preemption, Profile};
use roadstead_api::v1alpha1::{ServingTargetSpec, SimulatedCapacity, SimulatedTarget};

/// Behaviour of this target's place.
#[must_use]
pub fn profile(spec: &ServingTargetSpec) -> Profile {
    let simulated = spec.simulated.clone().unwrap_or_default();
    let SimulatedTarget { startup_seconds, deletion_seconds, list_lag_seconds, capacity, preemption, faults } =
        simulated;
    let per_instance = |offer: &str| {
        let found = spec.offers.iter().find(|known| known.name == offer);
        found.map_or(0, |offer| u32::try_from(offer.accelerator.count).unwrap_or(0))
    };
    let of = |capacity: SimulatedCapacity| {
        let instances = u32::try_from(capacity.instances).unwrap_or(0);
        let accelerators = per_instance(&capacity.name).saturating_mul(instances);
        (capacity.name, Capacity { accelerators, late: capacity.late })
    };
    Profile {
        startup_millis: millis(startup_seconds),
        deletion_millis: millis(deletion_seconds),
        list_lag_millis: millis(list_lag_seconds),
        capacity: capacity.into_iter().map(of).collect(),
        preemption: preemption.map(|preemption| Preemption {
            after_millis: millis(preemption.after_seconds),
            down_millis: millis(preemption.down_seconds),
        }),
        faults,
    }
}

fn millis(seconds: i32) -> i64 {
    i64::from(seconds) * 1000
}
