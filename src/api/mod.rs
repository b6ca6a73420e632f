//! Roadstead's API: the kinds that users and the operator write.

pub mod v1alpha1;
