//! Labels of a deployment: who made it, for what, and in which form. Pure.

use std::collections::BTreeMap;

use roadstead_provider::tags::EndpointTags;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::DeploymentView;

/// The only label that is a number at heart.
const SLOT: &str = "slot";

/// Labels of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentLabels {
    /// Hash of the template that it was made from.
    pub template: String,
    /// Instance type.
    pub instance: String,
    /// Its owner, and its part in the plan.
    #[serde(flatten)]
    pub owner: EndpointTags,
}

impl DeploymentLabels {
    /// The labels as they are written: texts alone.
    #[must_use]
    pub fn written(&self) -> Value {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let Ok(Value::Object(all)) = serde_json::to_value(self) else { return Value::Null };
        Value::Object(all.into_iter().map(|(key, value)| (key, Value::String(text(value)))).collect())
    }

    /// The labels of a deployment; `None` where they are not ours.
    #[must_use]
    pub fn read(labels: &BTreeMap<String, Value>) -> Option<Self> {
        let mut all: Map<String, Value> = labels.clone().into_iter().collect();
        let slot: u32 = all.get(SLOT)?.as_str()?.parse().ok()?;
        all.insert(SLOT.to_owned(), slot.into());
        serde_json::from_value(Value::Object(all)).ok()
    }

    /// The labels of a deployment as the service shows it.
    #[must_use]
    pub fn of(view: &DeploymentView) -> Option<Self> {
        Self::read(view.labels.as_ref()?)
    }
}

#[cfg(test)]
mod tests {
    use roadstead_conformance::request::record;

    use super::*;

    #[test]
    fn labels_are_texts_and_are_read_again() {
        let owner = EndpointTags::of("prod", &record("e"));
        let labels = DeploymentLabels { template: "0f".into(), instance: "H100x1".into(), owner };
        let written = labels.written();
        assert!(written.as_object().unwrap().values().all(Value::is_string), "{written}");
        let read: BTreeMap<String, Value> = serde_json::from_value(written).unwrap();
        assert_eq!(DeploymentLabels::read(&read), Some(labels));
        assert_eq!(DeploymentLabels::read(&BTreeMap::new()), None);
    }
}
