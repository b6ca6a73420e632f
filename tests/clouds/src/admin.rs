//! The interface for tests and judges: clock, fault script, record, rules and the true state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::cloud::{Cloud, ServiceName};
use crate::faults::ScriptedFault;
use crate::record::Exchange;
use crate::rules::Rule;
use crate::server::Shared;

/// Addresses of the services and of this interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    /// This interface.
    pub admin: String,
    /// Every AWS service that is played: one address for all of them.
    pub sagemaker: String,
    /// Hugging Face's control plane without `/v2`, and its endpoints.
    pub hugging_face: String,
    /// Vertex AI, Google's identity services and the metadata server.
    pub vertex_ai: String,
    /// Baseten's management API without `/v1`, its object store and its models.
    pub baseten: String,
    /// `DigitalOcean`'s API without `/v2`, and its instances.
    pub digital_ocean: String,
    /// Bedrock, its runtime and STS.
    pub bedrock: String,
    /// Azure Resource Manager, Entra ID and the endpoints of Azure Machine Learning.
    pub azure: String,
    /// Azure Resource Manager, Entra ID and the data plane of Azure OpenAI.
    pub azure_openai: String,
    /// A hosted vendor, without `/v1`.
    pub hosted: String,
}

struct Admin {
    urls: Urls,
    shared: Arc<Shared>,
    clouds: Vec<Arc<dyn Cloud>>,
}

type AdminState = State<Arc<Admin>>;

/// The interface.
pub fn router(urls: Urls, shared: Arc<Shared>, clouds: Vec<Arc<dyn Cloud>>) -> Router {
    Router::new()
        .route("/urls", get(urls_))
        .route("/clock", get(clock).post(advance))
        .route("/faults", axum::routing::put(set_faults).post(add_fault).delete(clear_faults))
        .route("/requests", get(requests))
        .route("/rules", get(rules))
        .route("/state", get(state))
        .with_state(Arc::new(Admin { urls, shared, clouds }))
}

async fn urls_(State(admin): AdminState) -> Json<Urls> {
    Json(admin.urls.clone())
}

async fn clock(State(admin): AdminState) -> Json<Value> {
    Json(json!({"now": rfc3339(admin.shared.clock.millis())}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

async fn advance(State(admin): AdminState, Json(by): Json<Advance>) -> Json<Value> {
    admin.shared.clock.advance(Duration::from_secs(by.seconds));
    clock(State(admin)).await
}

async fn set_faults(State(admin): AdminState, Json(faults): Json<Vec<ScriptedFault>>) -> Json<Value> {
    admin.shared.script().set(faults);
    Json(json!({}))
}

async fn add_fault(State(admin): AdminState, Json(fault): Json<ScriptedFault>) -> Json<Value> {
    admin.shared.script().add(fault);
    Json(json!({}))
}

async fn clear_faults(State(admin): AdminState) -> Json<Value> {
    admin.shared.script().set(Vec::new());
    Json(json!({}))
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: usize,
}

async fn requests(State(admin): AdminState, Query(query): Query<After>) -> Json<Vec<Exchange>> {
    Json(admin.shared.record.after(query.after))
}

async fn rules(State(admin): AdminState) -> Json<BTreeMap<ServiceName, &'static [&'static Rule]>> {
    Json(admin.clouds.iter().map(|cloud| (cloud.name(), cloud.rules())).collect())
}

async fn state(State(admin): AdminState) -> Json<BTreeMap<ServiceName, Value>> {
    Json(admin.clouds.iter().map(|cloud| (cloud.name(), cloud.state())).collect())
}
