//! The traffic of deployments as data, and the files by which Envoy serves it.
//!
//! The operator writes one [`Route`] per deployment. A gateway reads all of them and renders Envoy's configuration with
//! [`render()`]: a function from data to files, without a clock, a network or a disk. [`changes()`] orders the writes between
//! two configurations, as Envoy needs them: endpoints, then clusters, then routes; removals the other way round.

mod ack;
mod changes;
mod files;
mod hosted;
pub mod render;
mod route;
mod settings;
mod token;

pub use ack::{Ack, Acks, Answering, HostedUse, HostedUseState, HostedUses, Sees, hosts_of_endpoint};
pub use changes::{Change, changes};
pub use files::{Content, File, Files};
pub use hosted::{HostedCeiling, TokenPrice};
pub use render::render;
pub use route::{
    Caller, Credential, Endpoint, EndpointProtocol, HostedModel, Key, Limits, PATHS, RefusalMeaning, Route,
    SERVICE_PATHS, Scheme, ServiceLimits, ServiceRefusal, ShiftProgress, State, VerificationQuestion, WitnessRequest,
};
pub use settings::{Listener, Paths, Settings, Tls};
pub use token::{TokenRole, TokenSource};
