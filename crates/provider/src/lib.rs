//! The seam between the core and the places that serve models, and the classes of their failures.
//!
//! The questions of the core split by purpose: of the [`Site`] its identity, claim, capabilities and inventory; of the
//! [`Workload`] what is there of an endpoint, that it be there, that it be gone; and by the [`Probe`](probe::Probe), which
//! a driver describes and this crate asks, whether an endpoint answers. A driver knows one provider and nothing of
//! placement; the core knows no provider by name.

pub mod address;
pub mod discreet;
pub mod environment;
pub mod error;
pub mod images;
pub mod launch;
pub mod meter;
mod newest;
pub mod probe;
pub mod record;
mod site;
pub mod stream;
pub mod tags;
pub mod template_hash;
mod variables;
mod wanted;
mod workload;

pub use error::{ErrorClass, ProviderError};
pub use newest::NewestInventory;
pub use roadstead_model::Capabilities;
pub use site::{CHECK_INTERVAL, Claim, Inventory, Listener, ProviderEvent, ServiceTerms, Site};
pub use variables::Variables;
pub use wanted::{Redacted, Secret, SecretData, Wanted};
pub use workload::{Observation, Present, Progress, Removal, Trouble, TroubleKind, Workload, remove_from};

/// A driver: a place and the endpoints there.
pub trait Provider: Site + Workload {}
impl<P: Site + Workload + ?Sized> Provider for P {}
