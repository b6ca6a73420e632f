//! Messages and events about a target.

use std::fmt;

use crate::words::{count, named};

/// Maximum number of a target's users in a message.
const MAX_USERS: usize = 5;
/// Maximum number of remarks in a message; the rest is counted.
const MAX_REMARKS: usize = 6;

/// Message of a target's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetMessage<'a> {
    /// Its driver is connected, and new endpoints may be placed there.
    Connected,
    /// Its nodes and endpoints are being listed for the first time.
    Listing,
    /// It has not been checked since the operator started.
    Unchecked,
    /// It is being deleted, with the names of the endpoints that still use it.
    Deleting(&'a [String]),
    /// It has no driver, because no credentials were read.
    NoCredentials,
    /// The server at its address has an identity that is not a UID.
    IdentityMalformed,
    /// Its credentials lead to another cluster than the one that runs its endpoints.
    IdentityChanged {
        /// UID of the cluster that answered.
        found: &'a str,
        /// UID of the cluster at first contact.
        pinned: &'a str,
        /// Endpoints on the pinned cluster.
        users: &'a [String],
    },
    /// An older target is the same place.
    Duplicate {
        /// UID of the cluster.
        identity: &'a str,
        /// Name of the older target.
        older: &'a str,
    },
    /// Another hub claims the cluster for the same install id.
    ClaimedByOtherHub {
        /// UID of that hub.
        hub: &'a str,
        /// The install id.
        install_id: &'a str,
    },
    /// The operator was built without the driver for its type.
    DriverMissing {
        /// The type of targets.
        type_: &'a str,
        /// The Cargo feature of its driver.
        feature: &'a str,
    },
    /// The operator has no simulated cloud.
    SimulationDisabled,
    /// The settings of its type are missing.
    SettingsMissing {
        /// Its type.
        type_: &'a str,
        /// The field of the settings.
        field: &'a str,
    },
    /// The Secret with its token does not exist.
    TokenSecretMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// The key that holds the token.
        key: &'a str,
    },
    /// The Secret with its token lacks the key, or the value is no token.
    TokenUnusable {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// The key.
        key: &'a str,
    },
    /// The Secret with its AWS key does not exist.
    AwsSecretMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
    },
    /// The Secret with the key of a Google service account does not exist.
    GoogleSecretMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// The key that holds the file.
        key: &'a str,
    },
    /// The Secret has no usable key of a Google service account.
    GoogleKeyUnusable {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// The key that holds the file.
        key: &'a str,
        /// The fault of the file.
        fault: GoogleKeyFault,
    },
    /// The Secret with the secret of an Azure application does not exist.
    AzureSecretMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
    },
    /// The Secret with its credentials lacks an entry, or the entry is no text.
    SecretEntryUnusable {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// The entry.
        entry: &'a str,
    },
    /// The Secret with its kubeconfig does not exist.
    SecretMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// Key of the kubeconfig.
        key: &'a str,
    },
    /// The Secret with its kubeconfig lacks the key.
    SecretKeyMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// Key of the kubeconfig.
        key: &'a str,
    },
    /// A reading of endpoints, prices or quotas is refused with these words.
    ReadRefused(&'a str),
    /// Its listing exceeds a limit, for this reason.
    InventoryIncomplete(&'a str),
    /// Remarks on its spec and on nodes of its offers.
    Attention(&'a [String]),
}

/// Fault of a file with the key of a Google service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoogleKeyFault {
    /// It is no such file.
    Malformed,
    /// Its private key cannot sign.
    Unusable,
    /// It sends requests for tokens elsewhere.
    OtherAddress,
}

impl fmt::Display for GoogleKeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "write the JSON file of type service_account that Google Cloud hands out",
            Self::Unusable => "its private_key is not an RSA key in PKCS #8; create another key",
            Self::OtherAddress => "its token_uri is not https://oauth2.googleapis.com/token; create another key",
        })
    }
}

