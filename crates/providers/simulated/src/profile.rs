//! From a target's declaration to how its place behaves.

use crate::cloud::wire::{Capacity, Preemption, Profile};
use roadstead_api::v1alpha1::{ServingTargetSpec, SimulatedCapabilities, SimulatedCapacity, SimulatedTarget};
use roadstead_provider::Capabilities;

/// Behaviour of this target's place.
#[must_use]
pub fn profile(spec: &ServingTargetSpec) -> Profile {
    let simulated = spec.simulated.clone().unwrap_or_default();
    let SimulatedTarget {
        startup_seconds,
        deletion_seconds,
        list_lag_seconds,
        capacity,
        preemption,
        faults,
        capabilities: _,
    } = simulated;
    let per_instance = |offer: &str| {
        let found = spec.offers.iter().find(|known| known.name == offer);
        found.map_or(0, |offer| u32::try_from(offer.accelerator.count).unwrap_or(0))
    };
    let of = |capacity: SimulatedCapacity| {
        let instances = u32::try_from(capacity.instances).unwrap_or(0);
        let accelerators = per_instance(&capacity.name).saturating_mul(instances);
        (capacity.name, Capacity { accelerators, late: capacity.late, quota: capacity.quota })
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

/// Abilities of the place of this target.
#[must_use]
pub fn capabilities(spec: &ServingTargetSpec) -> Capabilities {
    let Some(declared) = spec.simulated.as_ref().and_then(|simulated| simulated.capabilities.as_ref()) else {
        return Capabilities::default();
    };
    let SimulatedCapabilities { engines, sources, max_replicas, scale_to_zero, update_in_place } = declared.clone();
    Capabilities {
        engines: engines.map(|engines| engines.into_iter().map(|engine| engine.as_str().to_owned()).collect()),
        sources: sources.map(|sources| sources.into_iter().collect()),
        max_replicas: max_replicas.and_then(|most| u32::try_from(most).ok()),
        scale_to_zero,
        update_in_place,
        whole_instances: false,
        own_server: None,
    }
}

fn millis(seconds: i32) -> i64 {
    i64::from(seconds) * 1000
}
