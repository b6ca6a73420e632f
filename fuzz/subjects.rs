//! Fuzz subjects: each reads untrusted bytes, and checks invariants that hold for any input.
//!
//! The fuzz targets call these, and so does the test `corpus`, with every file of `fuzz/corpus`.

#![allow(dead_code, reason = "each fuzz target calls one of them")]

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::jiff::Timestamp;
use roadstead::controller::convert;
use roadstead_api::check::Checker;
use roadstead_api::v1alpha1::{ModelDeployment, ServingTarget, names, quantity, syntax, validate};
use roadstead_kubernetes::cluster::connection::{self, Credentials};
use roadstead_kubernetes::cluster::kubeconfig::{self, AllowedKubeconfig};
use roadstead_kubernetes::{found, nodes, pods};
use roadstead_model::{MicroDollars, Pattern};
use roadstead_planner::Fleet;
use roadstead_provider::probe;
use roadstead_runtime::text;
use roadstead_simulated::cloud::CloudAddress;
use serde::de::DeserializeOwned;
use serde_json::Value;

thread_local! {
    static CHECKER: Checker = Checker::new();
}

fn utf8(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or_default()
}

/// A kubeconfig from a Secret: refused, or with nothing dangerous left in it, and of use.
pub fn kubeconfig(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let allowed = AllowedKubeconfig::default();
    if let Ok(config) = runtime.block_on(kubeconfig::parse(data, &allowed)) {
        assert_eq!(config.cluster_url.scheme_str(), Some("https"));
        assert!(!config.accept_invalid_certs && config.proxy_url.is_none());
        let user = &config.auth_info;
        assert!(user.exec.is_none() && user.auth_provider.is_none() && user.token_file.is_none());
        assert!(user.client_certificate.is_none() && user.client_key.is_none() && user.impersonate.is_none());
        // Everything that a header, a URL or TLS needs was judged: what is left to miss are the machine's authorities.
        let credentials = Credentials::Kubeconfig(data.to_vec());
        let client = runtime.block_on(connection::client(&credentials, &allowed, Arc::new(|| false)));
        assert!(client.is_ok() || config.root_cert.is_none());
    }
}

/// A manifest: what `roadstead validate` takes, the operator takes as well, and the planner's types hold it.
pub fn manifest(data: &[u8]) {
    let Ok(object) = serde_saphyr::from_str::<Value>(utf8(data)) else { return };
    let _ = CHECKER.with(|checker| checker.check(&object));
    if let Ok(deployment) = serde_json::from_value::<ModelDeployment>(object.clone())
        && validate::model_deployment(&deployment).is_empty()
    {
        let _ = convert::deployment(&deployment, BTreeMap::new());
    }
    if let Ok(target) = serde_json::from_value::<ServingTarget>(object)
        && validate::serving_target(&target).is_empty()
    {
        let converted = convert::target(&target, None, None, Timestamp::UNIX_EPOCH);
        let name = converted.name.clone();
        let mut fleet = Fleet::new();
        fleet.upsert_target(converted);
        for (offer, members, usable) in fleet.members_of(&name) {
            let _ = convert::capacity(offer, members, &usable);
        }
    }
}

/// Decimals, quantities and patterns.
pub fn numbers(data: &[u8]) {
    let text = utf8(data);
    if let Ok(money) = MicroDollars::parse(text) {
        assert_eq!(MicroDollars::parse(&money.to_string()), Ok(money), "{text:?}");
    }
    let quantity = Quantity(text.to_owned());
    if let (Ok(millis), Ok(units)) = (quantity::millis(&quantity), quantity::units(&quantity)) {
        assert_eq!(millis.div_ceil(1000), units, "{text:?}");
    }
    let (pattern, name) = text.split_once(' ').unwrap_or((text, text));
    if let Ok(pattern) = Pattern::parse(pattern) {
        let _ = pattern.matches(name);
    }
}

fn list<T: DeserializeOwned>(value: &Value) -> Vec<Arc<T>> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| serde_json::from_value(item.clone()).ok()).map(Arc::new).collect()
}

/// A member's listing: nodes, pods and Deployments become numbers that fit, names that are ours, and bounded texts.
pub fn member(data: &[u8]) {
    let Ok(shown) = serde_json::from_slice::<Value>(data) else { return };
    let (nodes, pods): (Vec<Arc<Node>>, Vec<Arc<Pod>>) = (list(&shown["nodes"]), list(&shown["pods"]));
    for node in nodes::planner_nodes(&nodes, &pods) {
        for (device, free) in &node.free_accelerators {
            assert!(free <= &node.allocatable_accelerators[device]);
        }
    }
    if let Some(trouble) = pods::trouble(pods.iter().map(AsRef::as_ref)) {
        assert!(trouble.message.len() <= text::MAX_BYTES);
    }
    for deployment in list::<Deployment>(&shown["deployments"]) {
        if let Some(found) = found::found(&deployment) {
            assert_eq!(Some(&found.name), deployment.metadata.name.as_ref());
        }
    }
}

/// Words: a list of models, a key, a message, an image, a UID, an address.
pub fn text(data: &[u8]) {
    let _ = probe::listed(data, "http://10.0.0.1", "llama");
    let key = utf8(data);
    let line = text::bounded(key);
    assert!(line.len() <= text::MAX_BYTES && !line.contains(char::is_control));
    if names::is_api_key(key) {
        assert_eq!(line, text::REDACTED);
    }
    if syntax::image_fault(key).is_none() {
        assert!(key.contains([':', '@']) && key.is_ascii(), "{key:?}");
    }
    if let Ok(address) = key.parse::<CloudAddress>() {
        let url = address.url("/places/east");
        assert!(url.parse::<http::Uri>().is_ok_and(|url| url.path() == "/places/east"), "{url:?}");
    }
    if names::is_uid(key) {
        assert!(format!("http://10.0.0.1/?uid={key}").parse::<http::Uri>().is_ok(), "{key:?}");
    }
}
