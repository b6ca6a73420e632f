//! Keys: in effect soon, and never shown.

use std::time::{Duration, Instant};

use http::StatusCode;

use crate::engine::Engine;
use crate::rig::{Rig, caller, endpoint, route};

#[tokio::test]
async fn revokes_a_key_within_five_seconds_and_leaves_the_others_alone() {
    let rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-a", address)]);
    route.callers = vec![caller("alice"), caller("bob")];
    rig.apply(&route).await;
    let (alice, bob) = (rig.caller("key-of-alice"), rig.caller("key-of-bob"));
    let path = "/team-a/llama/v1/models";
    assert_eq!((alice.get(path).await.status, bob.get(path).await.status), (StatusCode::OK, StatusCode::OK));

    route.callers.remove(0);
    route.revision = 2;
    rig.write(&route).await;
    let start = Instant::now();
    while alice.get(path).await.status != StatusCode::UNAUTHORIZED {
        assert!(start.elapsed() < Duration::from_secs(5), "the revoked key is still good");
        assert_eq!(bob.get(path).await.status, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bob.get(path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn shows_no_key_in_logs_metrics_or_administration() {
    let rig = Rig::start(&["--log=debug"]).await;
    let (_engine, address) = Engine::start().await;
    let route = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&route).await;
    assert_eq!(rig.caller("key-of-alice").get("/team-a/llama/v1/models").await.status, StatusCode::OK);
    assert_eq!(rig.caller("key-of-mallory").get("/team-a/llama/v1/models").await.status, StatusCode::UNAUTHORIZED);
    // A file that Envoy refuses is not quoted either.
    std::fs::write(rig.folder.path().join("part"), "{\"version_info\": \"key-of-alice\" nonsense").unwrap();
    std::fs::rename(rig.folder.path().join("part"), rig.folder.path().join("run/rds.json")).unwrap();
    rig.until("the log has both requests", async |rig| rig.log("process.log").contains("\"status\":401")).await;

    let metrics = crate::caller::Caller::new(rig.desk, None).get("/metrics").await.body;
    assert!(
        metrics.contains("roadstead_gateway_requests_total{namespace=\"team-a\",deployment=\"llama\""),
        "{metrics}"
    );
    assert!(metrics.contains("roadstead_gateway_refused_total"), "{metrics}");
    for (name, text) in
        [("process.log", rig.log("process.log")), ("envoy.log", rig.log("envoy.log")), ("metrics", metrics)]
    {
        assert!(!text.contains("key-of-"), "{name} shows a key:\n{text}");
    }
    assert!(rig.log("process.log").contains("\"caller\":\"alice\""), "the log names the caller");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(rig.folder.path().join("run/rds.json").with_file_name("cds.json")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0, "others cannot read the files");
}
