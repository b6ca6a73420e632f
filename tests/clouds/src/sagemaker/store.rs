//! Entries of the service, and their tags.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kept::Visibility;

/// A model or a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    pub created: i64,
    /// The input of its creation.
    pub input: Value,
    pub visibility: Visibility,
}

/// The tags of an input.
pub fn tags(input: &Value) -> BTreeMap<String, String> {
    let pairs = input["Tags"].as_array().into_iter().flatten();
    pairs.filter_map(|tag| Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()))).collect()
}

/// Tags as the service shows them.
pub fn shown_tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}
