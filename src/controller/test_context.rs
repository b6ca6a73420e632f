//! A context for tests, whose hub answers nothing but errors.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::client::Body;

use super::context::{Context, Settings};
use super::orphans::judge::Policy;
use super::watches::Watched;
use crate::api::v1alpha1::{InferenceEndpoint, ModelDeployment};
use crate::cluster::kubeconfig::AllowedKubeconfig;
use crate::kube_ext::cache::Part;
use crate::kube_ext::events::Events;
use crate::telemetry::metrics::Metrics;

/// The id of the installation.
pub const INSTALL_ID: &str = "prod";

/// A context that has listed everything.
#[must_use]
pub fn context() -> Arc<Context> {
    let hub = tower::service_fn(|_: http::Request<Body>| {
        let answer = http::Response::builder().status(500).body(Body::empty());
        std::future::ready(answer)
    });
    let client = Client::new(hub, "roadstead-system");
    let settings = Settings {
        install_id: INSTALL_ID.to_owned(),
        namespace: "roadstead-system".to_owned(),
        hub_uid: "hub".to_owned(),
        takeover: None,
        allowed_kubeconfig: AllowedKubeconfig::new([]),
        simulated_cloud: None,
        watched: Watched::new([]),
        orphans: Policy { delete: false, interval: Duration::from_mins(5), min_age: Duration::from_mins(5) },
        metrics_deployments: 0,
    };
    let events = Events::new(client.clone(), "test".to_owned());
    let context = Context::new(settings, client, Arc::new(|| true), events, Arc::new(Metrics::new()));
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
            context.endpoint_changed(&change);
        }
    }
}
