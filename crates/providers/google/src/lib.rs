//! Google Cloud: OAuth tokens, and the form of errors that its APIs share.
//!
//! Tokens come from the metadata server (the identity of a pod or a machine), or are given for the key of a service account or for a
//! token of another issuer; with each, the operator may act as another service account. Calls are made by `roadstead-rest`, and the
//! one signature by ring (docs/adr/0075-tokens-of-google.md, docs/adr/0088-federation-by-a-token-file.md).

mod credentials;
mod errors;
mod external;
mod key;

pub use credentials::{ActingAs, GoogleAddresses, GoogleCredentials, GoogleIdentity, GoogleParts, OPERATIONS};
pub use errors::{class, read_google_error};
pub use external::{CredentialFileFault, ExternalAccount, ImpersonatedAccount};
pub use key::{KeyFault, ServiceAccountKey};
