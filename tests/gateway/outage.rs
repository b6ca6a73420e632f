//! The hub is away, or a part of the gateway has ended.

use std::net::SocketAddr;

use http::StatusCode;

use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/models";

#[tokio::test]
async fn serves_without_the_hub_also_after_a_restart_of_everything() {
    let mut rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    rig.lose_hub();
    rig.kill_process();
    assert_eq!(rig.caller("key-of-alice").get(PATH).await.status, StatusCode::OK, "Envoy needs no process beside it");

    rig.start_process();
    rig.until("the process has the saved routes", async |rig| rig.probe("/startupz").await).await;
    assert_eq!(rig.caller("key-of-alice").get(PATH).await.status, StatusCode::OK);

    // A new pod: its memory is empty, and the volume is there.
    rig.kill_envoy();
    rig.kill_process();
    std::fs::remove_dir_all(rig.folder.path().join("run")).unwrap();
    rig.start_process();
    rig.start_envoy().await;
    assert_eq!(rig.caller("key-of-alice").get(PATH).await.status, StatusCode::OK);
}

/// The process has a route, and restarts beside another hub, which has none.
async fn rebuild_hub(rig: &mut Rig, address: SocketAddr) {
    let old = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&old).await;
    rig.kill_process();
    rig.remove(&old).await;
    rig.start_process();
    rig.until("the process has read the hub", async |rig| rig.log("process.log").contains("former routes stay")).await;
}

#[tokio::test]
async fn a_rebuilt_hub_ends_no_route_before_its_operator_has_published_all() {
    let mut rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    rebuild_hub(&mut rig, address).await;
    assert_eq!(rig.caller("key-of-alice").get(PATH).await.status, StatusCode::OK);

    let mut new = route("llama", vec![]);
    new.uid = "uid-of-the-rebuilt".to_owned();
    new.callers = vec![crate::rig::caller("bob")];
    rig.write(&new).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(rig.caller("key-of-alice").get(PATH).await.status, StatusCode::OK, "nothing serves on the new route");
    new.endpoints = vec![endpoint("llama-a", address)];
    new.revision += 1;
    rig.apply(&new).await;
    rig.until("the new route is in effect", async |rig| {
        rig.caller("key-of-bob").get(PATH).await.status == StatusCode::OK
            && rig.caller("key-of-alice").get(PATH).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
}

#[tokio::test]
async fn routes_that_a_rebuilt_hub_does_not_have_go_once_it_is_complete() {
    let mut rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    rebuild_hub(&mut rig, address).await;
    rig.publish().await;
    rig.until("the route is gone", async |rig| {
        rig.caller("key-of-alice").get(PATH).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
}

#[tokio::test]
async fn a_rotated_kubeconfig_is_followed_without_a_restart() {
    let mut rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&route).await;
    rig.lose_hub();
    rig.kill_process();
    rig.start_process();
    rig.until("the process has the saved routes", async |rig| rig.probe("/startupz").await).await;
    route.callers = vec![crate::rig::caller("bob")];
    route.revision += 1;
    rig.write(&route).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(rig.caller("key-of-bob").get(PATH).await.status, StatusCode::UNAUTHORIZED, "the hub is not reached");
    rig.find_hub();
    rig.until("the new route is in effect", async |rig| {
        rig.caller("key-of-bob").get(PATH).await.status == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn a_restarted_process_touches_no_file_that_is_as_it_must_be() {
    let mut rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    let route = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&route).await;
    let modified = |rig: &Rig, name: &str| {
        std::fs::metadata(rig.folder.path().join("run").join(name)).unwrap().modified().unwrap()
    };
    let names = ["lds.json", "cds.json", "rds.json", "eds/uid-llama.json"];
    let before = names.map(|name| modified(&rig, name));
    rig.kill_process();
    rig.start_process();
    rig.until("the process is there again", async |rig| rig.probe("/readyz").await).await;
    assert_eq!(names.map(|name| modified(&rig, name)), before);
}

#[tokio::test]
async fn a_route_that_goes_is_refused_and_its_files_go() {
    let rig = Rig::start(&[]).await;
    let (_engine, address) = Engine::start().await;
    let route = route("llama", vec![endpoint("llama-a", address)]);
    rig.apply(&route).await;
    rig.remove(&route).await;
    rig.until("the route is gone", async |rig| {
        rig.caller("key-of-alice").get(PATH).await.status == StatusCode::UNAUTHORIZED
    })
    .await;
    rig.until("its file is gone", async |rig| !rig.folder.path().join("run/eds/uid-llama.json").exists()).await;
    assert!(!rig.folder.path().join("state/uid-llama.json").exists());
}
