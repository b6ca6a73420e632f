//! Remote clusters: from the kubeconfig in a Secret to a client that can be trusted with it.

pub mod connection;
pub mod kubeconfig;
