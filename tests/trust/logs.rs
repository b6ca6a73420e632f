//! JSON logs: every line is one object that the strictest parser reads.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::run::RECORD;

/// A JSON value in which no object has a key twice.
#[derive(Debug)]
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value without duplicate keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, Strict(value))) = map.next_entry::<String, Strict>()? {
            if members.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key {key:?} appears twice")));
            }
        }
        Ok(Value::Object(members.into_iter().collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// The lines of the operator that logs as JSON.
pub fn lines() -> Vec<Value> {
    let log = RECORD.told.iter().find(|told| told.place == "the second operator's log").unwrap();
    let parse = |line: &str| serde_json::from_str(line).map(|Strict(value)| value);
    log.text.lines().map(|line| parse(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn every_line_of_a_json_log_is_an_object_without_a_key_twice() {
    let lines = lines();
    assert!(lines.len() > 100, "only {} lines", lines.len());
    for line in &lines {
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line[key].is_string(), "no {key} in {line}");
        }
    }
    assert!(lines.iter().any(|line| line["span"]["object"] == "team/llama"), "no line of a reconcile");
}

#[test]
fn an_object_that_changed_meanwhile_is_no_warning() {
    let loud = |line: &&Value| ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap());
    let race = |line: &&Value| {
        let error = line["error"].as_str().unwrap_or_default();
        error.contains("409") || error.contains("changed since")
    };
    let lines = lines();
    let found: Vec<&Value> = lines.iter().filter(loud).filter(race).collect();
    assert!(found.is_empty(), "{found:#?}");
}
