//! Roadstead places model-serving workloads across clouds: see ARCHITECTURE.md for the map.

pub mod cli;
pub mod controller;
pub mod telemetry;

pub use roadstead_api as api;
pub use roadstead_runtime as kube_ext;
pub use roadstead_runtime::text;
#[cfg(feature = "simulated")]
pub use roadstead_simulated::cloud as simulated_cloud;

/// Remote clusters, and which addresses may be reached.
pub mod cluster {
    #[cfg(feature = "kubernetes")]
    pub use roadstead_kubernetes::cluster::{connection, kubeconfig};
    pub use roadstead_provider::address;
}

/// The seam and its drivers.
pub mod provider {
    pub mod metered;

    #[cfg(feature = "kubernetes")]
    pub use roadstead_kubernetes as kubernetes;
    pub use roadstead_provider::*;
    #[cfg(feature = "simulated")]
    pub use roadstead_simulated as simulated;
}
