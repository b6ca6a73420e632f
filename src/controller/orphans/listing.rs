//! The hub's objects, from the caches and from a fresh and complete listing.

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::{Client, Resource, ResourceExt};
use roadstead_model::{DeploymentId, EndpointKey, Found};

use super::judge::HubObjects;
use crate::controller::context::Context;
use crate::controller::convert;
use crate::controller::settings::WatchedNamespaces;
use crate::controller::watches::tenants_api;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment};
use roadstead_runtime::cache::{Key, Part};
use roadstead_runtime::client::{CallError, PAGE, call, call_opt};

/// Objects in the caches: sufficient to show that an endpoint is no orphan, but not that it is one.
pub fn cached(context: &Context) -> HubObjects {
    let deployments = context.caches.deployments.list();
    let endpoints = context.caches.endpoints.list();
    HubObjects {
        listed: deployments.len(),
        deployments: deployments.iter().map(|object| convert::deployment_id(&Key::of(object.as_ref()))).collect(),
        endpoints: endpoints.iter().map(|object| convert::endpoint_key(object)).collect(),
    }
}

/// True if the caches hold a record or a deployment that answers for what was found at `target`.
pub fn accounts_for(context: &Context, target: &str, found: &Found) -> bool {
    let namespace = &found.deployment.namespace;
    let record = || context.caches.endpoints.get(&Key::new(namespace, &found.name)).is_some();
    let deployment = || context.caches.deployments.get(&Key::new(namespace, &found.deployment.name)).is_some();
    found.target == target && (record() || deployment())
}

/// Adds to `known` what the API server lists now, whole or not at all: what either of them knows is no orphan.
///
/// No resource version is asked for, so that the answer holds everything that was written before the question.
///
/// # Errors
/// [`CallError`] of any page.
pub async fn confirm(
    client: &Client,
    watched: &WatchedNamespaces,
    mut known: HubObjects,
) -> Result<HubObjects, CallError> {
    known.listed = 0;
    for part in watched.tenants() {
        let endpoints = list::<InferenceEndpoint>(client, &part, "list inferenceendpoints").await?;
        let deployments = list::<ModelDeployment>(client, &part, "list modeldeployments").await?;
        let endpoints = endpoints.into_iter().map(|key| EndpointKey { namespace: key.namespace, name: key.name });
        known.listed += deployments.len();
        known.deployments.extend(deployments.iter().map(convert::deployment_id));
        known.endpoints.extend(endpoints);
    }
    Ok(known)
}

/// Everything of one kind, page by page. Only the metadata is read, so that no object is too odd to be counted.
async fn list<K>(client: &Client, part: &Part, name: &'static str) -> Result<Vec<Key>, CallError>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    K::DynamicType: Default,
{
    let api: Api<K> = tenants_api(client, part);
    let mut keys = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = call(name, api.list_metadata(&params)).await?;
        keys.extend(
            page.items.iter().map(|object: &PartialObjectMeta<K>| {
                Key::new(object.namespace().unwrap_or_default(), object.name_any())
            }),
        );
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(keys),
        }
    }
}

/// True if the API server knows neither the record nor the deployment of this name, at this very moment.
///
/// # Errors
/// [`CallError`] of a read.
pub async fn is_unknown(client: &Client, deployment: &DeploymentId, endpoint: &str) -> Result<bool, CallError> {
    let endpoints: Api<InferenceEndpoint> = Api::namespaced(client.clone(), &deployment.namespace);
    let deployments: Api<ModelDeployment> = Api::namespaced(client.clone(), &deployment.namespace);
    let record = call_opt("get inferenceendpoint", endpoints.get_metadata(endpoint)).await?;
    let owner = call_opt("get modeldeployment", deployments.get_metadata(&deployment.name)).await?;
    Ok(record.is_none() && owner.is_none())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::{Path, RawQuery, State};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};
    use kube::Config;
    use serde_json::json;

    use super::*;
    use roadstead_runtime::client::client;

    type Asked = Arc<Mutex<Vec<String>>>;

    /// A hub with two pages of each kind; the second of `broken` is refused.
    #[derive(Clone)]
    struct Hub {
        broken: &'static str,
        asked: Asked,
    }

    async fn answer(State(hub): State<Hub>, Path(kind): Path<String>, RawQuery(query): RawQuery) -> Response {
        let query = query.unwrap_or_default();
        let second = query.contains("continue=");
        hub.asked.lock().unwrap().push(format!("{kind}?{query}"));
        if second && kind == hub.broken {
            return StatusCode::GONE.into_response();
        }
        let (name, next) = if second { ("two", "") } else { ("one", "page-2") };
        axum::Json(json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {"continue": next},
            "items": [{
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": name, "namespace": "team"},
            }],
        }))
        .into_response()
    }

    /// Result of a listing of such a hub, and the hub's requests.
    async fn listed(broken: &'static str, known: HubObjects) -> (Result<HubObjects, CallError>, Vec<String>) {
        let hub = Hub { broken, asked: Asked::default() };
        let asked = Arc::clone(&hub.asked);
        let routes =
            Router::new().route("/apis/roadstead.dev/v1alpha1/{kind}", axum::routing::get(answer)).with_state(hub);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let result = confirm(&client(config, Arc::new(|| false)).unwrap(), &WatchedNamespaces::default(), known).await;
        server.abort();
        let asked = asked.lock().unwrap().clone();
        (result, asked)
    }

    #[tokio::test]
    async fn every_page_is_listed_and_what_the_caches_know_counts_too() {
        let mut cached = HubObjects { listed: 9, ..HubObjects::default() };
        cached.deployments.insert(DeploymentId { namespace: "team".into(), name: "cached".into() });
        let (known, asked) = listed("nothing", cached).await;
        let known = known.unwrap();
        let names: Vec<&str> = known.deployments.iter().map(|id| id.name.as_str()).collect();
        assert_eq!((known.listed, names), (2, vec!["cached", "one", "two"]));
        assert_eq!(known.endpoints.len(), 2);
        assert!(
            asked.iter().all(|asked| !asked.contains("resourceVersion")),
            "the newest state is asked for: {asked:?}"
        );
        assert_eq!(asked.len(), 4, "{asked:?}");
    }

    #[tokio::test]
    async fn a_listing_that_lacks_a_page_is_none() {
        for broken in ["inferenceendpoints", "modeldeployments"] {
            assert!(listed(broken, HubObjects::default()).await.0.is_err(), "{broken}");
        }
    }
}
