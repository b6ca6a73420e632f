//! Validation of input against a service's own model, which a `model.json` holds (see `judges/reduce.py`).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// The operations and shapes of a service that its fake knows.
pub struct Model {
    operations: BTreeMap<String, Sides>,
    shapes: BTreeMap<String, Shape>,
    patterns: BTreeMap<String, Regex>,
}

#[derive(Deserialize)]
struct Document {
    operations: BTreeMap<String, Sides>,
    shapes: BTreeMap<String, Shape>,
}

#[derive(Deserialize)]
struct Sides {
    input: String,
    output: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    shape: String,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    members: BTreeMap<String, Reference>,
    #[serde(default)]
    required: Vec<String>,
    member: Option<Reference>,
    value: Option<Reference>,
    #[serde(rename = "enum", default)]
    values: Vec<String>,
    pattern: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
}

/// The model of SageMaker.
pub fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| Model::read(include_str!("model.json")))
}

impl Model {
    /// The model in a document.
    pub fn read(document: &str) -> Self {
        let document: Result<Document, _> = serde_json::from_str(document);
        let Document { operations, shapes } =
            document.unwrap_or_else(|_| Document { operations: BTreeMap::new(), shapes: BTreeMap::new() });
        let patterns = shapes.values().filter_map(|shape| shape.pattern.clone());
        // Patterns with look-around are not checked; the engine here has none, and the tests count them.
        let patterns =
            patterns.filter_map(|pattern| Regex::new(&format!("^(?:{pattern})$")).ok().map(|regex| (pattern, regex)));
        Self { patterns: patterns.collect(), operations, shapes }
    }

    /// True if the operation is known.
    pub fn knows(&self, operation: &str) -> bool {
        self.operations.contains_key(operation)
    }

    /// Everything that is wrong with the input of an operation.
    pub fn faults_of_input(&self, operation: &str, input: &Value) -> Vec<String> {
        let shape = self.operations.get(operation).map(|sides| sides.input.as_str());
        self.faults(shape, input)
    }

    /// Everything that is wrong with the output of an operation.
    pub fn faults_of_output(&self, operation: &str, output: &Value) -> Vec<String> {
        let shape = self.operations.get(operation).and_then(|sides| sides.output.as_deref());
        self.faults(shape, output)
    }

    fn faults(&self, shape: Option<&str>, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(shape) = shape {
            self.check(shape, value, "", &mut faults);
        }
        faults
    }

    fn check(&self, name: &str, value: &Value, path: &str, faults: &mut Vec<String>) {
        let Some(shape) = self.shapes.get(name) else { return };
        match (shape.kind.as_str(), value) {
            ("structure", Value::Object(members)) => {
                for missing in shape.required.iter().filter(|name| !members.contains_key(*name)) {
                    faults.push(format!(
                        "Value at '{path}{missing}' failed to satisfy constraint: Member must not be null"
                    ));
                }
                for (member, inner) in members.iter().filter(|(_, inner)| !inner.is_null()) {
                    match shape.members.get(member) {
                        Some(reference) => self.check(&reference.shape, inner, &format!("{path}{member}."), faults),
                        None => faults.push(format!("Unknown member '{path}{member}'")),
                    }
                }
            }
            ("list", Value::Array(items)) => {
                Self::bounds(shape, items.len(), path, "length", faults);
                for (index, item) in items.iter().enumerate() {
                    let member = shape.member.as_ref().map_or("", |reference| &reference.shape);
                    self.check(member, item, &format!("{path}{}.", index + 1), faults);
                }
            }
            ("map", Value::Object(entries)) => {
                Self::bounds(shape, entries.len(), path, "length", faults);
                for (key, inner) in entries {
                    let member = shape.value.as_ref().map_or("", |reference| &reference.shape);
                    self.check(member, inner, &format!("{path}{key}."), faults);
                }
            }
            ("string", Value::String(text)) => self.text(shape, text, path, faults),
            ("integer" | "long" | "float" | "double" | "timestamp", Value::Number(number)) => {
                Self::number(shape, number.as_f64().unwrap_or_default(), path, faults);
            }
            // Services with REST write times as texts.
            ("boolean", Value::Bool(_)) | ("timestamp", Value::String(_)) => {}
            _ => faults.push(format!("Value at '{}' is not a {}", shown(path), shape.kind)),
        }
    }

