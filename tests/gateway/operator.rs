//! The operator writes the routes, and a gateway serves them: placed, moved by an edited rule, and gone.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::asking::{Asking, ask, caller};
use crate::hub::Hub;

/// A simulated target with H100s.
pub fn target(name: &str, cloud: &str, region: &str, price: &str) -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
        "spec": {
            "cloud": cloud, "region": region, "type": "Simulated", "simulated": {"startupSeconds": 1}, "allowedNamespaces": {},
            "offers": [{"name": "h100", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": price}],
        },
    })
}

/// True if the deployment serves on this target alone, and nothing is being removed.
pub fn serves_on(status: &Value, target: &str) -> bool {
    let placements = status["placements"].as_array().map_or(&[][..], Vec::as_slice);
    let [placement] = placements else { return false };
    placement["target"] == target && placement["url"].is_string() && status["releasing"].is_null()
}

/// Places the deployment in the US, and waits until it has its address.
async fn serve_in_the_us(hub: &Hub, drain_seconds: u32) -> Value {
    hub.kubectl(&["create", "namespace", "team"]);
    hub.apply(&target("east", "aws", "us-east-1", "40.00"));
    hub.apply(&target("west", "gcp", "europe-west4", "50.00"));
    hub.apply(&json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team"},
        "spec": {
            "model": {"source": "hf://example/llama"},
            "serving": {"engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "drainTimeoutSeconds": drain_seconds,
                        "shapes": [{"name": "one", "accelerator": {"type": "H100", "count": 1}}]},
        },
    }));
    hub.until("it serves in the US at one address", |status| serves_on(status, "east") && status["url"].is_string())
        .await
}

