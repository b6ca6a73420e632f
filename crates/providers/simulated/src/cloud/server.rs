//! The simulated cloud's HTTP: its interface for drivers, and the models that it pretends to serve.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::faults::Hit;
use super::journal::Journal;
use super::wire::{CallRefusal, ClaimOrder, CreateOrder, EndpointList, EndpointView, LogEntry, Profile, UpdateOrder};
use super::world::World;
use roadstead_api::v1alpha1::SimulatedCall;
use roadstead_runtime::clock::Clock;

/// The longest that a listing waits for news.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Time that the caller of a lost answer waits before the connection is cut.
const LOST: Duration = Duration::from_secs(1);

/// The cloud behind its interface.
struct CloudServer {
    world: Mutex<(World, Journal)>,
    /// Number of changes, which wakes listings that wait.
    changes: watch::Sender<u64>,
    clock: Clock,
}

type ServerState = State<Arc<CloudServer>>;

/// Answers on `listener` until `stop` resolves, starting with the entries of `state`.
///
/// # Errors
/// If the state file cannot be read or written, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    state: Option<&FilePath>,
    clock: Clock,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let (journal, entries) = Journal::open(state, |known| World::restore(known.iter().cloned()).entries())?;
    let world = Mutex::new((World::restore(entries), journal));
    let cloud = Arc::new(CloudServer { world, changes: watch::Sender::new(0), clock });
    let app = Router::new()
        .route("/places/{place}", put(identify))
        .route("/places/{place}/claims/{install_id}", put(claim))
        .route("/places/{place}/endpoints", get(list).post(create))
        .route("/places/{place}/endpoints/{name}", get(read).put(update).delete(delete))
        .route("/places/{place}/endpoints/{name}/key", get(key))
        .route("/log", get(log))
        .route("/world", get(truth))
        .route("/livez", get(|| async { "ok" }))
        .route("/serve/{place}/{name}/v1/models", get(models))
        .route("/serve/{place}/{name}/v1/chat/completions", post(complete))
        .with_state(cloud);
    axum::serve(listener, app).with_graceful_shutdown(stop).await.context("the simulated cloud's listener failed")
}

impl CloudServer {
    fn lock(&self) -> MutexGuard<'_, (World, Journal)> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        self.clock.wall().as_millisecond()
    }

    /// One call: it fails by the place's faults, or takes effect, is recorded, and wakes waiting listings.
    async fn call<T: Serialize>(
        &self,
        place: &str,
        call: SimulatedCall,
        act: impl FnOnce(&mut World, i64) -> Result<T, CallRefusal>,
    ) -> Response {
        let hit = self.lock().0.hit(place, call);
        if let Some(Hit::Refused(refusal)) = hit {
            return refused(&refusal);
        }
        let answer = match self.act(act) {
            Ok(value) => Json(value).into_response(),
            Err(refusal) => refused(&refusal),
        };
        match hit {
            Some(Hit::Lost) => {
                tokio::time::sleep(LOST).await;
                lost()
            }
            Some(Hit::Late(seconds)) => {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                answer
            }
            _ => answer,
        }
    }

    fn act<T>(&self, act: impl FnOnce(&mut World, i64) -> Result<T, CallRefusal>) -> Result<T, CallRefusal> {
        let mut state = self.lock();
        let (world, journal) = &mut *state;
        let result = act(world, self.now());
        let entries = world.take_journal();
        if let Err(error) = journal.append(&entries) {
            tracing::error!(%error, "the state file cannot be written; changes will be lost");
        }
        drop(state);
        if !entries.is_empty() {
            self.changes.send_modify(|changes| *changes += 1);
        }
        result
    }
}

async fn identify(State(cloud): ServerState, Path(place): Path<String>, Json(profile): Json<Profile>) -> Response {
    // The profile is taken in first: its faults hold for this call already.
    let met = cloud.act(|world, now| world.identify(&place, profile, now));
    cloud.call(&place, SimulatedCall::Identify, |_, _| met).await
}

async fn claim(
    State(cloud): ServerState,
    Path((place, install_id)): Path<(String, String)>,
    Json(order): Json<ClaimOrder>,
) -> Response {
    cloud.call(&place, SimulatedCall::Claim, |world, _| world.claim(&place, &install_id, &order)).await
}

/// Which endpoints are listed, and whether to wait for news.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListQuery {
    install_id: String,
    /// The mark of the list that is known; another one is waited for.
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    wait_seconds: u64,
}

async fn list(State(cloud): ServerState, Path(place): Path<String>, Query(listing): Query<ListQuery>) -> Response {
    let wait = Duration::from_secs(listing.wait_seconds).min(MAX_WAIT);
    let news = tokio::time::timeout(wait, cloud.news(&place, &listing)).await;
    cloud
        .call(&place, SimulatedCall::List, |world, now| match news {
            Ok(list) => list,
            Err(_) => world.list(&place, &listing.install_id, now),
        })
        .await
}

