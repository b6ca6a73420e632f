//! Files of YAML documents, with the line of every field.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    /// Its place in the file, from 1; empty documents do not count.
    pub number: usize,
    /// Parsed content.
    pub value: Value,
    lines: BTreeMap<Vec<String>, u64>,
}

/// Text that is not YAML.
#[derive(Debug)]
pub struct NotYaml {
    /// The line where reading stopped.
    pub line: Option<u64>,
    /// The problem.
    pub message: String,
}

/// Reads all documents of a text as kubectl does: YAML 1.1's booleans and octal numbers count, empty documents do not.
///
/// # Errors
/// [`NotYaml`] where the text cannot be read; no document of it can be trusted then.
pub fn read(text: &str) -> Result<Vec<Document>, NotYaml> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let nodes: Vec<Spanned<YamlNode>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map(|location| location.line());
        NotYaml { line, message: error.to_string() }
    })?;
    let documents = nodes.into_iter().enumerate().map(|(index, node)| {
        let mut lines = BTreeMap::new();
        let value = node.value.split(&mut Vec::new(), &mut lines);
        lines.insert(Vec::new(), node.referenced.line());
        Document { number: index + 1, value, lines }
    });
    Ok(documents.filter(|document| !document.value.is_null()).collect())
}

impl Document {
    /// The line of a field, or of the nearest object around it that the file has.
    #[must_use]
    pub fn line(&self, field: &str) -> Option<u64> {
        let mut steps = steps(field);
        loop {
            if let Some(line) = self.lines.get(&steps) {
                return Some(*line);
            }
            steps.pop()?;
        }
    }
}

/// The steps of a path such as `spec.offers[0].nodes.selector[example.com/zone]`.
fn steps(field: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        let (step, after) = if let Some(inner) = rest.strip_prefix('[') {
            inner.split_once(']').unwrap_or((inner, ""))
        } else {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
        };
        steps.push(step.to_owned());
        rest = after;
    }
    steps
}

/// A YAML node whose parts know their lines.
enum YamlNode {
    Leaf(Value),
    List(Vec<Spanned<YamlNode>>),
    Map(Vec<(Spanned<String>, YamlNode)>),
}

impl YamlNode {
    /// The plain value; the lines of its parts go into `lines`.
    fn split(self, path: &mut Vec<String>, lines: &mut BTreeMap<Vec<String>, u64>) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    path.push(index.to_string());
                    lines.insert(path.clone(), item.referenced.line());
                    list.push(item.value.split(path, lines));
                    path.pop();
                }
                Value::Array(list)
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, node) in entries {
                    path.push(key.value.clone());
                    lines.insert(path.clone(), key.referenced.line());
                    map.insert(key.value, node.split(path, lines));
                    path.pop();
                }
                Value::Object(map)
            }
        }
    }
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<YamlNode, E> {
        Ok(YamlNode::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlNode, D::Error> {
        YamlNode::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(YamlNode::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlNode, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(YamlNode::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_read_as_kubectl_does() {
        let documents = read("a: yes\nb: 010\nc: [1.5, ~, \"no\"]\n---\n# nothing\n---\n{d: {e: 0x10}}\n").unwrap();
        let values: Vec<_> = documents.iter().map(|document| (document.number, document.value.clone())).collect();
        assert_eq!(values, [(1, json!({"a": true, "b": 8, "c": [1.5, null, "no"]})), (2, json!({"d": {"e": 16}}))]);
    }

    #[test]
    fn every_field_has_its_line() {
        let text =
            "# a comment\nspec:\n  offers:\n  - name: a\n    nodes:\n      selector:\n        example.com/zone: x\n";
        let documents = read(text).unwrap();
        for (field, line) in [
            ("spec", 2),
            ("spec.offers", 3),
            ("spec.offers[0]", 4),
            ("spec.offers[0].name", 4),
            ("spec.offers[0].hourlyPrice", 4),
            ("spec.offers[0].nodes.selector[example.com/zone]", 7),
            ("metadata.name", 2),
        ] {
            assert_eq!(documents[0].line(field), Some(line), "{field}");
        }
    }

    #[test]
    fn what_is_not_yaml_has_a_line() {
        for (text, line) in [("a: 1\nb: [1, 2\n", 2), ("a: 1\na: 2\n", 2), ("a:\n  b: *c\n", 2)] {
            let error = read(text).unwrap_err();
            assert!(error.line.is_some_and(|found| found >= line), "{text}: {error:?}");
        }
    }
}
