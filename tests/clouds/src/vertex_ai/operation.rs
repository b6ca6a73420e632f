//! Long-running operations.

use serde_json::{Value, json};

use super::endpoint::{Deployed, VertexEndpoint};
use crate::clock::rfc3339;
use crate::faults::Fate;
use crate::kept::Visibility;

const TYPES: &str = "type.googleapis.com/google.cloud.aiplatform.v1.";

/// Something that an operation brings about.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    Upload(Value),
    CreateEndpoint(Value),
    Deploy(Value),
    Mutate(Value),
    Undeploy(String),
    DeleteEndpoint,
    DeleteModel,
}

impl Work {
    /// Name of the messages of the operation.
    fn message(&self) -> &'static str {
        match self {
            Self::Upload(_) => "UploadModel",
            Self::CreateEndpoint(_) => "CreateEndpoint",
            Self::Deploy(_) => "DeployModel",
            Self::Mutate(_) => "MutateDeployedModel",
            Self::Undeploy(_) => "UndeployModel",
            Self::DeleteEndpoint | Self::DeleteModel => "Delete",
        }
    }

    /// True if it changes what is deployed at an endpoint.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Deploy(_) | Self::Mutate(_) | Self::Undeploy(_))
    }
}

/// End of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Running,
    Done,
    Failed { code: i32, message: String },
}

/// An operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub number: u64,
    /// `models` or `endpoints`.
    pub kind: &'static str,
    /// Id of the model or endpoint.
    pub resource: String,
    pub work: Work,
    pub began: i64,
    /// End; absent if it never ends.
    pub ends: Option<i64>,
    /// The failure that it will have.
    pub fails: Option<(i32, String)>,
    pub ending: Ending,
    /// Of the thing that it makes.
    pub visibility: Visibility,
}

impl Operation {
    /// The operation that takes `seconds`, unless its fate is another one.
    pub fn new(kind: &'static str, resource: &str, work: Work, seconds: u32, fate: &Fate, now: i64) -> Self {
        let after = |seconds: u32| now + i64::from(seconds) * 1000;
        let (ends, fails) = match &fate.fails {
            Some((seconds, reason, _)) => (after(*seconds), Some((code_of(reason), reason.clone()))),
            None => (after(seconds), None),
        };
        Self {
            number: 0,
            kind,
            resource: resource.to_owned(),
            work,
            began: now,
            ends: (!fate.stuck).then_some(ends),
            fails,
            ending: Ending::Running,
            visibility: Visibility::new(fate, ends),
        }
    }

    pub fn is_running(&self) -> bool {
        self.ending == Ending::Running
    }

    /// The operation as the service shows it, below the location `parent` ([`super::rules::OPERATIONS`]).
    pub fn shown(&self, parent: &str) -> Value {
        let Self { number, kind, resource, work, .. } = self;
        let name = format!("{parent}/{kind}/{resource}");
        let updated = if self.is_running() { self.began } else { self.ends.unwrap_or(self.began) };
        let times = json!({"createTime": rfc3339(self.began), "updateTime": rfc3339(updated)});
        let metadata =
            json!({"@type": format!("{TYPES}{}OperationMetadata", work.message()), "genericMetadata": times});
        let mut shown = json!({"name": format!("{name}/operations/{number}"), "metadata": metadata});
        match &self.ending {
            Ending::Running => {}
            Ending::Done => {
                shown["done"] = json!(true);
                shown["response"] = self.response(&name);
            }
            Ending::Failed { code, message } => {
                shown["done"] = json!(true);
                shown["error"] = json!({"code": code, "message": message});
            }
        }
        shown
    }

    fn response(&self, name: &str) -> Value {
        let typed = |message: &str| json!({"@type": format!("{TYPES}{message}")});
        match &self.work {
            Work::Upload(_) => {
                let mut response = typed("UploadModelResponse");
                response["model"] = json!(name);
                response["modelVersionId"] = json!("1");
                response
            }
            Work::CreateEndpoint(form) => {
                let mut response = typed("Endpoint");
                response["name"] = json!(name);
                response["displayName"] = form["displayName"].clone();
                response
            }
            Work::Deploy(form) | Work::Mutate(form) => {
                let mut response = typed(&format!("{}Response", self.work.message()));
                response["deployedModel"] = form["deployedModel"].clone();
                response
            }
            Work::Undeploy(_) => typed("UndeployModelResponse"),
            Work::DeleteEndpoint | Work::DeleteModel => json!({"@type": "type.googleapis.com/google.protobuf.Empty"}),
        }
    }

    /// The endpoint that a creation has made.
    pub fn endpoint(&self, form: &Value, now: i64) -> VertexEndpoint {
        VertexEndpoint {
            form: form.clone(),
            created: self.began,
            updated: now,
            deployed: Vec::new(),
            traffic: [].into(),
            visibility: self.visibility.clone(),
        }
    }

    /// The model that a deployment has deployed.
    pub fn deployed(&self, form: &Value, now: i64) -> Deployed {
        let model = &form["deployedModel"];
        Deployed::new(model["id"].as_str().unwrap_or_default().to_owned(), model.clone(), self.began, now)
    }
}

/// The google.rpc.Code that fits the words of a failure: 8 is `RESOURCE_EXHAUSTED`, 13 `INTERNAL`.
fn code_of(reason: &str) -> i32 {
    if reason.contains("capacity") || reason.contains("quota") { 8 } else { 13 }
}
