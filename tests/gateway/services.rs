//! Managed services beside clusters behind one address: SageMaker, Bedrock and Vertex AI, for which the gateway has tokens of its own.

use std::collections::BTreeSet;

use http::StatusCode;
use roadstead_clouds::bedrock::BedrockSettings;
use roadstead_clouds::record::Exchange;
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET, SageMakerSettings};
use roadstead_clouds::vertex_ai::{PROJECT, VertexAiSettings};
use roadstead_clouds::{CloudSettings, Clouds};
use serde_json::{Value, json};

use crate::asking::{Asking, ask, caller};
use crate::caller::Caller;
use crate::hub::Hub;
use crate::operator::{serves_on, target};
use crate::tokens::strangers;

/// A fake whose creations take a few seconds. Its clock is the machine's, by which tokens are signed.
async fn clouds() -> Clouds {
    let sagemaker = SageMakerSettings {
        creating_seconds: 2,
        updating_seconds: 2,
        deleting_seconds: 1,
        ..SageMakerSettings::default()
    };
    let vertex_ai = VertexAiSettings {
        uploading_seconds: 1,
        creating_seconds: 1,
        deploying_seconds: 2,
        undeploying_seconds: 1,
        deleting_seconds: 1,
        token_seconds: TOKEN_SECONDS,
        ..VertexAiSettings::default()
    };
    let bedrock = BedrockSettings { importing_seconds: 1, waking_seconds: 2, ..BedrockSettings::default() };
    Clouds::start(CloudSettings { pace: 1, sagemaker, vertex_ai, bedrock, ..CloudSettings::default() }).await.unwrap()
}

/// Life of Vertex AI's tokens.
const TOKEN_SECONDS: u32 = 16;

fn vertex_target() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "netherlands"},
        "spec": {
            "cloud": "gcp", "region": "europe-west4", "type": "VertexAI", "allowedNamespaces": {},
            "vertexAI": {
                "project": PROJECT,
                "imageMirrors": [{"source": "vllm/", "mirror": format!("europe-west4-docker.pkg.dev/{PROJECT}/images/")}],
            },
            "offers": [{"name": "a3", "instanceType": "a3-highgpu-8g", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "101.00", "maxInstances": 4}],
        },
    })
}

/// The distinct credentials with which requests of callers reached Vertex AI's endpoints.
fn credentials_at_vertex(clouds: &Clouds) -> BTreeSet<String> {
    let is_chat = |exchange: &Exchange| exchange.target.ends_with("/invoke/v1/chat/completions");
    let calls = clouds.requests_after(0).into_iter().filter(is_chat);
    let headers = calls.flat_map(|exchange| exchange.headers);
    headers.filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect()
}

fn variables(clouds: &Clouds) -> [(&'static str, String); 4] {
    [
        ("AWS_ENDPOINT_URL", clouds.urls.sagemaker.clone()),
        ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", KEY_SECRET.to_owned()),
        ("GCE_METADATA_HOST", clouds.urls.vertex_ai.strip_prefix("http://").unwrap().to_owned()),
    ]
}

fn sagemaker_target() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "ireland"},
        "spec": {
            "cloud": "aws", "region": "eu-west-1", "type": "SageMaker", "allowedNamespaces": {},
            "sageMaker": {
                "accountID": ACCOUNT, "executionRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/containers"),
                "imageMirrors": [{"source": "vllm/vllm-openai",
                                  "mirror": format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/vllm")}],
            },
            "offers": [{"name": "p5", "instanceType": "ml.p5.48xlarge", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "63.30", "maxInstances": 4}],
        },
    })
}

fn bedrock_target() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "frankfurt"},
        "spec": {
            "cloud": "aws", "region": "eu-central-1", "type": "Bedrock", "allowedNamespaces": {},
            "bedrock": {
                "accountID": ACCOUNT, "importRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/imports"),
                "modelMirrors": [{"source": "hf://example/", "mirror": "s3://weights/"}],
            },
            "offers": [{"name": "copy", "instanceType": "model-copy", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "60.00", "maxInstances": 4}],
        },
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team"},
        "spec": {
            "model": {"source": "hf://example/llama"},
            // Long: an endpoint that goes sooner goes because gateways said that nothing is in flight.
            "serving": {"engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "drainTimeoutSeconds": 3600,
                        "shapes": [{"name": "eight", "accelerator": {"type": "H100", "count": 8}}]},
        },
    })
}

/// Edits the regions in which the deployment may not be.
fn deny(hub: &Hub, regions: &str) {
    let rule = json!({"spec": {"placement": {"regions": {"deny": [regions]}}}}).to_string();
    hub.kubectl(&["patch", "mdep", "llama", "-n", "team", "--type=merge", "-p", &rule]);
}

/// The distinct credentials that reached SageMaker's endpoints.
fn credentials(clouds: &Clouds) -> BTreeSet<String> {
    let calls = clouds.requests_after(0).into_iter().filter(|exchange| exchange.operation == "CallWithBearerToken");
    let headers = calls.flat_map(|exchange| exchange.headers);
    headers.filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect()
}

