//! Amazon Web Services: credentials, signatures, and the form of calls and errors that its JSON services share.
//!
//! Credentials come from aws-config (the pod's own identity, a role that is assumed) or from a Secret; aws-sigv4 signs. Calls
//! are made by `roadstead-rest`.

mod chain;
mod credentials;
mod errors;
mod identity;
mod json;
mod partition;
mod secret;
mod sign;
mod token;

pub use credentials::{AssumedRole, AwsCredentials, CredentialSettings, CredentialSource};
pub use errors::{class, read_json_error};
pub use identity::{IDENTITY_OPERATION, caller_account, sts_profile};
pub use json::json_call;
pub use partition::Partition;
pub use secret::{LongLivedKey, SecretFault};
pub use sign::Signed;
pub use token::{TokenService, bearer_token};
