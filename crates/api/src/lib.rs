//! Roadstead's API: the kinds that users and the operator write, their schemas, and how files of them are checked.

pub mod check;
pub mod planning;
pub mod schema;
pub mod v1alpha1;
