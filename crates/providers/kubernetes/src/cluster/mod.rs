//! Remote clusters: from the kubeconfig in a Secret to a client that can be trusted with it.
//!
//! `kubeconfig` reads what stands in the Secret, `address` says where it may lead, `connection` makes the client, and
//! `bounded` cuts answers without end.

mod bounded;
pub mod connection;
pub mod kubeconfig;