impl CloudServer {
    /// The list, as soon as it is another one than the caller knows.
    async fn news(&self, place: &str, listing: &ListQuery) -> Result<EndpointList, CallRefusal> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let (list, version, next) = self.act(|world, now| {
                let list = world.list(place, &listing.install_id, now)?;
                Ok((list, world.version(place), world.next_change(place, now)))
            })?;
            if listing.after.as_deref() != Some(list.mark.as_str()) {
                return Ok(list);
            }
            let until =
                next.map_or(MAX_WAIT, |at| Duration::from_millis(at.saturating_sub(self.now()).unsigned_abs() + 1));
            // Listing again is dear where many endpoints are: what happens at other places is no reason.
            let news = async { while changes.changed().await.is_ok() && self.lock().0.version(place) == version {} };
            let _ = tokio::time::timeout(until, news).await;
        }
    }
}

async fn read(State(cloud): ServerState, Path((place, name)): Path<(String, String)>) -> Response {
    cloud.call(&place, SimulatedCall::Get, |world, now| world.get(&place, &name, now)).await
}

async fn key(State(cloud): ServerState, Path((place, name)): Path<(String, String)>) -> Response {
    cloud.call(&place, SimulatedCall::Get, |world, _| world.key(&place, &name)).await
}

async fn create(State(cloud): ServerState, Path(place): Path<String>, Json(order): Json<CreateOrder>) -> Response {
    cloud.call(&place, SimulatedCall::Create, |world, now| world.create(&place, order, now)).await
}

async fn update(
    State(cloud): ServerState,
    Path((place, name)): Path<(String, String)>,
    Json(order): Json<UpdateOrder>,
) -> Response {
    cloud.call(&place, SimulatedCall::Update, |world, now| world.update(&place, &name, order, now)).await
}

#[derive(Deserialize)]
struct Deletion {
    uid: String,
}

async fn delete(
    State(cloud): ServerState,
    Path((place, name)): Path<(String, String)>,
    Query(deletion): Query<Deletion>,
) -> Response {
    cloud.call(&place, SimulatedCall::Delete, |world, now| world.delete(&place, &name, &deletion.uid, now)).await
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn log(State(cloud): ServerState, Query(query): Query<After>) -> Json<Vec<LogEntry>> {
    Json(cloud.lock().0.log(query.after))
}

async fn truth(State(cloud): ServerState) -> Json<BTreeMap<String, Vec<EndpointView>>> {
    Json(cloud.lock().0.truth(cloud.now()))
}

/// The model for a request with the key; otherwise the refusal.
async fn model(cloud: &CloudServer, place: &str, name: &str, headers: &HeaderMap) -> Result<String, Box<Response>> {
    let hit = cloud.lock().0.hit(place, SimulatedCall::Serve);
    match hit {
        Some(Hit::Refused(refusal)) => return Err(Box::new(refused(&refusal))),
        Some(Hit::Lost) => {
            tokio::time::sleep(LOST).await;
            return Err(Box::new(lost()));
        }
        Some(Hit::Late(seconds)) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
        None => {}
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let state = cloud.lock();
    match state.0.serves(place, name, bearer.and_then(|value| value.strip_prefix("Bearer ")), cloud.now()) {
        None => Err(Box::new((StatusCode::SERVICE_UNAVAILABLE, "no endpoint serves here").into_response())),
        Some("") => Err(Box::new(StatusCode::UNAUTHORIZED.into_response())),
        Some(model) => Ok(model.to_owned()),
    }
}

async fn models(
    State(cloud): ServerState,
    Path((place, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    match model(&cloud, &place, &name, &headers).await {
        Ok(model) => Json(json!({"object": "list", "data": [{"id": model, "object": "model"}]})).into_response(),
        Err(refused) => *refused,
    }
}

async fn complete(
    State(cloud): ServerState,
    Path((place, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let content = format!("This is {name}, simulated at {place}: there is no model.");
    match model(&cloud, &place, &name, &headers).await {
        Ok(model) => Json(json!({
            "object": "chat.completion",
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        }))
        .into_response(),
        Err(refused) => *refused,
    }
}

fn refused(refusal: &CallRefusal) -> Response {
    let status = match refusal.class.as_str() {
        "Throttled" | "QuotaExceeded" => StatusCode::TOO_MANY_REQUESTS,
        "CapacityExhausted" | "Invalid" => StatusCode::BAD_REQUEST,
        "Unauthorized" => StatusCode::UNAUTHORIZED,
        "NotFound" => StatusCode::NOT_FOUND,
        "Conflict" => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(refusal)).into_response()
}

/// An answer that breaks off: the caller cannot know what became of its call.
fn lost() -> Response {
    let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("the answer is lost"))]);
    Response::new(Body::from_stream(broken))
}
