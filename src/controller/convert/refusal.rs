//! A refusal by a place: from a target's status to the planner, and back.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use roadstead_api::planning::{count, now, time};
use roadstead_api::v1alpha1::{ExhaustedStatus, quantity};
use roadstead_model::{self as model, Timestamp};

/// A recorded refusal as the planner sees it.
#[must_use]
pub fn exhausted(entry: &ExhaustedStatus) -> model::Exhausted {
    let only_for = entry
        .only_for
        .as_deref()
        .and_then(|id| id.split_once('/'))
        .map(|(namespace, name)| model::DeploymentId { namespace: namespace.to_owned(), name: name.to_owned() });
    model::Exhausted {
        offer: entry.offer.clone(),
        size: model::Size {
            accelerators: count(entry.accelerator_count),
            resources: model::Resources {
                cpu_millis: quantity::millis(&entry.cpu).unwrap_or(0),
                memory_bytes: quantity::units(&entry.memory).unwrap_or(0),
                ephemeral_storage_bytes: quantity::units(&entry.ephemeral_storage).unwrap_or(0),
            },
        },
        only_for,
        generation: entry.generation.unwrap_or(0),
        until: now(entry.until.0),
        attempts: count(entry.attempts),
        reason: entry.reason.clone(),
    }
}

/// A refusal in a target's status.
#[must_use]
pub fn exhausted_status(refusal: &model::Exhaust, until: Timestamp, attempts: i32) -> ExhaustedStatus {
    let resources = &refusal.size.resources;
    ExhaustedStatus {
        offer: refusal.offer.clone(),
        accelerator_count: i32::try_from(refusal.size.accelerators).unwrap_or(i32::MAX),
        cpu: Quantity(format!("{}m", resources.cpu_millis)),
        memory: Quantity(resources.memory_bytes.to_string()),
        ephemeral_storage: Quantity(resources.ephemeral_storage_bytes.to_string()),
        only_for: refusal.only_for.as_ref().map(ToString::to_string),
        generation: Some(refusal.generation).filter(|generation| *generation > 0),
        until: time(until),
        attempts,
        reason: refusal.reason.clone(),
    }
}
