//! A simulated cloud, which costs nothing: the server behind targets of type `Simulated`, in a separate process.
//!
//! It outlives the operator as a real cloud would. `world` holds the places and is pure: time is an argument. `endpoint`
//! is what time does to one endpoint, `faults` what goes wrong, `journal` what survives the process, `server` the HTTP
//! around them, `wire` the messages that the driver (`provider::simulated`) and the cloud exchange.

mod address;
mod endpoint;
mod faults;
mod journal;
pub mod server;
pub mod wire;
mod world;

pub use address::CloudAddress;
pub use server::serve;
