//! Progress of the first creation for a deployment, as this process knows it.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use roadstead_api::planning;
use roadstead_api::v1alpha1::{CreateIntent, InferenceEndpoint};

/// Progress of the first creation for a deployment in this process, by UID of the record. Its loss costs a write, and a
/// question to a provider that has nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum FirstCreation {
    /// Unknown.
    #[default]
    Unknown,
    /// The deployment had no finalizer before, so no provider can have been asked; now it has one.
    Announced(Option<String>),
    /// The provider was asked, or is about to be.
    Asked(Option<String>, CreateIntent),
}

impl FirstCreation {
    /// The finalizer was just put on the deployment for this endpoint.
    pub fn announce(&mut self, endpoint: &InferenceEndpoint) {
        if endpoint.spec.replaces.is_none() && !was_told(endpoint) {
            *self = Self::Announced(endpoint.uid());
        }
    }

    /// True if the finalizer was added for this endpoint and no provider was asked yet.
    pub fn is_announced(&self, endpoint: &InferenceEndpoint) -> bool {
        matches!(self, Self::Announced(uid) if *uid == endpoint.uid())
    }

    /// A provider is about to be asked for an endpoint; returns whether that was announced by the finalizer.
    pub fn ask(&mut self, endpoint: &InferenceEndpoint, now: Timestamp) -> bool {
        let announced = self.is_announced(endpoint);
        if announced {
            *self = Self::Asked(endpoint.uid(), CreateIntent { attempt: 1, time: planning::api_time(now) });
        }
        announced
    }

    /// The intent, if the provider was asked.
    pub fn intent(&self, endpoint: &InferenceEndpoint) -> Option<CreateIntent> {
        match self {
            Self::Asked(uid, intent) if *uid == endpoint.uid() => Some(intent.clone()),
            Self::Unknown | Self::Announced(_) | Self::Asked(..) => None,
        }
    }
}

/// True if the endpoint ever had a status.
pub fn was_told(endpoint: &InferenceEndpoint) -> bool {
    endpoint.status.as_ref().is_some_and(|status| status.observed_generation >= 0)
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// A record with this UID, what it replaces, and this status.
    pub fn record(uid: &str, replaces: Option<&str>, status: &serde_json::Value) -> InferenceEndpoint {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": "llama-x", "namespace": "team", "uid": uid},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement", "replaces": replaces,
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn the_first_creation_is_announced_once_and_for_one_record_alone() {
        let (mut first, now) = (FirstCreation::default(), Timestamp::from_second(100).unwrap());
        let (mine, another) = (record("a", None, &json!({})), record("b", None, &json!({})));
        assert!(!first.ask(&mine, now), "nobody held its deployment for it");
        first.announce(&mine);
        assert_eq!(first.intent(&mine), None, "nobody was asked yet");
        assert!(!first.ask(&another, now), "another record of that name");
        assert!(first.ask(&mine, now));
        assert_eq!(first.intent(&mine).map(|intent| intent.time.0), Some(now));
        assert_eq!(first.intent(&another), None);
        assert!(!first.ask(&mine, now), "the next try writes its intent");
    }

    #[test]
    fn what_replaces_another_or_was_told_of_writes_its_intent() {
        let mut first = FirstCreation::default();
        for other in [record("a", Some("llama-y"), &json!({})), record("a", None, &json!({"observedGeneration": 1}))] {
            first.announce(&other);
            assert!(!first.ask(&other, Timestamp::UNIX_EPOCH));
        }
    }
}
