//! The routes of all deployments.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::route::{PATHS, Route};
use crate::settings::Settings;

use super::paths::by_path;
use super::serving::{header_input, list, serving};
use super::{answers, cluster, paths, shared, typed};

/// Longest list of models, in bytes.
const MAX_LIST: u32 = 1 << 20;

pub(super) fn routes(routes: &[&Route], settings: &Settings) -> Value {
    let mut paths = BTreeMap::new();
    for route in routes {
        let prefix = format!("/{}/{}/", route.namespace, route.name);
        paths.insert(prefix.clone(), list(&of_deployment(route, &prefix, settings)));
    }
    if settings.listener.shared {
        paths.insert("/v1/".to_owned(), shared::by_key(routes, settings.listener.buffer_bytes));
    }
    let mut hosts = vec![json!({"name": "paths", "domains": ["*"], "matcher": by_prefix(&paths)})];
    if let Some(domain) = &settings.listener.domain {
        hosts.extend(routes.iter().map(|route| {
            let host = format!("{}.{}.{domain}", route.name, route.namespace);
            json!({"name": host, "domains": [host, format!("{host}:*")], "routes": of_deployment(route, "/", settings)})
        }));
    }
    typed(
        "envoy.config.route.v3.RouteConfiguration",
        json!({"name": "routes", "max_direct_response_body_size_bytes": MAX_LIST, "virtual_hosts": hosts}),
    )
}

/// A tree by the beginning of the path: as fast for the last of a thousand deployments as for the first.
fn by_prefix(paths: &BTreeMap<String, Value>) -> Value {
    if paths.is_empty() {
        // A tree without branches is refused; no request has this path.
        return by_prefix(&BTreeMap::from([("//".to_owned(), list(&[]))]));
    }
    json!({"matcher_tree": {"input": header_input(":path"), "prefix_match_map": {"map": paths}}})
}

/// The routes of a deployment below a prefix that ends in a slash.
fn of_deployment(route: &Route, prefix: &str, settings: &Settings) -> Vec<Value> {
    let kept = cluster::is_kept(route).then_some(settings.listener.buffer_bytes);
    let mut main = serving(route, &route.callers, kept);
    main["match"] = json!({"prefix": format!("{prefix}v1/")});
    main["route"]["prefix_rewrite"] = json!("/v1/");
    let mut others = serving(route, &route.callers, kept);
    let pattern = format!("{prefix}({})", PATHS.join("|"));
    others["match"] = json!({"safe_regex": {"regex": pattern}});
    others["route"]["regex_rewrite"] = json!({"pattern": {"regex": format!("^{prefix}")}, "substitution": "/"});
    // Engines say more of their models than a name.
    let listed = (!route.lists_model()).then(|| {
        let mut listed = answers::models(&format!("{prefix}v1/models"), &route.callers, std::iter::once(route));
        listed["name"] = json!(route.cluster());
        listed
    });
    let served = by_path(route, main, prefix).into_iter().chain([paths::others(route, others)]);
    listed.into_iter().chain(served).collect()
}
