//! Meaning of an operation's failure.

use roadstead_api::v1alpha1::reasons;
use roadstead_azure::{ArmOperationError, exhausted};
use roadstead_provider::ErrorClass;

/// Class and reason of a failure.
#[must_use]
pub fn late(error: &ArmOperationError) -> (ErrorClass, &'static str) {
    match exhausted(&error.code, &error.message) {
        Some(ErrorClass::CapacityExhausted) => (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED),
        Some(class) => (class, reasons::QUOTA_EXCEEDED),
        None => (ErrorClass::Transient, reasons::PROVIDER_ERROR),
    }
}
