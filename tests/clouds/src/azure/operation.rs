//! Asynchronous operations of Resource Manager.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::faults::Fate;

/// Something that an operation brings about.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    CreateEndpoint,
    /// The new form of an endpoint.
    UpdateEndpoint(Value),
    /// The new tags of an endpoint.
    TagEndpoint(Value),
    DeleteEndpoint,
    /// The new keys of an endpoint.
    SetKeys([String; 2]),
    /// A new form of a deployment.
    Deploy(Value),
    /// A number of instances.
    Scale(u32),
    Retire,
}

/// End of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Running,
    Succeeded,
    Failed { code: String, message: String },
    Canceled,
}

/// An operation at an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineOperation {
    /// Id in the address at which it is asked for.
    pub id: String,
    pub endpoint: String,
    /// The deployment that it is about, if any.
    pub deployment: Option<String>,
    pub work: Work,
    pub began: i64,
    /// End; absent if it never ends.
    pub ends: Option<i64>,
    /// The failure that it will have.
    pub fails: Option<(String, String)>,
    pub ending: Ending,
    /// Seconds for which what it deletes stays listed.
    pub fate: Fate,
}

impl OnlineOperation {
    /// The operation that takes `seconds`, unless its fate is another one.
    pub fn new(endpoint: &str, deployment: Option<&str>, work: Work, seconds: u32, fate: &Fate, now: i64) -> Self {
        let after = |seconds: u32| now + i64::from(seconds) * 1000;
        let (ends, fails) = match &fate.fails {
            Some((seconds, reason, _)) => (after(*seconds), Some((code_of(reason).to_owned(), reason.clone()))),
            None => (after(seconds), None),
        };
        Self {
            id: String::new(),
            endpoint: endpoint.to_owned(),
            deployment: deployment.map(str::to_owned),
            work,
            began: now,
            ends: (!fate.stuck).then_some(ends),
            fails,
            ending: Ending::Running,
            fate: fate.clone(),
        }
    }

    pub fn is_running(&self) -> bool {
        self.ending == Ending::Running
    }

    /// The operation as Resource Manager shows it ([`super::rules::OPERATIONS`]).
    pub fn shown(&self) -> Value {
        let status = match &self.ending {
            Ending::Running => "InProgress",
            Ending::Succeeded => "Succeeded",
            Ending::Failed { .. } => "Failed",
            Ending::Canceled => "Canceled",
        };
        let mut shown = json!({"name": self.id, "status": status, "startTime": rfc3339(self.began)});
        match &self.ending {
            Ending::Failed { code, message } => shown["error"] = json!({"code": code, "message": message}),
            Ending::Canceled => {
                let message = "Operation was canceled by another operation that has a higher priority.";
                shown["error"] = json!({"code": "OperationCanceled", "message": message});
            }
            Ending::Running | Ending::Succeeded => {}
        }
        shown
    }
}

/// The service's code for the words of a failure ([`super::rules::CAPACITY`]).
fn code_of(reason: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|words| reason.contains(words));
    if has(&["capacity", "quota"]) {
        "OutOfQuota"
    } else if has(&["image"]) {
        "BadArgument"
    } else {
        "InternalServerError"
    }
}
