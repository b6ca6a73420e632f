//! Contexts for tests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use kube::client::Body;
use serde_json::Value;

use super::context::Context;
use super::routing::Author;
use super::settings::{OrphanPolicy, Settings, WatchedNamespaces};
use crate::controller::drivers::DriverSettings;
use crate::telemetry::metrics::Metrics;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment};
use roadstead_model::ReplacementLimits;
use roadstead_runtime::cache::Part;
use roadstead_runtime::clock::Clock;
use roadstead_runtime::events::Events;

/// The id of the installation.
pub const INSTALL_ID: &str = "prod";

/// A context that has listed everything, and whose hub answers nothing but errors.
#[must_use]
pub fn context() -> Arc<Context> {
    let hub = tower::service_fn(|_: http::Request<Body>| {
        let answer = http::Response::builder().status(503).body(Body::empty());
        std::future::ready(answer)
    });
    context_at(Client::new(hub, "roadstead-system"))
}

/// The bodies of all writes that a hub has taken.
pub type Writes = Arc<Mutex<Vec<Value>>>;

/// A context that has listed everything, and whose hub takes every write and answers it with `object`.
///
/// # Panics
/// If a write is not JSON.
#[must_use]
pub fn writing_context(object: Value) -> (Arc<Context>, Writes) {
    let writes = Writes::default();
    let taken = Arc::clone(&writes);
    let hub = tower::service_fn(move |request: http::Request<Body>| {
        let (taken, object) = (Arc::clone(&taken), object.to_string());
        async move {
            let body = request.into_body().collect_bytes().await?;
            taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            Ok::<_, kube::Error>(http::Response::new(Body::from(object.into_bytes())))
        }
    });
    (context_at(Client::new(hub, "roadstead-system")), writes)
}

fn context_at(client: Client) -> Arc<Context> {
    let settings = Settings {
        install_id: INSTALL_ID.to_owned(),
        namespace: "roadstead-system".to_owned(),
        hub_uid: "hub".to_owned(),
        takeover: None,
        drivers: DriverSettings::default(),
        watched: WatchedNamespaces::new([]),
        orphans: OrphanPolicy { delete: false, interval: Duration::from_mins(5), min_age: Duration::from_mins(5) },
        replacements: ReplacementLimits::default(),
        gateway: None,
        metrics_deployments: 0,
    };
    let clock = Clock::system();
    let events = Events::new(client.clone(), "test", clock);
    let context = Context::new(settings, clock, client, Arc::new(|| true), events, Arc::new(Metrics::new(clock)));
    let all = Part::Everything;
    context.caches.deployments.begin_listing(&all);
    context.caches.deployments.end_listing(&all);
    context.caches.endpoints.begin_listing(&all);
    context.caches.endpoints.end_listing(&all);
    context.caches.namespaces.begin_listing(&all);
    context.caches.namespaces.end_listing(&all);
    Arc::new(context)
}

/// The hub shows these objects.
pub fn show(context: &Context, deployment: ModelDeployment, endpoints: impl IntoIterator<Item = InferenceEndpoint>) {
    if let Some(change) = context.caches.deployments.apply(deployment) {
        context.deployment_changed(&change);
    }
    for endpoint in endpoints {
        if let Some(change) = context.caches.endpoints.apply(endpoint) {
            context.endpoint_changed(&change, Author::Anybody);
        }
    }
}
