//! Objects that the driver makes, and the labels that mark them as an endpoint's own.

use std::fmt::Debug;

use kube::{Resource, ResourceExt};
use roadstead_api::v1alpha1::names;
use roadstead_provider::{ErrorClass, ProviderError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind that the driver makes.
pub trait MemberObject: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned> MemberObject for K {}

/// The labels that mark an object as an endpoint's own.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The installation's id.
    pub install_id: &'a str,
    /// The endpoint's name.
    pub endpoint: &'a str,
}

impl Mark<'_> {
    /// True if `live` carries the mark.
    pub fn is_on<K: MemberObject>(&self, live: &K) -> bool {
        label(live, names::LABEL_INSTALL_ID) == Some(self.install_id)
            && label(live, names::LABEL_ENDPOINT) == Some(self.endpoint)
    }

    /// The error for an object that has the endpoint's name and does not carry the mark.
    pub fn missing_on<K: MemberObject>(&self, live: &K) -> ProviderError {
        let Self { install_id, endpoint } = *self;
        let (installation, name) = (names::LABEL_INSTALL_ID, names::LABEL_ENDPOINT);
        let whose = match (label(live, installation), label(live, name)) {
            (Some(other), _) if other != install_id => format!("belongs to installation {other:?}"),
            (None, _) => format!("has no label {installation}"),
            (_, Some(other)) => format!("has the label {name}={other}"),
            (_, None) => format!("has no label {name}"),
        };
        let message = format!(
            "{} {}/{} on the member {whose}; this operator is {install_id:?}. The operator does not change it: delete it, or recreate it \
             under another name, or, if it is this endpoint's, label it {installation}={install_id} and {name}={endpoint}",
            K::kind(&()),
            live.namespace().unwrap_or_default(),
            live.name_any()
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }
}

fn label<'a>(live: &'a impl ResourceExt, name: &str) -> Option<&'a str> {
    live.labels().get(name).map(String::as_str)
}

/// An object as JSON.
///
/// # Errors
/// `Bug` if it cannot be written as JSON.
pub fn to_value<K: MemberObject>(object: &K) -> Result<Value, ProviderError> {
    serde_json::to_value(object).map_err(|error| ProviderError::new(ErrorClass::Bug, error))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conflict_names_both_installations_and_the_cure() {
        let mark = Mark { install_id: "prod", endpoint: "llama-a" };
        let live = |labels: Value| -> Deployment {
            serde_json::from_value(json!({"metadata": {"name": "llama-a", "namespace": "roadstead", "labels": labels}}))
                .unwrap()
        };
        let (installation, endpoint) = (names::LABEL_INSTALL_ID, names::LABEL_ENDPOINT);
        assert!(mark.is_on(&live(json!({installation: "prod", endpoint: "llama-a"}))));
        for (labels, whose) in [
            (json!({installation: "staging", endpoint: "llama-a"}), "belongs to installation \"staging\""),
            (json!({endpoint: "llama-a"}), "has no label roadstead.dev/install-id"),
            (json!({}), "has no label roadstead.dev/install-id"),
            (json!({installation: "prod", endpoint: "other"}), "has the label roadstead.dev/endpoint=other"),
            (json!({installation: "prod"}), "has no label roadstead.dev/endpoint"),
        ] {
            let live = live(labels);
            assert!(!mark.is_on(&live));
            let ProviderError { class, message } = mark.missing_on(&live);
            assert_eq!(class, ErrorClass::Conflict);
            assert_eq!(
                message,
                format!(
                    "Deployment roadstead/llama-a on the member {whose}; this operator is \"prod\". The operator does not change it: \
                     delete it, or recreate it under another name, or, if it is this endpoint's, label it roadstead.dev/install-id=prod and \
                     roadstead.dev/endpoint=llama-a"
                )
            );
        }
    }
}
