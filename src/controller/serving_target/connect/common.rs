//! Parts that all drivers have in common.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use roadstead_provider::Provider;
use roadstead_provider::discreet::Discreet;
use sha2::{Digest, Sha256};

use crate::controller::context::Context;
use crate::telemetry::metered::Metered;

/// The driver as the operator uses it: counted, and repeating no secret.
pub fn as_used(context: &Context, driver: impl Provider + 'static) -> Arc<dyn Provider> {
    Arc::new(Metered::new(Discreet::new(driver), Arc::clone(&context.metrics), context.clock))
}

/// Digest of everything that a driver is built from.
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    HEXLOWER.encode(&digest.finalize())
}
