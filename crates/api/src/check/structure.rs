//! Structure and bounds: what the API server reads from the schema alone.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use regex::Regex;
use serde_json::{Map, Value};

use crate::schema;
use crate::v1alpha1::validate::Problem;

/// Characters of a value that a message quotes.
const QUOTED: usize = 60;
/// Names of fields that a message lists.
const LISTED: usize = 24;

/// A violation of the schema.
pub struct SchemaFault {
    /// The problem.
    pub problem: Problem,
    /// True if rules cannot be evaluated on such an object; the server leaves them out as well.
    pub blocks_rules: bool,
}

/// All violations of the schema by an object of which `metadata` is checked elsewhere.
pub fn check(object: &Value, schema: &JSONSchemaProps) -> Vec<SchemaFault> {
    let mut walk = Walk { faults: Vec::new(), patterns: BTreeMap::new() };
    let Some(fields) = object.as_object() else {
        walk.block("", "must be an object".to_owned());
        return walk.faults;
    };
    let own = ["apiVersion", "kind", "metadata"];
    let fields: Map<_, _> = fields.iter().filter(|(name, _)| !own.contains(&name.as_str())).map(clone_pair).collect();
    walk.object("", &fields, schema);
    walk.faults
}

fn clone_pair((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

struct Walk {
    faults: Vec<SchemaFault>,
    patterns: BTreeMap<String, Option<Regex>>,
}

impl Walk {
    /// A violation after which the server still evaluates rules.
    fn add(&mut self, field: &str, message: String) {
        let problem = Problem { field: field.to_owned(), message };
        self.faults.push(SchemaFault { problem, blocks_rules: false });
    }

    /// A violation after which the server evaluates no rule.
    fn block(&mut self, field: &str, message: String) {
        let problem = Problem { field: field.to_owned(), message };
        self.faults.push(SchemaFault { problem, blocks_rules: true });
    }

    fn value(&mut self, field: &str, value: &Value, schema: &JSONSchemaProps) {
        let int_or_string = schema.x_kubernetes_int_or_string == Some(true);
        match (schema.type_.as_deref(), value) {
            (Some("object"), Value::Object(fields)) => self.object(field, fields, schema),
            (Some("array"), Value::Array(values)) => self.list(field, values, schema),
            (Some("string"), Value::String(text)) => self.text(field, text, schema),
            (None, Value::String(text)) if int_or_string => self.text(field, text, schema),
            (Some("integer"), Value::Number(number)) if is_whole(number) => self.number(field, number, schema),
            (None, Value::Number(number)) if int_or_string && is_whole(number) => self.number(field, number, schema),
            (Some("boolean"), Value::Bool(_)) => {}
            (wanted, value) => {
                let wanted = wanted.unwrap_or("whole number or string");
                self.block(field, wrong_type(wanted, value));
            }
        }
    }

    fn object(&mut self, field: &str, fields: &Map<String, Value>, schema: &JSONSchemaProps) {
        for name in schema.required.iter().flatten().filter(|name| !fields.contains_key(*name)) {
            let property = schema.properties.as_ref().and_then(|properties| properties.get(name));
            let description = property.and_then(|property| property.description.as_deref()).unwrap_or_default();
            self.block(&below(field, name), format!("is required: {description}"));
        }
        if let Some(limit) = schema.max_properties.filter(|limit| exceeds(fields.len(), *limit)) {
            self.block(field, format!("has {} entries, more than the limit of {limit}", fields.len()));
        }
        for (name, value) in fields {
            let property = schema.properties.as_ref().and_then(|properties| properties.get(name));
            match (property, schema::values(schema)) {
                (Some(property), _) => self.value(&below(field, name), value, property),
                (None, Some(values)) => self.value(&format!("{field}[{name}]"), value, values),
                (None, None) => self.unknown(field, name, schema),
            }
        }
    }

    /// The server refuses an unknown field if it is asked to, as kubectl does, and drops it else.
    fn unknown(&mut self, field: &str, name: &str, schema: &JSONSchemaProps) {
        let known: Vec<_> = schema.properties.iter().flatten().map(|(name, _)| name.as_str()).collect();
        let similar = known.iter().find(|known| known.eq_ignore_ascii_case(name));
        let message = match (similar, known.is_empty()) {
            (Some(similar), _) => format!("unknown field: write {similar}"),
            (None, true) => "unknown field: this object has no fields".to_owned(),
            (None, false) => {
                let listed: Vec<_> = known.iter().take(LISTED).copied().collect();
                format!("unknown field; the fields are {}", listed.join(", "))
            }
        };
        self.add(&below(field, name), message);
    }

    fn list(&mut self, field: &str, values: &[Value], schema: &JSONSchemaProps) {
        if let Some(limit) = schema.max_items.filter(|limit| exceeds(values.len(), *limit)) {
            self.block(field, format!("has {} entries, more than the limit of {limit}", values.len()));
        }
        if let Some(limit) = schema.min_items.filter(|limit| length(values.len()) < *limit) {
            self.add(field, format!("has {} entries, fewer than the minimum of {limit}", values.len()));
        }
        self.duplicates(field, values, schema);
        if let Some(items) = schema::items(schema) {
            for (index, value) in values.iter().enumerate() {
                self.value(&format!("{field}[{index}]"), value, items);
            }
        }
    }

    fn duplicates(&mut self, field: &str, values: &[Value], schema: &JSONSchemaProps) {
        let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
        let key = |value: &Value| match schema.x_kubernetes_list_type.as_deref() {
            Some("set") => Some(value.to_string()),
            Some("map") => {
                Some(keys.iter().filter_map(|key| value.get(key)).map(Value::to_string).collect::<Vec<_>>().join("/"))
            }
            _ => None,
        };
        let mut seen = BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            if let Some(key) = key(value)
                && !seen.insert(key.clone())
            {
                let key: String = key.chars().take(QUOTED).collect();
                self.add(&format!("{field}[{index}]"), format!("{key} appears twice: remove or rename one of them"));
            }
        }
    }

    fn text(&mut self, field: &str, text: &str, schema: &JSONSchemaProps) {
        let characters = text.chars().count();
        if let Some(limit) = schema.max_length.filter(|limit| exceeds(characters, *limit)) {
            self.block(field, format!("has {characters} characters, more than the limit of {limit}"));
        }
        if let Some(limit) = schema.min_length.filter(|limit| length(characters) < *limit) {
            self.add(field, format!("{} has fewer characters than the minimum of {limit}", quoted(text)));
        }
        if let Some(allowed) = &schema.enum_ {
            let mut names = allowed.iter().filter_map(|value| value.0.as_str());
            if !names.any(|name| name == text) {
                let names: Vec<_> = allowed.iter().filter_map(|value| value.0.as_str()).collect();
                self.block(field, format!("{} is not allowed; write one of {}", quoted(text), names.join(", ")));
            }
        }
        if let Some(pattern) = &schema.pattern
            && !self.matches(pattern, text)
        {
            self.add(field, format!("{} does not match the pattern {pattern}", quoted(text)));
        }
    }

    /// A pattern that cannot be read matches nothing; all of ours are tried on the server.
    fn matches(&mut self, pattern: &str, text: &str) -> bool {
        let compiled = self.patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        compiled.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    fn number(&mut self, field: &str, number: &serde_json::Number, schema: &JSONSchemaProps) {
        let value = number.as_f64().unwrap_or(f64::NAN);
        if let Some(limit) = schema.maximum.filter(|limit| value > *limit) {
            self.add(field, format!("{number} is above the limit of {limit}"));
        }
        if let Some(limit) = schema.minimum.filter(|limit| value < *limit) {
            self.add(field, format!("{number} is below the limit of {limit}"));
        }
    }
}

/// True if a count exceeds a limit.
fn exceeds(count: usize, limit: i64) -> bool {
    length(count) > limit
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn is_whole(number: &serde_json::Number) -> bool {
    number.is_i64() || number.is_u64()
}

fn wrong_type(wanted: &str, value: &Value) -> String {
    let (found, hint) = match value {
        Value::Null => ("nothing", ""),
        Value::Bool(_) if wanted == "string" => ("a boolean", ": write it in quotes"),
        Value::Bool(_) => ("a boolean", ""),
        Value::Number(_) if wanted.contains("string") => ("a number", ": write it in quotes"),
        Value::Number(_) => ("a number", ""),
        Value::String(text) if wanted == "integer" && text.parse::<i64>().is_ok() => {
            ("a string", ": write it without quotes")
        }
        Value::String(text) if wanted == "boolean" && matches!(text.as_str(), "true" | "false") => {
            ("a string", ": write it without quotes")
        }
        Value::String(_) => ("a string", ""),
        Value::Array(_) => ("a list", ""),
        Value::Object(_) => ("an object", ""),
    };
    let wanted = match wanted {
        "array" => "a list".to_owned(),
        "object" | "integer" => format!("an {wanted}"),
        other => format!("a {other}"),
    };
    format!("must be {wanted}, not {found}{hint}")
}

fn below(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

fn quoted(text: &str) -> String {
    if text.chars().count() <= QUOTED {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(QUOTED).collect();
    format!("{start:?}…")
}
