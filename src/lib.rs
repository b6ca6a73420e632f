//! Roadstead places model-serving workloads across clouds: see ARCHITECTURE.md for the map.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod kube_ext;
pub mod provider;
pub mod simulated_cloud;
pub mod telemetry;
pub mod text;
