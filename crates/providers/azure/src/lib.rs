//! Azure: tokens of Entra ID, and what the resource providers of Azure Resource Manager share.
//!
//! Tokens are given for the token of the pod's service account (workload identity) or for the secret of an application. Calls are
//! made by `roadstead-rest`; `arm` adds the version of the API, pages, and the operation that a change begins
//! (docs/adr/0085-azure-by-thin-calls.md).

mod arm;
mod credentials;
mod errors;
pub mod marks;
mod resource;

pub use arm::{
    ARM, ARM_CALLS, ARM_WRITES, ArmChange, ArmClient, ArmOperation, ArmOperationError, ArmParts, management,
};
pub use credentials::{
    EntraCredentials, EntraIdentity, EntraParts, EntraSecret, MANAGEMENT_SCOPE, OPERATIONS as TOKEN_OPERATIONS,
    authority, authority_reach,
};
pub use errors::{class, exhausted, read_arm_error};
pub use resource::{ArmSku, ArmTags, SystemTimes};
