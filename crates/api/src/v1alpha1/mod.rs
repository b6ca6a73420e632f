//! Version `v1alpha1` of the group `roadstead.dev`.

pub mod advice;
pub mod baseten;
pub mod common;
pub mod conditions;
pub mod dollars;
pub mod failover;
pub mod hugging_face;
pub mod inference_endpoint;
pub mod limits;
pub mod migration;
pub mod model_deployment;
pub mod moves;
pub mod names;
pub mod quantity;
pub mod reasons;
pub mod sagemaker;
pub mod serving_target;
pub mod simulated;
pub mod syntax;
pub mod validate;
pub mod vertex_ai;

pub use baseten::*;
pub use common::*;
pub use dollars::Dollars;
pub use failover::*;
pub use hugging_face::*;
pub use inference_endpoint::*;
pub use migration::*;
pub use model_deployment::*;
pub use moves::*;
pub use sagemaker::*;
pub use serving_target::*;
pub use simulated::*;
pub use vertex_ai::*;
