//! Roadstead places model-serving workloads across clouds: see ARCHITECTURE.md for the map.

pub mod api;
pub mod kube_ext;
