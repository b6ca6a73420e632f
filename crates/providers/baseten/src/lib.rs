//! Baseten: one team in one region is a place.
//!
//! An endpoint is a model with a deployment for its environment `production`. The driver uploads the archive of a model, which holds
//! nothing but its config (`form`, `archive`, `upload`), and creates the model (`driver`). `service` holds the calls, `wire` and
//! `labels` what comes back, `state` the decision about the next step, `models` what the service lists, `listing` the inventory and
//! `prices` the terms. The service issues the key of an endpoint (`keys`), keeps the secrets of its deployment (`vault`), and the claim
//! of the hub (`claim`).

mod archive;
mod claim;
mod driver;
mod form;
mod keys;
mod labels;
mod listing;
mod models;
mod place;
mod prices;
mod service;
mod state;
mod upload;
mod vault;
mod wire;

pub use self::driver::Baseten;
pub use self::form::BasetenForm;
pub use self::labels::DeploymentLabels;
pub use self::place::{BasetenAccess, BasetenAddresses, BasetenPlace, probe};
pub use self::service::{KEY_TYPE, NAME as SERVICE, OPERATIONS};