impl fmt::Display for TargetMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected; accepts placements"),
            Self::Listing => f.write_str("connected; listing capacity and endpoints"),
            Self::Unchecked => f.write_str("the target has not been checked"),
            Self::Deleting([]) => f.write_str("the target is being deleted"),
            Self::Deleting(users) => {
                write!(
                    f,
                    "the target is being deleted; waiting for the removal of its endpoints: {}",
                    named(users, MAX_USERS)
                )
            }
            Self::NoCredentials => f.write_str(
                "the operator has read no credentials for this target; check the Secret that its connection names",
            ),
            Self::IdentityMalformed => {
                f.write_str("the identity that the server reports is not a UID; check the address of the target")
            }
            Self::IdentityChanged { found, pinned, users } => write!(
                f,
                "the credentials lead to {found}, but these endpoints run at {pinned}: {}; restore the \
                 credentials of {pinned}. Until then, no endpoint counts as deleted",
                named(users, MAX_USERS)
            ),
            Self::Duplicate { identity, older } => {
                write!(f, "the older target {older} is the same place ({identity}); delete one of the two targets")
            }
            Self::ClaimedByOtherHub { hub, install_id } => write!(
                f,
                "the hub {hub} uses this place with the same install id {install_id:?}; give this installation another \
                 id, or set the chart value takeover={hub} if that hub no longer exists"
            ),
            Self::DriverMissing { type_, feature } => write!(
                f,
                "this operator was built without the driver for type {type_}; use a build with the Cargo feature {feature}"
            ),
            Self::SimulationDisabled => f.write_str(
                "type Simulated requires a simulated cloud: start one with `roadstead simulated-cloud`, and pass its \
                 address to the operator with --simulated-cloud (chart value simulatedCloud.enabled)",
            ),
            Self::SettingsMissing { type_, field } => write!(f, "type {type_} requires {field}; add it"),
            Self::TokenSecretMissing { namespace, name, key } => {
                write!(f, "Secret {namespace}/{name} does not exist; create it with a token under key {key:?}")
            }
            Self::TokenUnusable { namespace, name, key } => write!(
                f,
                "Secret {namespace}/{name} has no usable token under key {key:?}; add it as one line of printable text"
            ),
            Self::AwsSecretMissing { namespace, name } => write!(
                f,
                "Secret {namespace}/{name} does not exist; create it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ),
            Self::AzureSecretMissing { namespace, name } => write!(
                f,
                "Secret {namespace}/{name} does not exist; create it with AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
            ),
            Self::SecretEntryUnusable { namespace, name, entry } => {
                write!(f, "Secret {namespace}/{name} has no usable entry {entry:?}; add it as printable text")
            }
            Self::GoogleSecretMissing { namespace, name, key } => write!(
                f,
                "Secret {namespace}/{name} does not exist; create it with the JSON key of a service account under key {key:?}"
            ),
            Self::GoogleKeyUnusable { namespace, name, key, fault } => {
                write!(f, "Secret {namespace}/{name} has no usable key of a service account under key {key:?}: {fault}")
            }
            Self::SecretMissing { namespace, name, key } => {
                write!(f, "Secret {namespace}/{name} does not exist; create it with a kubeconfig under key {key:?}")
            }
            Self::SecretKeyMissing { namespace, name, key } => {
                write!(f, "Secret {namespace}/{name} has no key {key:?}; add the kubeconfig under that key")
            }
            Self::ReadRefused(words) => {
                write!(
                    f,
                    "{words}; grant the right. Until then, this target has no newer list of endpoints, prices or quotas; prices count for two hours \
                     after they were read"
                )
            }
            Self::InventoryIncomplete(cut) => {
                write!(f, "{cut}; new ModelDeployments wait until the inventory of this target is complete")
            }
            Self::Attention(remarks) => {
                f.write_str(&remarks.iter().take(MAX_REMARKS).cloned().collect::<Vec<_>>().join("; "))?;
                match remarks.len().saturating_sub(MAX_REMARKS) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more: see status.capacity"),
                }
            }
        }
    }
}

/// A remark on nodes of the offer of this name.
#[must_use]
pub fn offer_remark(offer: &str, remark: &str) -> String {
    format!("offer {offer}: {remark}")
}

/// A size that an offer of a target refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedSize<'a> {
    /// The offer.
    pub offer: &'a str,
    /// Accelerators of the refused replica.
    pub accelerators: u32,
    /// The deployment, if the refusal does not affect others.
    pub only_for: Option<&'a str>,
    /// Number of consecutive refusals.
    pub attempts: u32,
    /// A `CamelCase` reason.
    pub reason: &'a str,
    /// End of the back-off, in RFC 3339.
    pub until: &'a str,
}

impl fmt::Display for RefusedSize<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offer, accelerators, only_for, attempts, reason, until } = self;
        let replica = count(*accelerators, "accelerator");
        let whom = only_for.map(|whom| format!(" of {whom}")).unwrap_or_default();
        let row = if *attempts > 1 { format!(", {attempts} times in a row") } else { String::new() };
        write!(
            f,
            "offer {offer} refused a replica{whom} with {replica} ({reason}{row}); the operator does not retry it before {until}"
        )
    }
}
