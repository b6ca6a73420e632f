//! The custom resource definitions, as they are installed.
//!
//! The derived definitions know the fields, their bounds and their texts; this module adds what a derive cannot say:
//! list types, rules, columns, the status before the first look. `Kind::crd()` alone is therefore never installed.

mod columns;
mod finish;
mod rules;
#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, Resource};
use serde_json::Value;

use super::v1alpha1::{InferenceEndpoint, ModelDeployment, ServingTarget};
pub use rules::Rule;

/// Structs of a `ModelDeployment` whose fields make sense only together.
const INDIVISIBLE: &[&str] =
    &["spec.serving.env[]", "spec.serving.overrides[].env[]", "spec.serving.shapes[].accelerator"];

/// Structs of an `InferenceEndpoint` that the operator alone writes.
const OPERATORS_OWN: &[&str] = &["spec", "status.externalID", "status.lastError", "status.createIntent"];

/// The definitions of all kinds.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        finish::finish(ModelDeployment::crd(), rules::MODEL_DEPLOYMENT, columns::MODEL_DEPLOYMENT, INDIVISIBLE),
        finish::finish(ServingTarget::crd(), rules::SERVING_TARGET, columns::SERVING_TARGET, &[]),
        finish::finish(InferenceEndpoint::crd(), rules::INFERENCE_ENDPOINT, columns::INFERENCE_ENDPOINT, OPERATORS_OWN),
    ]
}

/// All rules of all kinds, each with the kind to which it belongs.
pub fn all_rules() -> impl Iterator<Item = (String, &'static Rule)> {
    let of = |kind: String, rules: &'static [Rule]| rules.iter().map(move |rule| (kind.clone(), rule));
    of(ModelDeployment::kind(&()).into_owned(), rules::MODEL_DEPLOYMENT)
        .chain(of(ServingTarget::kind(&()).into_owned(), rules::SERVING_TARGET))
        .chain(of(InferenceEndpoint::kind(&()).into_owned(), rules::INFERENCE_ENDPOINT))
}

/// The schema of the one version of a definition.
#[must_use]
pub fn root(definition: &CustomResourceDefinition) -> Option<&JSONSchemaProps> {
    definition.spec.versions.first()?.schema.as_ref()?.open_api_v3_schema.as_ref()
}

/// A definition as a YAML document.
///
/// # Errors
/// If it cannot be written as YAML, which would be a mistake in this program.
pub fn yaml(definition: &CustomResourceDefinition) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(definition)?;
    whole_numbers(&mut value);
    Ok(serde_saphyr::to_string(&value)?)
}

/// Bounds are floating-point numbers in Kubernetes' types; ours are whole, and shall read so.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().map(|float| float.to_string()).and_then(|text| text.parse::<i64>().ok());
            if let Some(whole) = whole {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The schema of a list's items.
#[must_use]
pub fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(items) => Some(items),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

/// The schema of a map's values.
#[must_use]
pub fn values(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.additional_properties.as_ref()? {
        JSONSchemaPropsOrBool::Schema(values) => Some(values),
        JSONSchemaPropsOrBool::Bool(_) => None,
    }
}
