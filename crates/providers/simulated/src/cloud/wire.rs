//! Messages between the driver and the simulated cloud, as JSON over HTTP.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use roadstead_api::v1alpha1::SimulatedFault;
use roadstead_provider::tags::EndpointTags;

/// Behaviour of a place; sent with every check of the target, so that an edit of the target takes effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Milliseconds from the creation of a replica until it answers.
    pub startup_millis: i64,
    /// Milliseconds from a deletion until nothing is left.
    pub deletion_millis: i64,
    /// Milliseconds by which listings lag behind.
    pub list_lag_millis: i64,
    /// Real capacity by offer; an offer that is not listed is unlimited.
    pub capacity: BTreeMap<String, Capacity>,
    /// Periodic loss of spot capacity.
    pub preemption: Option<Preemption>,
    /// Faults of calls.
    pub faults: Vec<SimulatedFault>,
}

/// Capacity of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Accelerators in all.
    pub accelerators: u32,
    /// True if a lack shows only after the creation was accepted.
    pub late: bool,
    /// True if a quota is the limit.
    #[serde(default)]
    pub quota: bool,
}

/// Periodic loss of spot capacity, counted from the time of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preemption {
    /// Milliseconds of service before it is taken.
    pub after_millis: i64,
    /// Milliseconds until it is given back.
    pub down_millis: i64,
}

/// Identity of a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceView {
    /// Its identity: given at first contact, and the same for ever.
    pub identity: String,
}

/// A hub claims a place for an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimOrder {
    /// The UID of the hub.
    pub hub_uid: String,
    /// The UID of a former hub that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<String>,
}

/// Which hub holds a place for an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimView {
    /// The UID of that hub.
    pub hub_uid: String,
}

/// Wanted state of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Form {
    /// Replicas.
    pub replicas: u32,
    /// Accelerators of one replica.
    pub accelerators: u32,
    /// The value of `model` in requests.
    pub model: String,
    /// Hash of everything that replicas are made from; another one replaces them all.
    pub template_hash: String,
    /// The key that requests must bear.
    pub api_key: String,
    /// The form in which it was asked for, as text that means nothing here.
    #[serde(default)]
    pub record: String,
}

/// Asks for a new endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrder {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub tags: EndpointTags,
    /// Wanted state.
    pub form: Form,
}

/// Asks for another form of an endpoint that was seen in `version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateOrder {
    /// The version that was seen; any other is refused.
    pub version: u64,
    /// Wanted state.
    pub form: Form,
}

/// An endpoint as the cloud shows it.
#[allow(clippy::struct_excessive_bools, reason = "each is a key of its JSON")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Its name.
    pub name: String,
    /// Its identity: another one for another endpoint of the same name.
    pub uid: String,
    /// Counts its changes.
    pub version: u64,
    /// Creation time in milliseconds since 1970.
    pub created_millis: i64,
    /// Whose it is.
    pub tags: EndpointTags,
    /// Replicas that it is to have.
    pub replicas: u32,
    /// Accelerators of one replica.
    pub accelerators: u32,
    /// Hash of what its newest replicas are made from.
    pub template_hash: String,
    /// SHA-256 of its key, in hexadecimal digits.
    pub key_digest: String,
    /// The form in which it was asked for, as text that means nothing here.
    #[serde(default)]
    pub record: String,
    /// Replicas that answer.
    pub ready_replicas: u32,
    /// True if all replicas are of the newest form and answer.
    pub serving: bool,
    /// Message about its progress.
    pub message: String,
    /// It got no capacity; time decides when there is some.
    pub exhausted: bool,
    /// True if a quota leaves it none.
    #[serde(default)]
    pub quota: bool,
    /// It is being deleted.
    pub deleting: bool,
}

/// The endpoints of an installation at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointList {
    /// Changes with everything that the list shows.
    pub mark: String,
    /// The endpoints.
    pub endpoints: Vec<EndpointView>,
}

/// The key of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// The key.
    pub api_key: String,
}

/// Why the cloud refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRefusal {
    /// The class of failure, as in `status.lastError.class`.
    pub class: String,
    /// A sentence.
    pub message: String,
    /// After how many seconds to ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// The endpoint that is not there: only this proves that it is gone, no other `NotFound` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// One call that changed something, or was meant to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Counts the entries, from 1.
    pub index: u64,
    /// The place.
    pub place: String,
    /// The call: Create, Update or Delete.
    pub call: String,
    /// The endpoint.
    pub name: String,
    /// `done`, or the class of the refusal.
    pub outcome: String,
}

/// By which two keys are compared without showing them.
#[must_use]
pub fn key_digest(api_key: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(api_key))
}
