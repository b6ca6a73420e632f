//! Calls to managed services, and the driver that all of them share.
//!
//! A driver describes its service ([`ServiceProfile`]: limits, paces, the form of its errors) and each call ([`RestCall`]), and
//! brings a proof of identity ([`Authorize`]). A [`RestClient`] makes the call once, within one deadline, and returns a bounded
//! answer or a [`RestFailure`] with its class. Nothing is repeated here: the queues of the core repeat, after a look at what is
//! there (docs/adr/0070-one-layer-for-managed-services.md).
//!
//! A driver's own part is a [`ManagedService`]; [`ServiceDriver`] makes a driver of it, with the rules of ownership and the order
//! of steps that all services share (docs/adr/0090-one-frame-for-service-drivers.md).

mod answer;
mod authorize;
mod base;
mod call;
mod claim;
mod client;
mod context;
mod driver;
mod failure;
mod listing;
mod managed;
mod oauth;
mod pace;
mod pages;
mod profile;
mod terms;
mod token;
mod transport;
mod wait;

pub use answer::RestAnswer;
pub use authorize::{Authorize, Bearer, NoCredentials};
pub use base::{BaseUrl, BaseUrlError, Insecure, is_on_this_machine};
pub use call::{CallEffect, RestCall, encoded};
pub use claim::claim_by_endpoints;
pub use client::{ClientParts, RestClient};
pub use context::ServiceContext;
pub use driver::ServiceDriver;
pub use failure::RestFailure;
pub use listing::{Listable, ListedPlace};
pub use managed::{EndpointOwner, EndpointOwnership, ManagedService, created_concurrently, invalid_key};
pub use oauth::{class_of_oauth, read_oauth_error};
pub use pace::{Pace, Paced};
pub use pages::{FullListing, Page, PageLimits, Pages};
pub use profile::{ErrorEnvelope, ServiceProfile, class_of_status};
pub use terms::{StatedTerms, TermsByType};
pub use token::{KeptToken, ServiceToken};
pub use transport::{ServiceRoute, Transport};
pub use wait::wait_for;