    fn text(&self, shape: &Shape, text: &str, path: &str, faults: &mut Vec<String>) {
        Self::bounds(shape, text.chars().count(), path, "length", faults);
        let mut broken = |constraint: String| {
            faults.push(format!(
                "Value '{text}' at '{}' failed to satisfy constraint: Member must {constraint}",
                shown(path)
            ));
        };
        if !shape.values.is_empty() && !shape.values.iter().any(|value| value == text) {
            broken("satisfy enum value set".to_owned());
        }
        if let Some(pattern) = &shape.pattern
            && self.patterns.get(pattern).is_some_and(|regex| !regex.is_match(text))
        {
            broken(format!("satisfy regular expression pattern: {pattern}"));
        }
    }

    fn number(shape: &Shape, number: f64, path: &str, faults: &mut Vec<String>) {
        let broken = |word: &str, bound: f64| {
            let path = shown(path);
            format!(
                "Value '{number}' at '{path}' failed to satisfy constraint: Member must have value {word} than or equal to {bound}"
            )
        };
        faults.extend(shape.min.filter(|min| number < *min).map(|min| broken("greater", min)));
        faults.extend(shape.max.filter(|max| number > *max).map(|max| broken("less", max)));
    }

    fn bounds(shape: &Shape, length: usize, path: &str, what: &str, faults: &mut Vec<String>) {
        let length = u32::try_from(length).map_or(f64::INFINITY, f64::from);
        let broken = |word: &str, bound: f64| {
            let path = shown(path);
            format!(
                "Value at '{path}' failed to satisfy constraint: Member must have {what} {word} than or equal to {bound}"
            )
        };
        faults.extend(shape.min.filter(|min| length < *min).map(|min| broken("greater", min)));
        faults.extend(shape.max.filter(|max| length > *max).map(|max| broken("less", max)));
    }

    /// Patterns that are not checked.
    #[cfg(test)]
    fn unchecked(&self) -> Vec<&String> {
        let patterns = self.shapes.values().filter_map(|shape| shape.pattern.as_ref());
        patterns.filter(|pattern| !self.patterns.contains_key(*pattern)).collect()
    }
}

fn shown(path: &str) -> &str {
    path.trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(operation: &str, input: &Value) -> String {
        model().faults_of_input(operation, input).join("; ")
    }

    #[test]
    fn a_well_formed_request_passes() {
        let variant = json!({"VariantName": "main", "ModelName": "m", "InstanceType": "ml.p5.48xlarge",
                             "InitialInstanceCount": 2, "InitialVariantWeight": 1.0});
        let input = json!({"EndpointConfigName": "c", "ProductionVariants": [variant], "Tags": []});
        assert_eq!(faults("CreateEndpointConfig", &input), "");
    }

    #[test]
    fn every_kind_of_constraint_is_checked() {
        let long = "a".repeat(64);
        for (input, expected) in [
            (
                json!({"EndpointConfigName": "c"}),
                "'EndpointName' failed to satisfy constraint: Member must not be null",
            ),
            (json!({"EndpointName": "e", "EndpointConfigName": "c", "Other": 1}), "Unknown member 'Other'"),
            (json!({"EndpointName": 1, "EndpointConfigName": "c"}), "Value at 'EndpointName' is not a string"),
            (json!({"EndpointName": "a_b", "EndpointConfigName": "c"}), "satisfy regular expression pattern"),
            (json!({"EndpointName": long, "EndpointConfigName": "c"}), "length less than or equal to 63"),
        ] {
            let found = faults("CreateEndpoint", &input);
            assert!(found.contains(expected), "{input}: {found}");
        }
        let variant =
            json!({"VariantName": "v", "ModelName": "m", "InstanceType": "ml.none", "InitialInstanceCount": 0});
        let found =
            faults("CreateEndpointConfig", &json!({"EndpointConfigName": "c", "ProductionVariants": [variant]}));
        assert!(found.contains("'ml.none' at 'ProductionVariants.1.InstanceType'"), "{found}");
        assert!(found.contains("value greater than or equal to 1"), "{found}");
    }

    #[test]
    fn few_patterns_need_what_the_engine_lacks() {
        assert!(model().knows("CreateEndpoint") && model().unchecked().len() <= 4, "{:?}", model().unchecked());
    }
}
