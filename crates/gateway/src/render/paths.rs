//! The choice of endpoints by the path of a request, where a service answers fewer paths than engines do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::route::{Endpoint, Route, SERVICE_PATHS};

use super::replies::error;

/// Namespace of the metadata by which Envoy chooses among hosts.
const CHOICE: &str = "envoy.lb";
/// Key of the paths that a host answers.
const PATHS: &str = "paths";
/// Stands for each path that is none of those to which a service is limited.
const OTHER: &str = "other";

/// The paths to which services of the endpoints are limited; none where all endpoints answer what engines answer.
fn limited(route: &Route) -> BTreeSet<&str> {
    route.endpoints.iter().flat_map(|endpoint| &endpoint.paths).map(String::as_str).collect()
}

/// The part of a cluster that lets routes choose among its hosts.
pub(super) fn choice(route: &Route) -> Option<Value> {
    (!limited(route).is_empty()).then(|| {
        json!({
            "fallback_policy": "ANY_ENDPOINT",
            "list_as_any": true,
            "subset_selectors": [{"keys": [PATHS], "fallback_policy": "NO_FALLBACK"}],
        })
    })
}

/// Adds the paths that an endpoint answers to one of its hosts.
pub(super) fn mark(host: &mut Value, route: &Route, endpoint: &Endpoint) {
    let limited = limited(route);
    if limited.is_empty() {
        return;
    }
    let answered: Vec<&str> = if endpoint.paths.is_empty() {
        // With paths to which no endpoint is limited now, a choice by path finds this host while such an endpoint arrives or leaves.
        let all: BTreeSet<&str> = limited.into_iter().chain(SERVICE_PATHS).chain([OTHER]).collect();
        all.into_iter().collect()
    } else {
        endpoint.paths.iter().map(String::as_str).collect()
    };
    host["metadata"]["filter_metadata"][CHOICE] = json!({PATHS: answered});
}

/// The routes of a deployment to its endpoints for requests below `PREFIXv1/`: `main`, and one for each path to which a
/// service is limited.
pub(super) fn by_path(route: &Route, main: Value, prefix: &str) -> Vec<Value> {
    let of_path = |path: &str| {
        let mut found = main.clone();
        if let Some(matched) = found["match"].as_object_mut() {
            matched.remove("prefix");
            matched.insert("path".to_owned(), json!(format!("{prefix}v1/{path}")));
            // Other methods read or change what a service keeps of everybody's requests.
            let post = json!({"name": ":method", "string_match": {"exact": "POST"}});
            let headers = matched.entry("headers").or_insert_with(|| json!([]));
            headers.as_array_mut().into_iter().for_each(|headers| headers.push(post.clone()));
        }
        if found["route"]["prefix_rewrite"].is_string() {
            found["route"]["prefix_rewrite"] = json!(format!("/v1/{path}"));
        }
        chosen(route, found, path)
    };
    let mut routes: Vec<Value> = limited(route).into_iter().map(of_path).collect();
    routes.push(others(route, main));
    routes
}

/// A route for requests to none of the paths to which a service is limited.
pub(super) fn others(route: &Route, found: Value) -> Value {
    chosen(route, found, OTHER)
}

/// A route for requests to this path: it leads to the endpoints that answer it. Where others take requests and none of them
/// answers it, the gateway says so: no hosted model takes what the endpoints cannot answer.
fn chosen(route: &Route, mut found: Value, path: &str) -> Value {
    let answers = |endpoint: &&Endpoint| endpoint.paths.is_empty() || endpoint.paths.iter().any(|one| one == path);
    let (all, answering) = (route.taking().count(), route.taking().filter(answers).count());
    if answering == all {
        return found;
    }
    if answering > 0 {
        found["route"]["metadata_match"] = json!({"filter_metadata": {CHOICE: {PATHS: path}}});
    } else if let Some(fields) = found.as_object_mut() {
        fields.remove("route");
        let body = json!({"inline_string": not_served(route).to_string()});
        fields.insert("direct_response".to_owned(), json!({"status": 404, "body": body}));
    }
    found
}

fn not_served(route: &Route) -> Value {
    let served: Vec<String> = limited(route).into_iter().map(|path| format!("/v1/{path}")).collect();
    let message = format!(
        "the service that runs the deployment answers no requests to this path; it answers POST requests to {}",
        served.join(", ")
    );
    error(&message, "invalid_request_error", "not_served")
}
