//! Addresses, keys on the way, and what engines and callers see.

use std::collections::BTreeSet;

use http::StatusCode;
use roadstead_gateway::State;
use serde_json::json;

use crate::caller::Caller;
use crate::engine::{Conduct, Engine};
use crate::rig::{Rig, caller, endpoint, route};

#[tokio::test]
async fn serves_a_deployment_by_path_with_the_endpoints_own_key() {
    let rig = Rig::start(&[]).await;
    let (engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    let caller = rig.caller("key-of-alice").with("x-request-id", "asked-by-alice");

    for path in
        ["v1/chat/completions", "v1/embeddings", "v1/responses", "v1/audio/transcriptions", "tokenize", "rerank"]
    {
        let answer = caller.post(&format!("/team-a/llama/{path}"), &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(answer.json()["path"], format!("/{path}"));
        assert_eq!(answer.headers["x-request-id"], "asked-by-alice");
    }
    assert_eq!(engine.header("authorization").as_deref(), Some("Bearer key-of-llama-a"));
    assert_eq!(engine.header("x-roadstead-client").as_deref(), Some("alice"));
    assert_eq!(engine.header("x-request-id").as_deref(), Some("asked-by-alice"));
    assert_eq!(engine.header("x-envoy-original-path"), None);
}

#[tokio::test]
async fn refuses_what_has_no_route_or_no_key_as_openai_does() {
    let rig = Rig::start(&[]).await;
    let (engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    let cases = [
        (rig.caller("another"), "/team-a/llama/v1/models"),
        (Caller::new(rig.address, None), "/team-a/llama/v1/models"),
        (rig.caller("key-of-alice"), "/team-b/llama/v1/models"),
        (rig.caller("key-of-alice"), "/team-a/llama/metrics"),
        (rig.caller("key-of-alice"), "/v1/models"),
        (rig.caller("key-of-alice"), "/"),
    ];
    for (caller, path) in cases {
        let answer = caller.get(path).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(answer.json()["error"]["code"], "invalid_api_key", "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    let large = rig.caller("key-of-alice").post("/team-a/llama/v1/x", &json!("x".repeat(2 << 20))).await;
    assert_eq!(
        (large.status, &large.json()["error"]["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("request_too_large"))
    );
    assert_eq!(engine.count(), 0, "no engine was asked");
}

#[tokio::test]
async fn routes_one_address_by_key_and_model() {
    let rig = Rig::start(&["--shared", "--domain=models.example.com"]).await;
    let (llama, llama_address) = Engine::start().await;
    let (embed, embed_address) = Engine::start().await;
    let mut first = route("llama", vec![endpoint("llama-a", llama_address)]);
    first.callers.push(caller("bob"));
    rig.apply(&first).await;
    rig.apply(&route("embed", vec![endpoint("embed-a", embed_address)])).await;

    let (alice, bob) = (rig.caller("key-of-alice"), rig.caller("key-of-bob"));
    let ask = |model: &str| json!({"messages": [], "model": model});
    assert_eq!(alice.post("/v1/chat/completions", &ask("llama-model")).await.status, StatusCode::OK);
    assert_eq!(alice.post("/v1/embeddings", &ask("embed-model")).await.status, StatusCode::OK);
    assert_eq!((llama.count(), embed.count()), (1, 1));
    let hidden = bob.post("/v1/embeddings", &ask("embed-model")).await;
    assert_eq!((hidden.status, &hidden.json()["error"]["code"]), (StatusCode::NOT_FOUND, &json!("model_not_found")));
    let models = |answer: serde_json::Value| -> Vec<String> {
        let models = answer["data"].as_array().unwrap().iter();
        models.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(models(alice.get("/v1/models").await.json()), ["embed-model", "llama-model"]);
    assert_eq!(models(bob.get("/v1/models").await.json()), ["llama-model"]);
    let by_host = rig.caller("key-of-alice").with("host", "embed.team-a.models.example.com");
    assert_eq!(by_host.post("/v1/embeddings", &json!({})).await.status, StatusCode::OK);
    assert_eq!(embed.count(), 2);
}

#[tokio::test]
async fn puts_each_endpoints_prefix_before_the_path_also_in_a_retry() {
    let rig = Rig::start(&[]).await;
    let (below, below_address) = Engine::start().await;
    let (plain, plain_address) = Engine::start().await;
    let mut prefixed = endpoint("llama-a", below_address);
    prefixed.prefix = "/serve/east/llama".to_owned();
    rig.apply(&route("llama", vec![prefixed, endpoint("llama-b", plain_address)])).await;
    let caller = rig.caller("key-of-alice");
    let mut paths = BTreeSet::new();
    for _ in 0..20 {
        paths.insert(caller.get("/team-a/llama/v1/models?a=b").await.json()["path"].as_str().unwrap().to_owned());
    }
    assert_eq!(paths, ["/serve/east/llama/v1/models", "/v1/models"].map(ToOwned::to_owned).into());
    assert_eq!(below.header("x-roadstead-prefix"), None);
    let forger = rig.caller("key-of-alice").with("x-roadstead-path", "/metrics").with("x-roadstead-prefix", "/forged");
    assert!(forger.get("/team-a/llama/v1/models").await.json()["path"].as_str().unwrap().ends_with("/v1/models"));
    for (full, path) in [(&below, "/v1/models"), (&plain, "/serve/east/llama/v1/models")] {
        full.set(Conduct::Full);
        for _ in 0..10 {
            assert_eq!(caller.get("/team-a/llama/v1/models").await.json()["path"], path);
        }
        full.set(Conduct::Serves);
    }
}

#[tokio::test]
async fn a_gateway_verifies_an_endpoint_before_a_caller_reaches_it() {
    let rig = Rig::start(&[]).await;
    let (old, old_address) = Engine::start().await;
    let (new, new_address) = Engine::start().await;
    new.set(Conduct::Fails);
    let mut verifying = endpoint("llama-new", new_address);
    verifying.state = State::Verifying;
    let mut route = route("llama", vec![endpoint("llama-old", old_address), verifying]);
    rig.apply(&route).await;

    rig.until("it is asked", async |_| new.count() > 2).await;
    let verified = async |rig: &Rig| {
        let acks = rig.acks().await.unwrap_or_default();
        acks.routes.get("uid-llama").filter(|ack| ack.revision == 1).map(|ack| ack.verified.clone())
    };
    rig.until("the route is reported", async |rig| verified(rig).await.is_some()).await;
    assert_eq!(verified(&rig).await, Some([].into()), "it answers errors");
    assert_eq!(new.header("authorization").as_deref(), Some("Bearer key-of-llama-new"));

    new.set(Conduct::Serves);
    rig.until("it is verified", async |rig| verified(rig).await == Some(["llama-new".to_owned()].into())).await;
    let asked = new.count();
    let path = "/team-a/llama/v1/models";
    for _ in 0..10 {
        assert_eq!(rig.caller("key-of-alice").get(path).await.status, StatusCode::OK);
    }
    assert_eq!((old.count(), new.count()), (10, asked), "callers reach it only once the operator says so");

    route.endpoints[1].state = State::Active;
    route.revision += 1;
    rig.apply(&route).await;
    let reaches = async |rig: &Rig| {
        rig.caller("key-of-alice").get(path).await;
        new.count() > asked
    };
    rig.until("callers reach it", reaches).await;
}

#[tokio::test]
async fn logs_the_tokens_of_answers_where_that_is_on_and_survives_any_answer() {
    let rig = Rig::start(&["--log-tokens", "--buffer-bytes=65536"]).await;
    let (_engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    let caller = rig.caller("key-of-alice");
    let body = |stream: bool| json!({"stream": stream, "prompt": "a-secret-prompt"});
    assert_eq!(caller.post("/team-a/llama/v1/completions", &body(false)).await.json()["usage"]["completion_tokens"], 3);
    let stream = caller.post("/team-a/llama/v1/chat/completions", &body(true)).await.body;
    assert!(stream.contains("\"completion_tokens\":20") && stream.contains("[DONE]"), "{stream}");
    assert_eq!(caller.post("/team-a/llama/v1/scalar", &body(false)).await.body, "7");
    let large = caller.try_post("/team-a/llama/v1/large", &body(false)).await;
    assert!(!large.is_ok_and(|answer| answer.status == StatusCode::OK), "longer than the buffer, as the documents say");

    let tokens = |path: &str| {
        let log = rig.log("process.log");
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut found = lines.filter(|line| line["path"] == path);
        found.next().map(|line| [line["promptTokens"].as_u64(), line["completionTokens"].as_u64()])
    };
    for (path, expected) in [
        ("/v1/completions", [Some(9), Some(3)]),
        ("/v1/chat/completions", [None, None]),
        ("/v1/scalar", [None, None]),
        ("/v1/large", [None, None]),
    ] {
        rig.until("the request is logged", async |_| tokens(path).is_some()).await;
        assert_eq!(tokens(path), Some(expected), "{path}");
    }
    let log = rig.log("process.log");
    assert!(!log.contains("a-secret-prompt") && !log.contains("key-of-"), "neither bodies nor keys are logged");
}