/// The route of the one deployment, as the hub has it.
fn route(hub: &Hub) -> String {
    let namespace = hub.gateway.namespace.as_str();
    let of_deployments = "jsonpath={.items[?(@.type=='roadstead.dev/route')].data.route}";
    let encoded = hub.kubectl(&["get", "secrets", "-n", namespace, "-o", of_deployments]);
    String::from_utf8(data_encoding::BASE64.decode(encoded.trim().as_bytes()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_moves_from_a_cluster_to_a_service_and_back_and_no_request_is_lost() {
    let clouds = clouds().await;
    let overridden = format!("--endpoint-override=SageMaker={}", clouds.urls.sagemaker);
    let hub = Hub::start_as(&[overridden], &variables(&clouds)).await;
    hub.kubectl(&["create", "namespace", "team"]);
    hub.apply(&target("east", "aws", "us-east-1", "40.00"));
    hub.apply(&sagemaker_target());
    hub.apply(&deployment());
    let placed = hub.until("it serves on the cluster", |status| serves_on(status, "east")).await;
    let caller = caller(&hub, &placed).await;
    let asking = Asking::start(&caller);

    deny(&hub, "us-*");
    let there = hub.until("it serves at SageMaker", |status| serves_on(status, "ireland")).await;
    assert_eq!(there["status"]["url"], placed["status"]["url"]);
    let route = route(&hub);
    assert!(route.contains("eu-west-1") && !route.contains("sagemaker-api-key"), "no token is on the hub: {route}");
    // Tokens of the operator's probes, which live for minutes, and of the gateway.
    assert!(credentials(&clouds).iter().all(|value| value.starts_with("Bearer sagemaker-api-key-")));

    deny(&hub, "eu-*");
    hub.until("it serves on the cluster again", |status| serves_on(status, "east")).await;
    let answers = asking.end().await;
    let at_east = |answer: &String| answer.contains("at east");
    assert!(at_east(answers.first().unwrap()) && at_east(answers.last().unwrap()));
    assert!(!answers.iter().all(at_east), "SageMaker's endpoint answered meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_moves_to_bedrock_where_its_model_is_woken_first_and_no_request_is_lost() {
    let clouds = clouds().await;
    let overridden = format!("--endpoint-override=Bedrock={}", clouds.urls.bedrock);
    let hub = Hub::start_as(&[overridden], &variables(&clouds)).await;
    hub.kubectl(&["create", "namespace", "team"]);
    hub.apply(&target("east", "aws", "us-east-1", "40.00"));
    hub.apply(&bedrock_target());
    hub.apply(&deployment());
    let placed = hub.until("it serves on the cluster", |status| serves_on(status, "east")).await;
    let caller = caller(&hub, &placed).await;
    let asking = Asking::start(&caller);

    deny(&hub, "us-*");
    hub.until("it serves at Bedrock", |status| serves_on(status, "frankfurt")).await;
    let answers = asking.end().await;
    assert!(answers.first().unwrap().contains("at east"));
    let chat = json!({"model": "llama", "messages": [], "max_tokens": 2, "stream": true});
    let stream = caller.post("/team/llama/v1/chat/completions", &chat).await.body;
    assert!(stream.starts_with("data: {") && stream.ends_with("data: [DONE]\n\n"), "{stream}");
    assert!(!stream.contains("at east") && stream.contains("\"model\":\"llama\""), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_moves_to_another_service_whose_tokens_are_renewed_while_the_operator_is_away() {
    let clouds = clouds().await;
    let overridden = [
        format!("--endpoint-override=SageMaker={}", clouds.urls.sagemaker),
        format!("--endpoint-override=VertexAI={}", clouds.urls.vertex_ai),
    ];
    let mut hub = Hub::start_as(&overridden, &variables(&clouds)).await;
    hub.kubectl(&["create", "namespace", "team"]);
    hub.apply(&sagemaker_target());
    hub.apply(&vertex_target());
    hub.apply(&deployment());
    let placed = hub.until("it serves at SageMaker, which is cheaper", |status| serves_on(status, "ireland")).await;
    let asking = Asking::start(&caller(&hub, &placed).await);

    deny(&hub, "eu-*");
    hub.until("it serves at Vertex AI", |status| serves_on(status, "netherlands")).await;
    hub.kill_operator();
    let known = credentials_at_vertex(&clouds);
    hub.gateway
        .until("its tokens are renewed", async |_| credentials_at_vertex(&clouds).difference(&known).count() == 2)
        .await;
    let answers = asking.end().await;
    assert!(answers.len() > 100, "{}", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_says_that_the_gateways_have_no_token_for_it() {
    let clouds = clouds().await;
    let hub = Hub::start_as(&[format!("--endpoint-override=SageMaker={}", clouds.urls.sagemaker)], &strangers()).await;
    hub.kubectl(&["create", "namespace", "team"]);
    // The operator has a key, and the gateway nothing.
    let key = json!({"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY_SECRET});
    hub.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aws", "namespace": "default"}, "stringData": key}));
    let mut target = sagemaker_target();
    target["spec"]["sageMaker"]["credentialsSecretRef"] = json!({"name": "aws"});
    hub.apply(&target);
    hub.apply(&deployment());
    let placed = hub.until("it is placed", |status| serves_on(status, "ireland") && status["url"].is_string()).await;
    let ready = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')]}";
    hub.until("its endpoint says what the gateways lack", |_| {
        let ready = hub.kubectl(&["get", "iep", "-n", "team", "-o", ready]);
        ready.contains("GatewayTokenMissing") && ready.contains("cannot mint the token")
    })
    .await;
    let key = hub.key(placed["status"]["keysSecretName"].as_str().unwrap(), "default");
    let answer = ask(&Caller::new(hub.gateway.address, Some(&key))).await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("no_endpoint"))
    );
}
