//! Roadstead places model-serving workloads across clouds: see ARCHITECTURE.md for the map.

pub mod cli;
pub mod controller;
pub mod gateway;
pub mod telemetry;
