//! Managed services below the whole operator: a process on a real API server, and a stateful fake of the service.
//!
//! The conformance suite shows what a driver promises; this shows that the operator is plugged into it: Secret, flag, probe,
//! metrics and removal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod at_rest;
mod azure_ml;
mod azure_openai;
mod baseten;
mod bedrock;
mod choice;
mod crash_sweep;
mod digital_ocean;
mod places;
mod rebuilt;
mod rights;
mod sagemaker;
mod stage;
mod swept;
mod vertex;
