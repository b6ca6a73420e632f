//! Hosted vendors with an API like that of `OpenAI`: the operator asks whether the vendor answers and takes the key.
//!
//! Nothing is placed there: the models are the vendor's own, and deployments fall back on them at the gateway
//! (docs/adr/0077-hosted-models-by-name.md). So the driver has no endpoints and changes nothing.

mod service;
mod vendor;

pub use self::service::{NAME as SERVICE, OPERATIONS};
pub use self::vendor::{HostedVendor, VendorParts};
