//! Tokens of Bedrock: a gateway signs them alone, so the hub is not needed, and a refusal has one successor.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::StatusCode;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_gateway::{EndpointProtocol, RefusalMeaning};
use serde_json::json;

use crate::caller::{Answer, Caller};
use crate::rig::{Rig, route};

use super::{PATH, REGION, arn, at, gateway_with};

/// Bedrock with one throughput, and a gateway before it, with a caller to whom it answers. The fake's clock is the machine's, by which
/// gateways sign.
async fn before_bedrock(token_seconds: u32) -> (Clouds, Rig, Caller) {
    let clouds = Clouds::start(CloudSettings { pace: 1, ..CloudSettings::default() }).await.unwrap();
    clouds.bedrock.crowd_throughputs(REGION, 1, |_| ("llama".to_owned(), [].into()));
    let rig = gateway_with(&clouds, &[&format!("--token-seconds={token_seconds}")]).await;
    let refusal = (404, "ResourceNotFoundException", RefusalMeaning::Absent);
    let there = at(&clouds, &arn("provisioned-model"), EndpointProtocol::BedrockConverse, refusal);
    rig.write(&route("llama", vec![there])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("it answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    (clouds, rig, caller)
}

async fn ask(caller: &Caller) -> Answer {
    let messages = json!([{"role": "user", "content": "hello"}]);
    caller.post(PATH, &json!({"model": "llama-model", "messages": messages, "max_tokens": 4})).await
}

/// The tokens that the service has seen.
fn tokens(clouds: &Clouds) -> BTreeSet<String> {
    let calls = clouds.requests_after(0).into_iter().filter(|asked| asked.operation == "Converse");
    let headers = calls.flat_map(|asked| asked.headers);
    headers.filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect()
}

/// Sends requests, none of which may fail, until the service has seen so many tokens beside the known ones.
async fn ask_until(clouds: &Clouds, caller: &Caller, known: &BTreeSet<String>, count: usize) {
    let limit = Instant::now() + Duration::from_mins(2);
    while tokens(clouds).difference(known).count() < count {
        assert!(Instant::now() < limit, "{count} tokens: not in time");
        let answer = ask(caller).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tokens_are_renewed_under_load_while_the_hub_is_away_and_no_request_fails() {
    let (clouds, mut rig, caller) = before_bedrock(24).await;
    ask_until(&clouds, &caller, &BTreeSet::new(), 2).await;
    rig.lose_hub();
    rig.kill_process();
    rig.start_process();
    // Its own first token and two renewals, by a process that never saw the hub.
    let known = tokens(&clouds);
    ask_until(&clouds, &caller, &known, 3).await;
}

/// Number of tokens that the gateway has minted.
async fn minted(rig: &Rig) -> usize {
    let metrics = Caller::new(rig.desk, None).get("/metrics").await.body;
    let line = "tokens_total{source=\"Bedrock\",result=\"minted\"} ";
    let count = metrics.lines().find_map(|metric| metric.split_once(line)?.1.parse().ok());
    count.unwrap_or_else(|| panic!("{metrics}"))
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_a_missing_right_starts_no_storm() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let (clouds, rig, caller) = before_bedrock(3600).await;
        assert_eq!(minted(&rig).await, 1);
        let message = "not authorized to perform: bedrock:InvokeModel".to_owned();
        let effect = Effect::Reject { status: status.as_u16(), code: "AccessDeniedException".to_owned(), message };
        let operation = "Converse".to_owned();
        let fault = ScriptedFault { service: ServiceName::Bedrock, operation, skip: 0, times: None, effect };
        clouds.add_fault(fault);
        assert_eq!(ask(&caller).await.status, status);
        rig.until("the token is renewed", async |rig| minted(rig).await == 2).await;
        for _ in 0..50 {
            assert_eq!(ask(&caller).await.status, status);
        }
        rig.until("the log of these requests is read", async |rig| {
            let line = format!("\"status\":{}", status.as_u16());
            rig.log("process.log").matches(&line).count() > 50
        })
        .await;
        clouds.set_faults(Vec::new());
        rig.until("it answers again", async |_| ask(&caller).await.status == StatusCode::OK).await;
        assert_eq!(minted(&rig).await, 2, "the token is not what is missing");
    }
}
