//! Comparison of a live object with the wanted one. The server adds defaults, others add fields: neither is a
//! difference.

use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use roadstead_api::v1alpha1::quantity;

/// Fields whose strings are quantities: the server may write them in another form of the same amount.
const QUANTITY_MAPS: [&str; 2] = ["requests", "limits"];

/// One step from a value into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a field of an object.
    Field(String),
    /// To the element of a list that has this name.
    Named(String),
}

/// The way from the root of an object to a value in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    fn to(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The value there, if there is one.
    #[must_use]
    pub fn get<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(root, |value, step| step.get(value))
    }

    /// Puts `value` there, if the value around it exists.
    pub fn set(&self, root: &mut Value, value: Value) {
        let Some((last, way)) = self.0.split_last() else { return };
        let Some(around) = way.iter().try_fold(root, |value, step| step.get_mut(value)) else { return };
        match (last, around) {
            (Step::Field(name), Value::Object(fields)) => {
                fields.insert(name.clone(), value);
            }
            (step @ Step::Named(_), around) => {
                if let Some(element) = step.get_mut(around) {
                    *element = value;
                }
            }
            _ => {}
        }
    }
}

impl Step {
    fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Field(name) => value.get(name),
            Self::Named(name) => value.as_array()?.iter().find(|element| name_of(element) == Some(name)),
        }
    }

    fn get_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        match self {
            Self::Field(name) => value.get_mut(name),
            Self::Named(name) => value.as_array_mut()?.iter_mut().find(|element| name_of(element) == Some(name)),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if name.contains(['.', '/']) => write!(f, "[{name}]")?,
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Named(name) => write!(f, "[{name}]")?,
            }
        }
        Ok(())
    }
}

/// A field of a live object that differs from the wanted one.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Path of the field.
    pub path: Path,
    /// Wanted value.
    pub wanted: Value,
    /// Live value.
    pub live: Option<Value>,
}

/// Every place where `live` lacks something of `wanted`.
///
/// Lists whose elements have names (containers, ports, environment variables, volumes) are compared by name, so that an
/// element which somebody added is no difference; other lists must be equal element by element.
#[must_use]
pub fn differences(live: &Value, wanted: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&Path::default(), Some(live), wanted, &mut found);
    found
}

fn compare(path: &Path, live: Option<&Value>, wanted: &Value, found: &mut Vec<Difference>) {
    match (live, wanted) {
        (Some(live @ Value::Object(_)), Value::Object(fields)) if !is_selector(path) => {
            for (name, wanted) in fields {
                compare(&path.to(Step::Field(name.clone())), live.get(name), wanted, found);
            }
        }
        (Some(live @ Value::Array(_)), Value::Array(elements)) if by_name(elements) => {
            for wanted in elements {
                let step = Step::Named(name_of(wanted).unwrap_or_default().to_owned());
                compare(&path.to(step.clone()), step.get(live), wanted, found);
            }
        }
        (live, wanted) if !says(path, live, wanted) => {
            found.push(Difference { path: path.clone(), wanted: wanted.clone(), live: live.cloned() });
        }
        _ => {}
    }
}

/// With one label more, a selector finds nothing.
fn is_selector(path: &Path) -> bool {
    matches!(path.0.last(), Some(Step::Field(name)) if name == "selector")
}

fn by_name(elements: &[Value]) -> bool {
    !elements.is_empty() && elements.iter().all(|element| name_of(element).is_some())
}

fn name_of(element: &Value) -> Option<&str> {
    element.get("name").and_then(Value::as_str)
}

fn says(path: &Path, live: Option<&Value>, wanted: &Value) -> bool {
    match (live, wanted) {
        (None, wanted) => is_empty(wanted),
        (Some(Value::Array(live)), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live.iter().zip(wanted).all(|(live, wanted)| differences(live, wanted).is_empty())
        }
        (Some(live), wanted) => live == wanted || (is_quantity(path) && same_quantity(live, wanted)),
    }
}

/// The server drops empty maps and lists.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn is_quantity(path: &Path) -> bool {
    match path.0.as_slice() {
        [.., Step::Field(name)] if name == "sizeLimit" => true,
        [.., Step::Field(map), Step::Field(_)] => QUANTITY_MAPS.contains(&map.as_str()),
        _ => false,
    }
}

fn same_quantity(live: &Value, wanted: &Value) -> bool {
    let parsed = |value: &Value| value.as_str().and_then(|text| quantity::millis(&Quantity(text.to_owned())).ok());
    parsed(live).is_some() && parsed(live) == parsed(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Differing paths of `live`, for people.
    fn told(live: &Value, wanted: &Value) -> Vec<String> {
        differences(live, wanted).into_iter().map(|difference| difference.path.to_string()).collect()
    }

    #[test]
    fn defaults_and_other_peoples_fields_are_no_difference() {
        let live = json!({
            "replicas": 2, "added": true,
            "containers": [{"name": "sidecar"}, {"name": "engine", "image": "a", "imagePullPolicy": "Always"}],
        });
        let wanted = json!({"replicas": 2, "containers": [{"name": "engine", "image": "a"}]});
        assert_eq!(told(&live, &wanted), Vec::<String>::new());
        assert_eq!(told(&live, &json!({"nodeSelector": {}})), Vec::<String>::new());
    }

    #[test]
    fn what_we_said_and_is_otherwise_is_named() {
        assert_eq!(told(&json!({"replicas": 3}), &json!({"replicas": 2})), ["replicas"]);
        assert_eq!(told(&json!({}), &json!({"replicas": 2})), ["replicas"]);
        assert_eq!(told(&json!({"args": ["a", "b"]}), &json!({"args": ["a"]})), ["args"]);
        let env = |name: &str, value: &str| json!({"spec": {"env": [{"name": name, "value": value}]}});
        assert_eq!(told(&env("A", "1"), &env("B", "1")), ["spec.env[B]"]);
        assert_eq!(told(&env("A", "2"), &env("A", "1")), ["spec.env[A].value"]);
        let annotations = |value: &str| json!({"metadata": {"annotations": {"example.com/a": value}}});
        assert_eq!(told(&annotations("1"), &annotations("2")), ["metadata.annotations[example.com/a]"]);
    }

    #[test]
    fn a_label_that_somebody_adds_to_a_selector_is_a_difference() {
        assert_eq!(told(&json!({"selector": {"a": "b", "c": "d"}}), &json!({"selector": {"a": "b"}})), ["selector"]);
        assert!(told(&json!({"selector": {"a": "b"}, "added": 1}), &json!({"selector": {"a": "b"}})).is_empty());
    }

    #[test]
    fn the_same_amount_in_another_form_is_no_difference() {
        let live = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
        assert!(told(&live, &json!({"requests": {"cpu": "1000m", "memory": "1024Mi"}})).is_empty());
        assert_eq!(told(&live, &json!({"requests": {"cpu": "1001m"}})), ["requests.cpu"]);
    }

    #[test]
    fn a_value_is_put_where_the_difference_is() {
        let live = json!({"containers": [{"name": "first"}, {"name": "engine", "image": "mirror/a"}]});
        let mut wanted = json!({"containers": [{"name": "engine", "image": "a"}]});
        let found = differences(&live, &wanted);
        for difference in found {
            difference.path.set(&mut wanted, difference.live.unwrap());
        }
        assert_eq!(wanted, json!({"containers": [{"name": "engine", "image": "mirror/a"}]}));
    }
}
