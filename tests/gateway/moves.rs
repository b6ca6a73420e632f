//! A move between two endpoints under load, and the end of a gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use roadstead_gateway::{ShiftProgress, State};
use serde_json::json;

use crate::caller::Caller;
use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";

/// Requests that go on until they are stopped, each accounted for.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    served: AtomicU64,
    streams: AtomicU64,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Load {
    /// Eight callers of short requests, and eight of streams.
    fn start(caller: &Caller) -> (Arc<Self>, Vec<tokio::task::JoinHandle<()>>) {
        let load = Arc::new(Self::default());
        let tasks =
            (0..16).map(|number| tokio::spawn(Arc::clone(&load).run(caller.clone(), number % 2 == 0))).collect();
        (load, tasks)
    }

    async fn run(self: Arc<Self>, caller: Caller, streams: bool) {
        while !self.stop.load(Ordering::SeqCst) {
            let answer = caller.try_post(PATH, &json!({"stream": streams})).await;
            let count = if streams { &self.streams } else { &self.served };
            match answer {
                Ok(answer) if answer.status == StatusCode::OK && (!streams || answer.body.contains("[DONE]")) => {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                other => self.failures.lock().unwrap().push(format!("{other:?}")),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it, and holds that nothing failed.
    async fn end(&self, tasks: Vec<tokio::task::JoinHandle<()>>) {
        self.stop.store(true, Ordering::SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{} failed, first: {}", failures.len(), failures[0]);
        let (served, streams) = (self.served.load(Ordering::SeqCst), self.streams.load(Ordering::SeqCst));
        assert!(served > 50 && streams > 8, "{served} requests and {streams} streams");
    }
}

#[tokio::test]
async fn an_interrupted_endpoint_cuts_no_stream_and_others_take_its_requests() {
    let rig = Rig::start(&[]).await;
    let (a, a_address) = Engine::start().await;
    let (_b, b_address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-a", a_address), endpoint("llama-b", b_address)]);
    rig.apply(&route).await;
    let (load, tasks) = Load::start(&rig.caller("key-of-alice"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    route.endpoints[0].state = State::Draining;
    route.revision += 1;
    rig.write(&route).await;
    rig.until("nothing is in flight there", async |rig| {
        let acks = rig.acks().await.unwrap_or_default();
        acks.routes.get(&route.uid).is_some_and(|ack| ack.revision == 2 && ack.in_flight.get("llama-a") == Some(&0))
    })
    .await;
    assert_eq!(a.active.load(Ordering::SeqCst), 0);
    let before = a.count();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(a.count(), before, "it takes no new request");
    route.endpoints[0].state = State::Active;
    route.revision += 1;
    rig.write(&route).await;
    rig.until("it takes requests again", async |_| a.count() > before).await;
    load.end(tasks).await;
}

#[tokio::test]
async fn callers_are_told_when_to_come_again_while_the_only_endpoint_is_interrupted() {
    let rig = Rig::start(&[]).await;
    let (engine, address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    let streaming = caller.clone();
    let stream = tokio::spawn(async move { streaming.post(PATH, &json!({"stream": true})).await });
    rig.until("the stream has begun", async |_| engine.active.load(Ordering::SeqCst) == 1).await;
    route.endpoints[0].state = State::Draining;
    route.revision += 1;
    rig.write(&route).await;
    rig.until("the gateway says that it is applied", async |rig| {
        rig.acks().await.is_some_and(|acks| acks.routes.get(&route.uid).is_some_and(|ack| ack.revision == 2))
    })
    .await;
    let before = engine.count();
    for _ in 0..20 {
        let refused = caller.post(PATH, &json!({})).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
        assert_eq!(refused.json()["error"]["code"], "no_endpoint");
        assert_eq!(refused.headers["retry-after"], "2");
    }
    assert_eq!(engine.count(), before, "no new request reaches the endpoint");
    let whole = stream.await.unwrap();
    assert!(whole.status == StatusCode::OK && whole.body.contains("[DONE]"), "{}", whole.body);
}

#[tokio::test]
async fn a_move_under_load_loses_nothing_and_is_reported_drained_when_it_is() {
    let rig = Rig::start(&[]).await;
    let (old, old_address) = Engine::start().await;
    let (new, new_address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-old", old_address)]);
    rig.apply(&route).await;
    let (load, tasks) = Load::start(&rig.caller("key-of-alice"));
    tokio::time::sleep(Duration::from_secs(1)).await;

    route.endpoints.push(endpoint("llama-new", new_address));
    for weights in [[9, 1], [1, 1]] {
        for (endpoint, weight) in route.endpoints.iter_mut().zip(weights) {
            endpoint.weight = weight;
        }
        route.revision += 1;
        rig.apply(&route).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(new.count() > 0 && old.active.load(Ordering::SeqCst) > 0);

    route.endpoints[0].state = State::Draining;
    route.revision += 1;
    rig.apply(&route).await;
    let taken = old.count();
    let in_flight = async |rig: &Rig| {
        let acks = rig.acks().await?;
        let ack = acks.routes.get("uid-llama")?.clone();
        (ack.revision == 4).then(|| ack.in_flight["llama-old"])
    };
    rig.until("the drain is reported", async |rig| in_flight(rig).await.is_some()).await;
    rig.until("nothing is in flight", async |rig| in_flight(rig).await == Some(0)).await;
    assert_eq!(old.active.load(Ordering::SeqCst), 0, "the report is the truth");
    assert_eq!(old.count(), taken, "nothing new came after the drain was in effect");

    route.endpoints.remove(0);
    route.revision += 1;
    rig.apply(&route).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    load.end(tasks).await;
}

#[tokio::test]
async fn a_shift_gives_each_endpoint_its_share_under_load() {
    let rig = Rig::start(&[]).await;
    let (old, old_address) = Engine::start().await;
    let (new, new_address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-old", old_address), endpoint("llama-new", new_address)]);
    for (revision, percent) in [(1, 10), (2, 40)] {
        let from = "llama-old".to_owned();
        route.endpoints[1].shift = Some(ShiftProgress { from, percent, step: 0, until: 0 });
        route.revision = revision;
        rig.apply(&route).await;
        let before = [old.count(), new.count()];
        let (load, tasks) = Load::start(&rig.caller("key-of-alice"));
        rig.until("enough was asked", async |_| old.count() + new.count() > before[0] + before[1] + 1_000).await;
        load.end(tasks).await;
        let (of_old, of_new) = (old.count() - before[0], new.count() - before[1]);
        let share = 100 * of_new / (of_old + of_new);
        assert!(
            share.abs_diff(percent.into()) <= 2,
            "{share} % instead of {percent} %: {of_new} of {}",
            of_old + of_new
        );
    }
}

#[tokio::test]
async fn writes_nothing_to_the_hub_at_rest() {
    let rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    rig.until("the gateway has reported itself", async |rig| rig.report_version().await.is_some()).await;
    let before = rig.report_version().await;
    assert_eq!(rig.acks().await, Some(roadstead_gateway::Acks::default()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.report_version().await, before);
}

#[tokio::test]
async fn a_gateway_ends_without_losing_a_request() {
    let mut rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    let (load, tasks) = Load::start(&rig.caller("key-of-alice"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    // As a load balancer does, callers go elsewhere once the gateway says that it ends.
    let metrics = Caller::new(rig.desk, None);
    assert_eq!(metrics.get("/drain").await.status, StatusCode::NOT_FOUND, "readers of metrics cannot end it");
    let kubelet = Caller::new(rig.drain, None);
    let drained = tokio::spawn(async move { kubelet.get("/drain").await });
    rig.until("it is not ready", async |rig| !rig.probe("/readyz").await).await;
    load.end(tasks).await;
    let answer = tokio::time::timeout(Duration::from_secs(20), drained).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "drained"));
    rig.kill_envoy();
}
