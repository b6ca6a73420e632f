//! Remote clusters: from the kubeconfig in a Secret to a client that can be trusted with it.
//!
//! `kubeconfig` reads the Secret, `address` checks its destination, `connection` builds the client, and `bounded`
//! limits answers.

mod bounded;
pub mod connection;
pub mod kubeconfig;
