//! Reports of a gateway about the endpoints that it reaches, and those that it does not.

use std::time::Duration;

use roadstead_gateway::{Route, WitnessRequest};
use roadstead_ground::unused::unused_address;

use crate::engine::{Conduct, Engine};
use crate::rig::{Rig, endpoint, route};

/// True if an endpoint answers, by the report.
async fn sees(rig: &Rig, route: &Route, endpoint: &str) -> Option<bool> {
    let acks = rig.acks().await?;
    acks.sees.get(&route.uid)?.get(endpoint).map(|sight| sight.answers)
}

/// Number of times that the report changes.
async fn changes_within(rig: &Rig, time: Duration) -> usize {
    let start = std::time::Instant::now();
    let (mut last, mut changes) = (rig.report_version().await, 0);
    while start.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = rig.report_version().await;
        changes += usize::from(now != last);
        last = now;
    }
    changes
}

#[tokio::test]
async fn a_gateway_reports_what_does_not_answer_and_what_is_asked_and_nothing_at_rest() {
    let rig = Rig::start(&[]).await;
    let (engine, address) = Engine::start().await;
    let (other, other_address) = Engine::start().await;
    let mut asked = endpoint("llama-a", address);
    asked.asked = WitnessRequest::Changes;
    let mut route = route("llama", vec![asked, endpoint("llama-b", other_address)]);
    rig.apply(&route).await;
    rig.until("it answers", async |rig| sees(rig, &route, "llama-a").await == Some(true)).await;
    assert_eq!(sees(&rig, &route, "llama-b").await, None, "nobody asks");
    assert_eq!(changes_within(&rig, Duration::from_secs(12)).await, 0, "nothing is written at rest");

    engine.set(Conduct::Sick);
    other.set(Conduct::Sick);
    for name in ["llama-a", "llama-b"] {
        rig.until("it does not answer", async |rig| sees(rig, &route, name).await == Some(false)).await;
    }
    engine.set(Conduct::Serves);
    other.set(Conduct::Serves);
    rig.until("it answers again", async |rig| sees(rig, &route, "llama-a").await == Some(true)).await;
    rig.until("nothing is said of it", async |rig| sees(rig, &route, "llama-b").await.is_none()).await;

    route.endpoints[1].asked = WitnessRequest::Steadily;
    route.revision += 1;
    rig.write(&route).await;
    rig.until("it is asked steadily", async |rig| sees(rig, &route, "llama-b").await == Some(true)).await;
    let beats = changes_within(&rig, Duration::from_secs(25)).await;
    assert!((2..=4).contains(&beats), "{beats} renewals of the report in 25 s");
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_for_is_reported_unasked() {
    let rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    let route = route("llama", vec![endpoint("llama-a", address), endpoint("llama-b", unused_address())]);
    rig.apply(&route).await;
    rig.until("it is missed", async |rig| sees(rig, &route, "llama-b").await == Some(false)).await;
    assert_eq!(sees(&rig, &route, "llama-a").await, None);
}
