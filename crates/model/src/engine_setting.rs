//! Settings of an engine that not every place applies.

use serde::{Deserialize, Serialize};

/// A field of a deployment that changes what its engine serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EngineSetting {
    /// Arguments for every shape. Those of one shape say how the engine uses its accelerators, which a server of the service's own knows.
    Args,
    /// Environment variables.
    Env,
    /// Revision of the model.
    Revision,
}
