//! The wanted objects of an endpoint on a member. Pure: the same endpoint gives the same objects.
//!
//! One file a kind; `hash` says when the pods have to change.

mod deployment;
mod disruption;
mod pod;
mod secrets;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;

use roadstead_api::v1alpha1::{InferenceEndpoint, names};

pub use deployment::{Rollout, deployment};
pub use disruption::disruption_budget;
pub use pod::{CONTAINER, pod_template};
pub use roadstead_provider::template_hash::{digest, template_hash};
pub use secrets::{copied_name, copied_secret, is_copied_name, key_secret};
pub use service::{PORT_NAME, service};

/// Labels and annotations of every object of an endpoint.
pub struct Identity<'a> {
    /// The record of the decision.
    pub endpoint: &'a InferenceEndpoint,
    /// The installation's id.
    pub install_id: &'a str,
    /// The namespace on the member.
    pub namespace: &'a str,
    /// The UID of the API key's Secret on the member, which owns everything else; `None` for that Secret itself.
    pub owner_uid: Option<&'a str>,
}

impl Identity<'_> {
    /// The endpoint's name, which all its objects share.
    #[must_use]
    pub fn name(&self) -> String {
        self.endpoint.name_any()
    }

    /// The labels of every object and pod. No UID is among them: a rebuilt hub has other ones.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let spec = &self.endpoint.spec;
        [
            (names::LABEL_MANAGED_BY, names::MANAGED_BY.to_owned()),
            (names::LABEL_APP_NAME, spec.template.engine.as_str().to_owned()),
            (names::LABEL_INSTALL_ID, self.install_id.to_owned()),
            (names::LABEL_NAMESPACE, self.endpoint.namespace().unwrap_or_default()),
            (names::LABEL_DEPLOYMENT, spec.deployment_ref.name.clone()),
            (names::LABEL_ENDPOINT, self.name()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// The tags by which an endpoint is recognised and adopted.
    fn annotations(&self) -> BTreeMap<String, String> {
        let spec = &self.endpoint.spec;
        [
            (names::ANNOTATION_DEPLOYMENT_UID, spec.deployment_ref.uid.clone()),
            (names::ANNOTATION_TARGET, spec.target.clone()),
            (names::ANNOTATION_OFFER, spec.offer.clone()),
            (names::ANNOTATION_SHAPE, spec.shape.clone()),
            (names::ANNOTATION_CAPACITY_TYPE, spec.capacity_type.as_str().to_owned()),
            (names::ANNOTATION_SLOT, spec.slot.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// The metadata of an object named `name`.
    fn metadata(&self, name: String) -> ObjectMeta {
        let owner = self.owner_uid.map(|uid| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            name: names::key_secret(&self.name()),
            uid: uid.to_owned(),
            ..OwnerReference::default()
        });
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels()),
            annotations: Some(self.annotations()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        }
    }

    /// The labels that select the endpoint's pods.
    fn selector(&self) -> BTreeMap<String, String> {
        [(names::LABEL_ENDPOINT.to_owned(), self.name())].into()
    }
}
