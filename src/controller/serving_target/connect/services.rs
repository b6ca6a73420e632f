//! Parts that the drivers of managed services have in common.

use std::sync::Arc;

use roadstead_provider::address::{self, Reach};
use roadstead_provider::meter::ServiceMeter;
use roadstead_rest::ServiceContext;

use crate::controller::context::Context;

/// Parts that the driver of every service has.
#[allow(dead_code, reason = "a hosted vendor, on which nothing is placed, has fewer parts")]
pub fn service_context(context: &Context) -> ServiceContext {
    ServiceContext {
        install_id: context.settings.install_id.clone(),
        gate: Arc::clone(&context.gate),
        meter: Arc::clone(&context.metrics) as Arc<dyn ServiceMeter>,
        clock: context.clock,
        paced: true,
    }
}

/// Addresses to which a service of this type may lead: only the operator's flag leads one into the hub's own network.
#[allow(dead_code, reason = "models of Bedrock are not asked")]
pub fn reach(context: &Context, type_: &str) -> Reach {
    let is_overridden = context.settings.drivers.endpoint_override(type_).is_some();
    if is_overridden { address::anywhere } else { address::elsewhere }
}
