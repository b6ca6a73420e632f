//! The facts that a plan was made from, by name.

use crate::endpoint::{Endpoint, Found};
use crate::identity::{DeploymentId, EndpointKey};
use crate::limits::ReplacementLimits;
use crate::target::Target;

/// The facts that a plan was made from; whoever keeps them gives them out by name.
pub trait Facts {
    /// Limits of the replacements in progress.
    fn replacement_limits(&self) -> ReplacementLimits;

    /// The target of this name.
    fn target(&self, name: &str) -> Option<&Target>;

    /// All targets.
    fn targets(&self) -> impl Iterator<Item = &Target>;

    /// The endpoint of this key.
    fn endpoint(&self, key: &EndpointKey) -> Option<&Endpoint>;

    /// All endpoints.
    fn endpoints(&self) -> impl Iterator<Item = &Endpoint>;

    /// The endpoints of a deployment, whatever their state.
    fn endpoints_of(&self, deployment: &DeploymentId) -> impl Iterator<Item = &Endpoint>;

    /// The endpoints on a target, whatever their state.
    fn endpoints_on(&self, target: &str) -> impl Iterator<Item = &Endpoint>;

    /// Everything that was found of a deployment and has no endpoint.
    fn found_of(&self, deployment: &DeploymentId) -> Vec<&Found>;
}
