//! The form in which an endpoint was asked for, left with it at its place: a rebuilt hub takes the endpoint over as it is.

use std::sync::Arc;

use roadstead_api::v1alpha1::{
    EndpointAccelerator, EndpointInstance, Engine, InferenceEndpointSpec, LocalRef, Template,
};
use roadstead_model::{Accelerator, Runs};
use serde::{Deserialize, Serialize};

/// A longer record is not written, because annotations are bounded; adoption works without it.
const MAX_BYTES: usize = 64 * 1024;

/// The form of an endpoint: everything of its spec that replicas are made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Accelerators of one replica.
    pub accelerator: EndpointAccelerator,
    /// Instance that was asked for; absent in records of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<EndpointInstance>,
    /// The resolved template.
    pub template: Template,
    /// Secrets for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalRef>,
}

/// The record of `spec` as text; `None` where it is too long to be left anywhere.
///
/// # Errors
/// If the spec cannot be written as JSON, which would be a defect.
pub fn record(spec: &InferenceEndpointSpec) -> Result<Option<String>, serde_json::Error> {
    let record = Record {
        accelerator: spec.accelerator.clone(),
        instance: spec.instance.clone(),
        template: spec.template.clone(),
        image_pull_secrets: spec.image_pull_secrets.clone(),
    };
    Ok(Some(serde_json::to_string(&record)?).filter(|text| text.len() <= MAX_BYTES))
}

/// The part of a record that decisions are made from; the rest is read only where an endpoint is adopted.
#[derive(Deserialize)]
struct Decisive {
    accelerator: EndpointAccelerator,
    template: DecisiveTemplate,
}

#[derive(Deserialize)]
struct DecisiveTemplate {
    engine: Engine,
}

/// The form in a record; `None` if it is not ours.
#[must_use]
pub fn runs(text: &str) -> Option<Runs> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let Decisive { accelerator, template } = serde_json::from_str(text).ok()?;
    Some(Runs {
        accelerator: Accelerator { kind: accelerator.type_, count: u32::try_from(accelerator.count).ok()? },
        resource_name: accelerator.resource_name,
        engine: template.engine.as_str().to_owned(),
        record: Arc::from(text),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> InferenceEndpointSpec {
        serde_json::from_value(json!({
            "deploymentRef": {"name": "a", "uid": "u"}, "target": "t", "cloud": "aws", "region": "eu-west-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 2, "resourceName": "nvidia.com/gpu"},
            "instance": {"type": "i", "accelerators": 8},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "imagePullSecrets": [{"name": "pull"}],
            "template": {
                "engine": "vllm", "image": "i", "port": 8000, "model": {"name": "a"}, "startupTimeoutSeconds": 60,
                "drainTimeoutSeconds": 1,
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_record_tells_in_which_form_an_endpoint_was_asked_for() {
        let text = record(&spec()).unwrap().unwrap();
        let runs = runs(&text).unwrap();
        assert_eq!((runs.accelerator.kind.as_str(), runs.accelerator.count, runs.engine.as_str()), ("H100", 2, "vllm"));
        let read: Record = serde_json::from_str(&runs.record).unwrap();
        assert_eq!((read.template, read.image_pull_secrets), (spec().template, spec().image_pull_secrets));
        assert_eq!(read.instance, spec().instance);
    }

    #[test]
    fn a_record_that_is_too_long_is_not_left_and_not_believed() {
        let mut long = spec();
        long.template.args = vec!["x".repeat(4096); 17];
        assert_eq!(record(&long).unwrap(), None);
        let text = record(&spec()).unwrap().unwrap();
        assert_eq!(runs(&format!("{text}{}", " ".repeat(MAX_BYTES))), None);
        assert_eq!(runs("{}"), None);
    }
}
