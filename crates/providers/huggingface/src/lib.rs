//! Hugging Face Inference Endpoints: one namespace in one region of one cloud is a place.
//!
//! `view` and `form` are the endpoints that are there and those that are wanted, `observed` the report to the core, `service` the
//! calls, `driver` their order, `listing` the inventory, `hardware` and `terms` prices and quotas, `seal` the protection of an
//! endpoint's key at its place. An endpoint is public and guarded by its own key, as on clusters. It is one resource: nothing has to
//! be removed before or after it.

mod driver;
mod form;
mod hardware;
mod listing;
mod observed;
mod place;
mod seal;
mod service;
mod terms;
mod view;

pub use self::driver::HuggingFace;
pub use self::form::HubForm;
pub use self::observed::probe;
pub use self::place::{HubAccess, HubAddresses, HubPlace};
pub use self::service::{NAME as SERVICE, OPERATIONS, PERMISSION};
pub use self::view::{HubCompute, HubModel, HubScaling, HubState, HubStatus, HubView};
