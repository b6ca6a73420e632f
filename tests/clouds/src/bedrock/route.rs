//! From a request to an operation and its input, as the service's REST protocol places it: path, query and body.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::cloud::Call;
use crate::query::{decoded, form, pairs};

/// A request to the control plane, to a model, or to STS.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// An operation of the control plane with its input.
    Control(&'static str, Value),
    /// A request to the model with this identifier; true where the answer is a stream.
    Invoke(String, bool),
    /// A conversation with the model with this identifier; true where the answer is a stream.
    Converse(String, bool),
    /// `GetCallerIdentity`.
    Identity,
    /// `GetResources` of the tagging service.
    Tagged(Value),
    /// Anything else.
    Unknown,
}

/// The operation of the tagging service.
const TAGGING: &str = "ResourceGroupsTaggingAPI_20170126.GetResources";

/// Method, path and name of each operation.
const OPERATIONS: [(Method, &str, &str); 14] = [
    (Method::POST, "/model-import-jobs", "CreateModelImportJob"),
    (Method::GET, "/model-import-jobs", "ListModelImportJobs"),
    (Method::GET, "/model-import-jobs/{jobIdentifier}", "GetModelImportJob"),
    (Method::GET, "/imported-models", "ListImportedModels"),
    (Method::GET, "/imported-models/{modelIdentifier}", "GetImportedModel"),
    (Method::DELETE, "/imported-models/{modelIdentifier}", "DeleteImportedModel"),
    (Method::POST, "/provisioned-model-throughput", "CreateProvisionedModelThroughput"),
    (Method::GET, "/provisioned-model-throughputs", "ListProvisionedModelThroughputs"),
    (Method::GET, "/provisioned-model-throughput/{provisionedModelId}", "GetProvisionedModelThroughput"),
    (Method::PATCH, "/provisioned-model-throughput/{provisionedModelId}", "UpdateProvisionedModelThroughput"),
    (Method::DELETE, "/provisioned-model-throughput/{provisionedModelId}", "DeleteProvisionedModelThroughput"),
    (Method::POST, "/listTagsForResource", "ListTagsForResource"),
    (Method::POST, "/tagResource", "TagResource"),
    (Method::POST, "/untagResource", "UntagResource"),
];

/// The request in the service's terms.
pub fn asked(call: &Call) -> Asked {
    let segments: Vec<&str> = call.path.split('/').skip(1).collect();
    if let (&Method::POST, ["model", model, end]) = (&call.method, segments.as_slice()) {
        match *end {
            "invoke" => return Asked::Invoke(decoded(model), false),
            "invoke-with-response-stream" => return Asked::Invoke(decoded(model), true),
            "converse" => return Asked::Converse(decoded(model), false),
            "converse-stream" => return Asked::Converse(decoded(model), true),
            _ => {}
        }
    }
    for (method, path, name) in &OPERATIONS {
        if let Some(input) = named(path, &segments).filter(|_| *method == call.method) {
            return Asked::Control(name, with_body(input, call));
        }
    }
    if call.header("x-amz-target") == TAGGING {
        return Asked::Tagged(call.json().unwrap_or_default());
    }
    let is_sts = call.method == Method::POST && call.path == "/";
    if is_sts && form(&call.body).get("Action").is_some_and(|action| action == "GetCallerIdentity") {
        return Asked::Identity;
    }
    Asked::Unknown
}

/// Members in the path, if it is this one.
fn named(path: &str, segments: &[&str]) -> Option<Map<String, Value>> {
    let wanted: Vec<&str> = path.split('/').skip(1).collect();
    let mut members = Map::new();
    for (wanted, found) in wanted.iter().zip(segments) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => drop(members.insert(name.to_owned(), json!(decoded(found)))),
            None if wanted != found => return None,
            None => {}
        }
    }
    (wanted.len() == segments.len()).then_some(members)
}

/// The members with those of query and body.
fn with_body(mut members: Map<String, Value>, call: &Call) -> Value {
    for (name, value) in pairs(&call.query) {
        let number = (name == "maxResults").then(|| value.parse::<u64>().ok()).flatten();
        members.insert(name, number.map_or_else(|| json!(value), |number| json!(number)));
    }
    if let Some(Value::Object(body)) = call.json() {
        members.extend(body);
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;

    fn call(method: Method, path: &str, query: &str, body: &'static str) -> Call {
        Call { method, path: path.into(), query: query.into(), headers: HeaderMap::new(), body: body.into() }
    }

    #[test]
    fn members_come_from_path_query_and_body() {
        let arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/000000000001";
        let one = call(Method::GET, &format!("/imported-models/{}", arn.replace('/', "%2F")), "", "");
        assert_eq!(asked(&one), Asked::Control("GetImportedModel", json!({"modelIdentifier": arn})));
        let list = call(Method::GET, "/imported-models", "maxResults=5&nameContains=a", "");
        assert_eq!(asked(&list), Asked::Control("ListImportedModels", json!({"maxResults": 5, "nameContains": "a"})));
        let tags = call(Method::POST, "/listTagsForResource", "", r#"{"resourceARN": "a"}"#);
        assert_eq!(asked(&tags), Asked::Control("ListTagsForResource", json!({"resourceARN": "a"})));
    }

    #[test]
    fn a_path_names_the_model_that_is_asked() {
        let one = call(Method::POST, "/model/arn%3Aa%2Fb/invoke-with-response-stream", "", "{}");
        assert_eq!(asked(&one), Asked::Invoke("arn:a/b".to_owned(), true));
        assert_eq!(asked(&call(Method::GET, "/model/a/invoke", "", "")), Asked::Unknown);
        assert_eq!(asked(&call(Method::POST, "/", "", "Action=GetCallerIdentity")), Asked::Identity);
    }
}
