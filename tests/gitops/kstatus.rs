//! The rules of kstatus for objects of custom kinds, in its order.

use serde_json::Value;

/// Result of kstatus for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is as its spec wants it: waiting is over.
    Current,
    /// It is on its way: waiting goes on.
    InProgress,
    /// Nothing but an edit can help: waiting ends with an error.
    Failed,
    /// It is being deleted.
    Terminating,
}

/// Result of kstatus for `object`.
pub fn status(object: &Value) -> Status {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return Status::Terminating;
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return Status::InProgress;
    }
    let conditions = object["status"]["conditions"].as_array();
    for condition in conditions.into_iter().flatten().filter(|condition| condition["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Status::InProgress,
            Some("Stalled") => return Status::Failed,
            _ => {}
        }
    }
    match condition(object, "Ready") {
        Some(ready) if ready["status"] != "True" => Status::InProgress,
        _ => Status::Current,
    }
}

/// The condition of this type.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}
