//! Endpoints that fail, are full or vanish.

use http::StatusCode;
use roadstead_gateway::State;
use roadstead_ground::unused::unused_address;
use serde_json::json;

use crate::engine::{Conduct, Engine};
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";

#[tokio::test]
async fn another_endpoint_answers_what_one_did_not() {
    let rig = Rig::start(&[]).await;
    let (a, a_address) = Engine::start().await;
    let (b, b_address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", a_address), endpoint("llama-b", b_address)])).await;
    let caller = rig.caller("key-of-alice");
    for conduct in [Conduct::Full, Conduct::Fails] {
        a.set(conduct);
        for number in 0..20 {
            let answer = caller.post(PATH, &json!({"number": number})).await;
            assert_eq!(answer.status, StatusCode::OK, "{conduct:?}: {}", answer.body);
        }
        a.set(Conduct::Serves);
    }
    assert!(a.count() > 0 && b.count() >= 40, "{} and {}", a.count(), b.count());
}

#[tokio::test]
async fn an_endpoint_that_is_gone_costs_no_request() {
    let rig = Rig::start(&[]).await;
    let (_a, a_address) = Engine::start().await;
    let gone = unused_address();
    rig.apply(&route("llama", vec![endpoint("llama-a", a_address), endpoint("llama-b", gone)])).await;
    let caller = rig.caller("key-of-alice");
    for number in 0..50 {
        assert_eq!(caller.post(PATH, &json!({"number": number})).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn says_when_to_come_again_where_all_are_full_or_none_serves() {
    let rig = Rig::start(&[]).await;
    let (engine, address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    engine.set(Conduct::Full);
    assert_eq!(caller.post(PATH, &json!({})).await.status, StatusCode::TOO_MANY_REQUESTS, "the engine's own words");

    route.endpoints.clear();
    route.revision = 2;
    rig.apply(&route).await;
    let nowhere = caller.post(PATH, &json!({})).await;
    assert_eq!(
        (nowhere.status, &nowhere.json()["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("no_endpoint"))
    );
    assert_eq!(nowhere.headers["retry-after"], "2");
}

#[tokio::test]
async fn a_standby_takes_over_and_gives_back() {
    let rig = Rig::start(&[]).await;
    let (main, main_address) = Engine::start().await;
    let (other, other_address) = Engine::start().await;
    let mut standby = endpoint("llama-b", other_address);
    standby.state = State::Standby;
    rig.apply(&route("llama", vec![endpoint("llama-a", main_address), standby])).await;
    let caller = rig.caller("key-of-alice");
    for _ in 0..10 {
        assert_eq!(caller.post(PATH, &json!({})).await.status, StatusCode::OK);
    }
    assert_eq!((main.count(), other.count()), (10, 0));
    main.set(Conduct::Fails);
    for _ in 0..10 {
        assert_eq!(caller.post(PATH, &json!({})).await.status, StatusCode::OK);
    }
    assert_eq!(other.count(), 10, "every failed answer was asked for again at the standby");
    main.set(Conduct::Serves);
    let before = main.count();
    rig.until("the main endpoint serves again", async |_| {
        caller.post(PATH, &json!({})).await;
        main.count() > before
    })
    .await;
}
