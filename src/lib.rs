//! Roadstead places model-serving workloads across clouds.

pub mod kube_ext;
