//! Services that guard their endpoints by a key of each: Baseten, `DigitalOcean` and Azure ML behind one address.

use roadstead_clouds::azure::{
    AzureSettings, CLIENT, LOCATION, RESOURCE_GROUP, SECRET, SUBSCRIPTION, TENANT, WORKSPACE,
};
use roadstead_clouds::baseten::{BasetenSettings, KEY};
use roadstead_clouds::digital_ocean::{DigitalOceanSettings, GpuSize, OceanModel, TOKEN};
use roadstead_clouds::{CloudSettings, Clouds};
use serde_json::{Value, json};

use crate::asking::{Asking, caller};
use crate::hub::Hub;
use crate::operator::serves_on;

/// Name of the model at `DigitalOcean`.
const SLUG: &str = "llama-large";
const GPU: &str = "gpu-h100x8-640gb";

/// Fakes whose creations take a few seconds.
async fn clouds() -> Clouds {
    let baseten =
        BasetenSettings { building_seconds: 1, deploying_seconds: 1, loading_seconds: 1, ..BasetenSettings::default() };
    let (slug, region, price_per_hour) = (GPU.to_owned(), "tor1".to_owned(), "24.00".to_owned());
    let digital_ocean = DigitalOceanSettings {
        new_seconds: 1,
        provisioning_seconds: 2,
        deleting_seconds: 1,
        sizes: vec![GpuSize { slug, region, price_per_hour }],
        models: vec![OceanModel { slug: SLUG.to_owned(), gpus: vec![GPU.to_owned()], gated: false }],
        ..DigitalOceanSettings::default()
    };
    let azure = AzureSettings {
        creating_seconds: 1,
        updating_seconds: 1,
        deploying_seconds: 2,
        scaling_seconds: 1,
        deleting_seconds: 1,
        ..AzureSettings::default()
    };
    let settings = CloudSettings { pace: 1, baseten, digital_ocean, azure, ..CloudSettings::default() };
    Clouds::start(settings).await.unwrap()
}

/// A target that offers eight accelerators at this price.
fn target(place: [&str; 3], (type_, field, settings): (&str, &str, Value), (instance, price): (&str, &str)) -> Value {
    let [name, cloud, region] = place;
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
        "spec": {
            "cloud": cloud, "region": region, "type": type_, field: settings, "allowedNamespaces": {},
            "offers": [{"name": "eight", "instanceType": instance, "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": price, "maxInstances": 4}],
        },
    })
}

fn targets() -> [Value; 3] {
    let key = |name: &str| json!({"name": name, "key": "key"});
    let baseten = json!({"apiKeySecretRef": key("baseten")});
    let ocean = json!({
        "vpcUUID": "997615ce-132d-4bae-9270-9ee21b395e5d", "tokenSecretRef": key("ocean"),
        "models": [{"source": "hf://example/llama", "slug": SLUG}],
    });
    let azure = json!({
        "subscriptionID": SUBSCRIPTION, "resourceGroup": RESOURCE_GROUP, "workspace": WORKSPACE,
        "credentialsSecretRef": {"name": "azure"},
    });
    [
        target(["baseten", "baseten", "eu-west"], ("Baseten", "baseten", baseten), ("H100x8", "20.00")),
        target(["ocean", "digitalocean", "tor1"], ("DigitalOcean", "digitalOcean", ocean), (GPU, "24.00")),
        target(["azure", "azure", LOCATION], ("AzureML", "azureML", azure), ("Standard_ND96isr_H100_v5", "98.00")),
    ]
}

fn secrets() -> [Value; 3] {
    let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "stringData": data});
    [
        secret("baseten", json!({"key": KEY})),
        secret("ocean", json!({"key": TOKEN})),
        secret("azure", json!({"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET})),
    ]
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

/// Number of callers' requests that `DigitalOcean`'s endpoint got, with its own name of the model.
fn requests_at_digital_ocean(clouds: &Clouds) -> usize {
    // As callers send it; the operator's probes have messages.
    let renamed = json!({"model": SLUG, "messages": []});
    let is_one = |body: &str| serde_json::from_str::<Value>(body).is_ok_and(|body| body == renamed);
    clouds.requests_after(0).iter().filter(|asked| asked.operation == "traffic" && is_one(&asked.body)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_moves_between_services_with_keys_and_a_model_of_another_name_and_no_request_is_lost() {
    let clouds = clouds().await;
    let overridden = [
        format!("--endpoint-override=Baseten={}", clouds.urls.baseten),
        format!("--endpoint-override=DigitalOcean={}", clouds.urls.digital_ocean),
        format!("--endpoint-override=AzureML={}", clouds.urls.azure),
    ];
    let hub = Hub::start_as(&overridden, &[]).await;
    hub.kubectl(&["create", "namespace", "team"]);
    secrets().iter().chain(&targets()).for_each(|object| hub.apply(object));
    hub.apply(&deployment());
    let placed = hub.until("it serves at Baseten, the cheapest", |status| serves_on(status, "baseten")).await;
    let asking = Asking::start(&caller(&hub, &placed).await);

    let mut denied = Vec::new();
    for (region, next) in [("eu-west", "ocean"), ("tor1", "azure")] {
        denied.push(region);
        let rule = json!({"spec": {"placement": {"regions": {"deny": denied}}}}).to_string();
        hub.kubectl(&["patch", "mdep", "llama", "-n", "team", "--type=merge", "-p", &rule]);
        let moved = hub.until(next, |status| serves_on(status, next)).await;
        assert_eq!(moved["status"]["url"], placed["status"]["url"]);
    }
    let answers = asking.end().await;
    assert!(requests_at_digital_ocean(&clouds) > 0, "none was asked by DigitalOcean's name of the model");
    for answer in &answers {
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["model"], "llama", "callers see the deployment's own name: {answer}");
    }
}