/// Edits the rule by which it may be in the US.
fn forbid_the_us(hub: &Hub) {
    let rule = json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}).to_string();
    hub.kubectl(&["patch", "mdep", "llama", "-n", "team", "--type=merge", "-p", &rule]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_died_delays_one_drain_until_its_deadline_and_is_forgotten() {
    let hub = Hub::start().await;
    hub.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"acks": "{\"routes\":{}}"},
        "metadata": {"name": "gateway-dead", "namespace": hub.gateway.namespace, "labels": {"roadstead.dev/gateway": ""}},
    }));
    serve_in_the_us(&hub, 3).await;
    forbid_the_us(&hub);
    hub.until("the drain is over at its deadline", |status| serves_on(status, "west")).await;
    let reports = || {
        hub.kubectl(&["get", "configmaps", "-n", &hub.gateway.namespace, "-l", "roadstead.dev/gateway", "-o", "name"])
    };
    hub.gateway
        .until("the report of the dead one is gone", async |_| reports().trim() == "configmap/gateway-one")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_answers_the_operator_takes_over_only_when_a_gateway_reaches_it() {
    let mut hub = Hub::start().await;
    serve_in_the_us(&hub, 1).await;
    hub.gateway.kill_envoy();
    forbid_the_us(&hub);
    let waits = |status: &Value| status["conditions"].to_string().contains("waiting for a gateway to verify llama-");
    hub.until("the deployment says what it waits for", waits).await;
    let known = hub.kubectl(&["get", "iep", "-n", "team", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let endpoints: Value = serde_json::from_str(&hub.kubectl(&["get", "iep", "-n", "team", "-o", "json"])).unwrap();
    let endpoints = endpoints["items"].as_array().unwrap().clone();
    let on = |target: &str| endpoints.iter().find(|endpoint| endpoint["spec"]["target"] == target).unwrap();
    assert!(on("west")["status"]["conditions"].to_string().contains(r#""status":"True","type":"Ready""#));
    assert_eq!(on("east")["spec"]["state"], "Active", "the former endpoint serves");
    let told = hub.deployment()["status"].clone();
    assert_eq!(told["placements"][0]["target"], "east");
    assert_eq!((&told["moves"][0]["kind"], &told["moves"][0]["step"]), (&json!("Replacement"), &json!("Verify")));
    let shown = hub.status();
    let line = |phase: &str| shown.lines().any(|line| line.contains(phase));
    assert!(line("east     us-east-1      Serving") && line("west     europe-west4   Replacement"), "{shown}");
    assert!(line("waiting for a gateway to verify llama-"), "{shown}");

    // A kill while it is verified changes nothing.
    hub.restart_operator();
    tokio::time::sleep(Duration::from_secs(3)).await;
    hub.until("the new process waits for the same", waits).await;
    assert_eq!(hub.kubectl(&["get", "iep", "-n", "team", "-o", "jsonpath={.items[*].metadata.uid}"]), known);
    assert_eq!(hub.deployment()["status"]["placements"][0]["target"], "east");

    hub.gateway.start_envoy().await;
    hub.until("it serves in the EU", |status| serves_on(status, "west")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_no_gateway_reaches_in_the_time_of_a_start_is_withdrawn() {
    let mut hub = Hub::start().await;
    serve_in_the_us(&hub, 1).await;
    hub.gateway.kill_envoy();
    let quick = json!({"spec": {"serving": {"startupTimeoutSeconds": 10}}}).to_string();
    hub.kubectl(&["patch", "mdep", "llama", "-n", "team", "--type=merge", "-p", &quick]);
    forbid_the_us(&hub);
    let targets = || hub.kubectl(&["get", "iep", "-n", "team", "-o", "jsonpath={.items[*].spec.target}"]);
    hub.until("a replacement exists", |_| targets().contains("west")).await;
    hub.until("it is withdrawn", |_| targets() == "east").await;
    let endpoint = hub.kubectl(&["get", "iep", "-n", "team", "-o", "jsonpath={.items[*].spec.state}"]);
    assert_eq!(endpoint, "Active", "the former endpoint serves on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_goes_on_where_it_was_although_the_operator_is_killed_in_it() {
    let mut hub = Hub::start().await;
    // Long: an endpoint that goes sooner goes because gateways said that nothing is in flight.
    let placed = serve_in_the_us(&hub, 3600).await;
    let steps = json!([{"weightPercent": 20, "durationSeconds": 6}, {"weightPercent": 60, "durationSeconds": 4}]);
    let in_steps = json!({"spec": {"migration": {"shift": {"steps": steps}}}}).to_string();
    hub.kubectl(&["patch", "mdep", "llama", "-n", "team", "--type=merge", "-p", &in_steps]);
    let asking = Asking::start(&caller(&hub, &placed).await);
    forbid_the_us(&hub);
    let in_step = |status: &Value, percent: i32| {
        status["moves"][0]["step"] == "Shift" && status["moves"][0]["weightPercent"] == percent
    };
    let first = hub.until("the first step", |status| in_step(status, 20)).await;
    hub.restart_operator();
    let second = hub.until("the second step", |status| in_step(status, 60)).await;
    assert_eq!(second["status"]["placements"][0]["target"], "east", "the old endpoint stays until the last step");
    let time = |object: &Value| object["status"]["moves"][0]["deadline"].as_str().unwrap().to_owned();
    assert!(time(&first) < time(&second));
    let moved = hub.until("it serves in the EU alone", |status| serves_on(status, "west")).await;
    assert!(moved["status"]["moves"].is_null(), "{}", moved["status"]);
    let answers = asking.end().await;
    assert!(answers.first().unwrap().contains("at east") && answers.last().unwrap().contains("at west"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_outlives_a_move_and_no_request_is_lost() {
    let hub = Hub::start().await;
    // Long: an endpoint that goes sooner goes because gateways said that nothing is in flight.
    let placed = serve_in_the_us(&hub, 3600).await;
    let url = placed["status"]["url"].as_str().unwrap();
    assert_eq!(url, format!("http://{}/team/llama/v1", hub.gateway.address));
    let caller = caller(&hub, &placed).await;
    let asking = Asking::start(&caller);
    forbid_the_us(&hub);
    let moved =
        hub.until("it serves in the EU, and the former endpoint is gone", |status| serves_on(status, "west")).await;
    let answers = asking.end().await;
    assert!(answers.first().unwrap().contains("at east") && answers.last().unwrap().contains("at west"), "{answers:?}");
    assert_eq!(moved["status"]["url"], placed["status"]["url"]);

    hub.kubectl(&["delete", "mdep", "llama", "-n", "team", "--timeout=60s"]);
    hub.gateway
        .until("the route is gone", async |_| ask(&caller).await.unwrap().status == StatusCode::UNAUTHORIZED)
        .await;
    let routes = hub.kubectl(&["get", "secrets", "-n", &hub.gateway.namespace, "-o", "name"]);
    assert_eq!(routes.trim(), "secret/published", "no route is left, and the mark of complete routes is");
}
