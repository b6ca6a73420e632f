//! The installation of the endpoints on the hub, from the records' labels and from their names, which are computed from
//! the installation's id. To an operator with another id, these endpoints would have no owner, so it does no work
//! while they exist.

use std::fmt;

use kube::api::{DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use roadstead_explain::OperatorMessage;

use super::find;
use super::settings::WatchedNamespaces;
use roadstead_api::v1alpha1::{InferenceEndpoint, names};
use roadstead_runtime::cache::{Key, Part};
use roadstead_runtime::client::CallError;

/// An endpoint on the hub was made by another installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// This operator's id.
    ours: String,
    /// The id of the installation that made the endpoint, where its record names it.
    theirs: Option<String>,
    /// The endpoint.
    endpoint: Key,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs, endpoint } = self;
        let message = OperatorMessage::OtherInstallation {
            endpoint: &endpoint.to_string(),
            deployment: &endpoint.name,
            theirs: theirs.as_deref(),
            ours,
            label: names::LABEL_INSTALL_ID,
        };
        write!(f, "{message}")
    }
}

/// An endpoint of another installation than `install_id` in the watched namespaces, if there is one.
///
/// A namespace that refuses the operator is passed over: nothing is done there either.
///
/// # Errors
/// [`CallError`] of any page.
pub async fn conflict(
    client: &Client,
    install_id: &str,
    watched: &WatchedNamespaces,
) -> Result<Option<Conflict>, CallError> {
    // Those with our label are ours: in a fleet that is settled, the server has nothing to send.
    let others = ListParams::default().labels(&format!("{}!={install_id}", names::LABEL_INSTALL_ID));
    for part in watched.tenants() {
        let stranger = |endpoint: &DynamicObject| maker(endpoint, install_id) != Maker::Ours;
        let found = match find::find_endpoint(client, &part, &others, stranger).await {
            Err(error) if error.code() == Some(403) && part != Part::Everything => {
                tracing::warn!(%error, ?part, "cannot read the install id of endpoints in this namespace");
                continue;
            }
            found => found?,
        };
        if let Some(endpoint) = found {
            let theirs = match maker(&endpoint, install_id) {
                Maker::Other(theirs) => Some(theirs),
                Maker::Ours | Maker::Unnamed => None,
            };
            let endpoint = Key::new(endpoint.namespace().unwrap_or_default(), endpoint.name_any());
            return Ok(Some(Conflict { ours: install_id.to_owned(), theirs, endpoint }));
        }
    }
    Ok(None)
}

/// True if another installation than `install_id` made an endpoint, by its label. It is left alone, wherever it comes
/// from: two operators that start on an empty hub see no conflict.
#[must_use]
pub fn is_foreign(endpoint: &InferenceEndpoint, install_id: &str) -> bool {
    endpoint.labels().get(names::LABEL_INSTALL_ID).is_some_and(|maker| maker != install_id)
}

/// Installation of an endpoint.
#[derive(Debug, PartialEq, Eq)]
enum Maker {
    Ours,
    /// The installation with this id.
    Other(String),
    /// Another installation; its record has no id.
    Unnamed,
}

/// Installation of an endpoint, from its label. Records of older releases have none, but their names prove whether they
/// are ours. An unreadable record is left to the watch, which skips it.
fn maker(endpoint: &DynamicObject, install_id: &str) -> Maker {
    match endpoint.labels().get(names::LABEL_INSTALL_ID) {
        Some(label) if label == install_id => Maker::Ours,
        Some(label) => Maker::Other(label.clone()),
        None => match computed_name(endpoint, install_id) {
            Some(name) if name != endpoint.name_any() => Maker::Unnamed,
            _ => Maker::Ours,
        },
    }
}

/// The name that the endpoint has if `install_id` made it.
fn computed_name(endpoint: &DynamicObject, install_id: &str) -> Option<String> {
    let spec = endpoint.data.get("spec")?;
    let text = |pointer: &str| spec.pointer(pointer)?.as_str();
    let slot = u32::try_from(spec.get("slot")?.as_u64()?).ok()?;
    Some(names::endpoint_name(
        install_id,
        &endpoint.namespace()?,
        text("/deploymentRef/name")?,
        text("/target")?,
        text("/shape")?,
        text("/capacityType")?,
        slot,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A record as it was made by the installation `prod`.
    fn record(labels: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {
                "namespace": "team", "labels": labels,
                "name": names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 3),
            },
            "spec": {
                "deploymentRef": {"name": "llama"}, "target": "east", "shape": "one", "capacityType": "OnDemand", "slot": 3,
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_record_tells_by_its_label_and_an_older_one_by_its_name_which_installation_made_it() {
        let labelled = record(&json!({names::LABEL_INSTALL_ID: "prod"}));
        assert_eq!(maker(&labelled, "prod"), Maker::Ours);
        assert_eq!(maker(&labelled, "staging"), Maker::Other("prod".to_owned()));
        let older = record(&json!({}));
        assert_eq!(maker(&older, "prod"), Maker::Ours);
        assert_eq!(maker(&older, "staging"), Maker::Unnamed);
    }

    #[test]
    fn a_record_that_cannot_be_read_says_nothing_of_installations() {
        let mut record = record(&json!({}));
        record.data["spec"]["slot"] = json!("three");
        assert_eq!(maker(&record, "staging"), Maker::Ours);
    }

    #[test]
    fn a_conflict_names_both_ids_and_says_how_to_change_the_id() {
        let conflict = |theirs: Option<&str>| {
            let theirs = theirs.map(ToOwned::to_owned);
            Conflict { ours: "staging".to_owned(), theirs, endpoint: Key::new("team", "llama-a") }.to_string()
        };
        let told = conflict(Some("prod"));
        for part in ["team/llama-a", "\"prod\"", "\"staging\"", "Set installId back to \"prod\"", "delete all"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let told = conflict(None);
        for part in ["team/llama-a", "\"staging\"", "roadstead.dev/install-id of Deployment llama-a", "delete all"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
