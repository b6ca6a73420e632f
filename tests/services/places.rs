//! The places of these tests: fakes of services, a simulated place, their targets and Secrets, and a deployment for them.

use roadstead_clouds::azure::{
    AzureSettings, CLIENT, LOCATION, RESOURCE_GROUP, SECRET, SUBSCRIPTION, TENANT, WORKSPACE,
};
use roadstead_clouds::azure_openai::{AzureOpenAiSettings, CATALOG_MODEL, COGNITIVE_ACCOUNT};
use roadstead_clouds::baseten::{BasetenSettings, KEY};
use roadstead_clouds::bedrock::{BedrockSettings, FOUNDATION};
use roadstead_clouds::digital_ocean::{DigitalOceanSettings, GpuSize, OceanModel, TOKEN as OCEAN_TOKEN};
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::hosted::{KEY as VENDOR_KEY, MODEL as VENDOR_MODEL, VendorSettings};
use roadstead_clouds::hugging_face::{Hardware, HuggingFaceSettings, NAMESPACE, TOKEN};
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET, SageMakerSettings};
use roadstead_clouds::vertex_ai::{PROJECT, ServiceAccount, VertexAiSettings, WORKLOAD};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use serde_json::{Value, json};

use super::stage::{SYSTEM, TEAM};

/// The deployment of most tests.
pub const LLAMA: (&str, &str, &str) = ("mdep", TEAM, "llama");
/// The target at SageMaker.
pub const SAGEMAKER: (&str, &str, &str) = ("servingtarget", "", "ireland");
/// The target at Hugging Face.
pub const HUGGING_FACE: (&str, &str, &str) = ("servingtarget", "", "hub");
/// The target at Vertex AI.
pub const VERTEX_AI: (&str, &str, &str) = ("servingtarget", "", "europe");
/// The target at Baseten.
pub const BASETEN: (&str, &str, &str) = ("servingtarget", "", "baseten");
/// The target at Bedrock.
pub const BEDROCK: (&str, &str, &str) = ("servingtarget", "", "frankfurt");
/// The target with provisioned throughput at Bedrock.
pub const THROUGHPUT: (&str, &str, &str) = ("servingtarget", "", "hesse");
/// The target at Azure ML.
pub const AZURE_ML: (&str, &str, &str) = ("servingtarget", "", "amsterdam");
/// The target at Azure OpenAI.
pub const AZURE_OPENAI: (&str, &str, &str) = ("servingtarget", "", "zone");
/// GPUs of the target at `DigitalOcean`.
const OCEAN_GPU: &str = "gpu-h100x8-640gb";
/// Name of the model there.
pub const OCEAN_SLUG: &str = "llama-large";
/// The target at `DigitalOcean`.
pub const DIGITAL_OCEAN: (&str, &str, &str) = ("servingtarget", "", "ocean");
/// The simulated target, which stands for a cluster.
pub const SIMULATED: (&str, &str, &str) = ("servingtarget", "", "iowa");

/// The account that the operator acts as in Google Cloud.
const ACTING_AS: &str = "roadstead@other.iam.gserviceaccount.com";

/// Fakes whose creations take a few seconds. Their clock is the machine's, by which the operator dates the tokens of its
/// probes.
pub async fn clouds() -> anyhow::Result<Clouds> {
    let sagemaker = SageMakerSettings {
        creating_seconds: 2,
        updating_seconds: 2,
        deleting_seconds: 1,
        ..SageMakerSettings::default()
    };
    let mut hugging_face =
        HuggingFaceSettings { pending_seconds: 1, initializing_seconds: 1, updating_seconds: 1, ..Default::default() };
    hugging_face.hardware.push(Hardware {
        vendor: "aws".to_owned(),
        region: "eu-west-1".to_owned(),
        accelerator: "gpu".to_owned(),
        instance_type: "nvidia-h100".to_owned(),
        instance_size: "x8".to_owned(),
        num_accelerators: 8,
        gpu_memory_gb: 640,
        price_per_hour: 80.0,
        status: "available".to_owned(),
        max_accelerators: 64,
    });
    let vertex_ai = VertexAiSettings {
        uploading_seconds: 1,
        creating_seconds: 1,
        deploying_seconds: 2,
        mutating_seconds: 1,
        undeploying_seconds: 1,
        deleting_seconds: 1,
        accounts: vec![ServiceAccount {
            email: ACTING_AS.to_owned(),
            public_key: String::new(),
            impersonated_by: vec![WORKLOAD.to_owned()],
        }],
        ..VertexAiSettings::default()
    };
    let baseten =
        BasetenSettings { building_seconds: 1, deploying_seconds: 1, loading_seconds: 1, ..BasetenSettings::default() };
    let azure = AzureSettings {
        creating_seconds: 1,
        updating_seconds: 1,
        deploying_seconds: 2,
        scaling_seconds: 1,
        deleting_seconds: 1,
        ..AzureSettings::default()
    };
    let azure_openai = AzureOpenAiSettings {
        deploying_seconds: 1,
        updating_seconds: 1,
        deleting_seconds: 1,
        ..AzureOpenAiSettings::default()
    };
    let digital_ocean = DigitalOceanSettings {
        new_seconds: 1,
        provisioning_seconds: 2,
        deleting_seconds: 1,
        sizes: vec![GpuSize {
            slug: OCEAN_GPU.to_owned(),
            region: "tor1".to_owned(),
            price_per_hour: "23.92".to_owned(),
        }],
        models: vec![OceanModel { slug: OCEAN_SLUG.to_owned(), gpus: vec![OCEAN_GPU.to_owned()], gated: false }],
        ..DigitalOceanSettings::default()
    };
    Clouds::start(CloudSettings {
        pace: 1,
        sagemaker,
        hugging_face,
        vertex_ai,
        azure,
        azure_openai,
        baseten,
        bedrock: BedrockSettings { importing_seconds: 2, provisioning_seconds: 2, ..BedrockSettings::default() },
        digital_ocean,
        hosted: VendorSettings::default(),
    })
    .await
}

/// Options by which the operator reaches the fakes.
pub fn overrides(clouds: &Clouds) -> Vec<String> {
    vec![
        format!("--endpoint-override=SageMaker={}", clouds.urls.sagemaker),
        format!("--endpoint-override=HuggingFace={}", clouds.urls.hugging_face),
        format!("--endpoint-override=VertexAI={}", clouds.urls.vertex_ai),
        format!("--endpoint-override=AzureML={}", clouds.urls.azure),
        format!("--endpoint-override=AzureOpenAI={}", clouds.urls.azure_openai),
        format!("--endpoint-override=Baseten={}", clouds.urls.baseten),
        format!("--endpoint-override=Bedrock={}", clouds.urls.bedrock),
        format!("--endpoint-override=DigitalOcean={}", clouds.urls.digital_ocean),
        format!("--endpoint-override=OpenAICompatible={}/v1", clouds.urls.hosted),
    ]
}

/// The Secret with the credentials of AWS.
pub fn aws_key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aws", "namespace": SYSTEM},
        "stringData": {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY_SECRET},
    })
}

/// The target at SageMaker: 63.30 dollars for an hour of eight accelerators in Ireland.
pub fn sagemaker() -> Value {
    let parameters = json!({
        "accountID": ACCOUNT, "executionRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/containers"),
        "credentialsSecretRef": {"name": "aws"},
        "imageMirrors": [{"source": "vllm/vllm-openai",
                          "mirror": format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/vllm")}],
    });
    target(SAGEMAKER.2, ("aws", "eu-west-1"), ("SageMaker", "sageMaker", parameters), ("ml.p5.48xlarge", "63.30"))
}

/// The target at Bedrock: 27.45 dollars for an hour of a copy of the model in Germany.
pub fn bedrock() -> Value {
    let parameters = json!({
        "accountID": ACCOUNT, "importRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/imports"),
        "credentialsSecretRef": {"name": "aws"},
        "modelMirrors": [{"source": "hf://example/", "mirror": "s3://weights/example/"}],
    });
    target(BEDROCK.2, ("aws", "eu-central-1"), ("Bedrock", "bedrock", parameters), ("model-copy", "27.45"))
}

/// The target with provisioned throughput at Bedrock: 24 dollars for an hour of two model units in Germany.
pub fn throughput() -> Value {
    let parameters = json!({
        "accountID": ACCOUNT, "credentialsSecretRef": {"name": "aws"},
        "models": [{"source": "hf://example/llama", "modelID": FOUNDATION}],
    });
    let of = ("Bedrock", "bedrock", parameters);
    let mut target = target(THROUGHPUT.2, ("aws", "eu-central-1"), of, ("model-unit", "24.00"));
    target["spec"]["offers"][0]["accelerator"] = json!({"type": "MU", "count": 2});
    target
}

/// The Secret with the token of Hugging Face.
pub fn hugging_face_key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "huggingface", "namespace": SYSTEM},
        "stringData": {"token": TOKEN},
    })
}

/// The target at Hugging Face: 80 dollars for an hour of eight accelerators in Ireland.
pub fn hugging_face() -> Value {
    let parameters = json!({"owner": NAMESPACE, "tokenSecretRef": {"name": "huggingface", "key": "token"}});
    let of = ("HuggingFace", "huggingFace", parameters);
    target(HUGGING_FACE.2, ("aws", "eu-west-1"), of, ("nvidia-h100-x8", "80.00"))
}

/// The target at Vertex AI: 101 dollars for an hour of eight accelerators in the Netherlands.
pub fn vertex_ai() -> Value {
    let parameters = json!({
        "project": PROJECT, "impersonateServiceAccount": ACTING_AS,
        "imageMirrors": [{"source": "vllm/", "mirror": format!("europe-west4-docker.pkg.dev/{PROJECT}/images/")}],
    });
    let of = ("VertexAI", "vertexAI", parameters);
    target(VERTEX_AI.2, ("gcp", "europe-west4"), of, ("a3-highgpu-8g", "101.00"))
}

/// The Secret with the API key of Baseten.
pub fn baseten_key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "baseten", "namespace": SYSTEM},
        "stringData": {"key": KEY},
    })
}

/// The target at Baseten: 60 dollars for an hour of eight accelerators in the EU.
pub fn baseten() -> Value {
    let parameters = json!({"apiKeySecretRef": {"name": "baseten", "key": "key"}});
    let of = ("Baseten", "baseten", parameters);
    let mut target = target(BASETEN.2, ("baseten", "eu-west"), of, ("H100x8", "60.00"));
    target["spec"]["location"] = json!({"country": "IE", "jurisdictions": ["EU"]});
    target
}

/// The Secret with the token of `DigitalOcean`.
pub fn digital_ocean_key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "digitalocean", "namespace": SYSTEM},
        "stringData": {"token": OCEAN_TOKEN},
    })
}

/// The target at `DigitalOcean`: 24 dollars for an hour of eight accelerators in Canada, where the model has another name.
pub fn digital_ocean() -> Value {
    let parameters = json!({
        "vpcUUID": "997615ce-132d-4bae-9270-9ee21b395e5d",
        "tokenSecretRef": {"name": "digitalocean", "key": "token"},
        "models": [{"source": "hf://example/llama", "slug": OCEAN_SLUG}],
    });
    let of = ("DigitalOcean", "digitalOcean", parameters);
    target(DIGITAL_OCEAN.2, ("digitalocean", "tor1"), of, (OCEAN_GPU, "24.00"))
}

/// The Secret with the credentials of Azure.
pub fn azure_key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "azure", "namespace": SYSTEM},
        "stringData": {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET},
    })
}

/// The target at Azure ML: 98 dollars for an hour of eight accelerators in the Netherlands.
pub fn azure_ml() -> Value {
    let parameters = json!({
        "subscriptionID": SUBSCRIPTION, "resourceGroup": RESOURCE_GROUP, "workspace": WORKSPACE,
        "credentialsSecretRef": {"name": "azure"},
    });
    let of = ("AzureML", "azureML", parameters);
    target(AZURE_ML.2, ("azure", LOCATION), of, ("Standard_ND96isr_H100_v5", "98.00"))
}

/// The target at Azure OpenAI: 2 dollars for an hour of a provisioned unit in the EU's data zone.
pub fn azure_openai() -> Value {
    let [format, model, version] = CATALOG_MODEL;
    let parameters = json!({
        "subscriptionID": SUBSCRIPTION, "resourceGroup": RESOURCE_GROUP, "account": COGNITIVE_ACCOUNT,
        "credentialsSecretRef": {"name": "azure"},
        "models": [{"source": "hf://example/llama", "format": format, "name": model, "version": version}],
    });
    let of = ("AzureOpenAI", "azureOpenAI", parameters);
    let mut target = target(AZURE_OPENAI.2, ("azure", "datazone-eu"), of, ("DataZoneProvisionedManaged", "16.00"));
    target["spec"]["offers"][0]["accelerator"]["type"] = json!("PTU");
    target
}

/// The Secret with the key of a hosted vendor.
pub fn hosted_key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vendor", "namespace": SYSTEM},
        "stringData": {"apiKey": VENDOR_KEY},
    })
}

/// A hosted vendor.
pub fn hosted() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "vendor"},
        "spec": {
            "cloud": "vendor", "region": "global", "location": {"country": "US", "jurisdictions": ["US"]},
            "type": "OpenAICompatible", "allowedNamespaces": {},
            "openAICompatible": {
                "baseURL": "https://api.vendor.example/v1", "keySecretRef": {"name": "vendor", "key": "apiKey"},
                "models": [{"name": VENDOR_MODEL, "inputPrice": "1.00", "outputPrice": "2.00"}],
            },
        },
    })
}

/// The simulated target: 40 dollars for an hour of eight accelerators in Iowa.
pub fn simulated() -> Value {
    let of = ("Simulated", "simulated", json!({"startupSeconds": 1}));
    target(SIMULATED.2, ("gcp", "us-central1"), of, ("a3-highgpu-8g", "40.00"))
}

fn target(
    name: &str,
    (cloud, region): (&str, &str),
    (type_, field, parameters): (&str, &str, Value),
    (instance, price): (&str, &str),
) -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
        "metadata": {"name": name, "labels": {"place": name}},
        "spec": {
            "cloud": cloud, "region": region, "type": type_, field: parameters, "allowedNamespaces": {},
            "offers": [{"name": "h100", "instanceType": instance, "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": price, "maxInstances": 4}],
        },
    })
}

/// A deployment of one replica with so many accelerators, in the EU.
pub fn deployment(accelerators: u32) -> Value {
    let left_out = ["AzureOpenAI", "Bedrock", "DigitalOcean"].map(|type_| json!({"type": type_, "omit": ["Args"]}));
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": LLAMA.2, "namespace": TEAM},
        "spec": {
            "model": {"source": "hf://example/llama"},
            "serving": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "drainTimeoutSeconds": 1,
                "args": ["--max-model-len=4096"],
                "overrides": left_out,
                "shapes": [{"name": "h100", "accelerator": {"type": "H100", "count": accelerators}}],
            },
            "placement": {"jurisdictions": ["EU"]},
        },
    })
}

/// The deployment, which may also run on eight provisioned units.
pub fn deployment_of_units() -> Value {
    let mut deployment = deployment(8);
    let provisioned = json!({"name": "units", "accelerator": {"type": "PTU", "count": 8}});
    let units = json!({"name": "model-units", "accelerator": {"type": "MU", "count": 2}});
    if let Some(shapes) = deployment["spec"]["serving"]["shapes"].as_array_mut() {
        shapes.extend([provisioned, units]);
    }
    deployment
}

/// Numbers of endpoints, configurations and models that exist at SageMaker, in all regions.
pub fn held(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::SageMaker);
    let regions = state.as_array().cloned().unwrap_or_default();
    ["endpoints", "configs", "models"].map(|kind| {
        let of_region = |region: &Value| region[kind].as_array().map_or(0, Vec::len);
        regions.iter().map(of_region).sum()
    })
}

/// Numbers of endpoints, deployed models and models that exist at Vertex AI, without the claim of the hub.
pub fn held_at_vertex_ai(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::VertexAi);
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let endpoints = all(&state[0]["endpoints"]);
    let own: Vec<&Value> =
        endpoints.iter().filter(|endpoint| !endpoint["name"].to_string().contains("claim")).collect();
    let deployed = own.iter().map(|endpoint| all(&endpoint["deployed"]).len()).sum();
    [own.len(), deployed, all(&state[0]["models"]).len()]
}

/// Numbers of endpoints, their deployments and the deployments that take requests at Azure ML.
pub fn held_at_azure_ml(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::Azure);
    let endpoints = state["endpoints"].as_array().cloned().unwrap_or_default();
    let count = |member: &str| -> usize {
        let of = |endpoint: &Value| match &endpoint[member] {
            Value::Array(all) => all.len(),
            Value::Object(all) => all.len(),
            _ => 0,
        };
        endpoints.iter().map(of).sum()
    };
    [endpoints.len(), count("deployments"), count("traffic")]
}

/// Numbers of provisioned throughputs and of their model units at Bedrock.
pub fn held_of_throughput(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::Bedrock);
    let throughputs = state[0]["throughputs"].as_array().cloned().unwrap_or_default();
    let units = throughputs.iter().filter_map(|one| one["units"].as_u64()).sum::<u64>();
    [throughputs.len(), usize::try_from(units).unwrap_or(usize::MAX), 0]
}

/// Number of imported models and of imports at work at Bedrock.
pub fn held_at_bedrock(clouds: &Clouds) -> usize {
    let state = clouds.state(ServiceName::Bedrock);
    ["models", "jobs"].iter().map(|list| state[0][list].as_array().map_or(0, Vec::len)).sum()
}

/// Numbers of deployments and of their units that exist at Azure OpenAI.
pub fn held_at_azure_openai(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::AzureOpenAi);
    let deployments = state["deployments"].as_array().cloned().unwrap_or_default();
    let units = deployments.iter().filter_map(|one| one["sku"]["capacity"].as_u64()).sum::<u64>();
    [deployments.len(), usize::try_from(units).unwrap_or(usize::MAX), 0]
}

/// Number of endpoints that exist at Hugging Face.
pub fn held_at_hugging_face(clouds: &Clouds) -> usize {
    clouds.state(ServiceName::HuggingFace)["endpoints"].as_array().map_or(0, Vec::len)
}

/// Number of replicas that are billed at Hugging Face.
pub fn billed_at_hugging_face(clouds: &Clouds) -> u64 {
    let state = clouds.state(ServiceName::HuggingFace);
    state["endpoints"].as_array().into_iter().flatten().filter_map(|one| one["billedReplicas"].as_u64()).sum()
}

/// Number of replicas that are billed at Baseten.
pub fn billed_at_baseten(clouds: &Clouds) -> u64 {
    let state = clouds.state(ServiceName::Baseten);
    let models = state["models"].as_array().into_iter().flatten();
    let deployments = models.flat_map(|model| model["deployments"].as_array().into_iter().flatten());
    deployments.filter_map(|one| one["billedReplicas"].as_u64()).sum()
}

/// Numbers of models and deployments that exist at Baseten, and whether keys of them do.
pub fn held_at_baseten(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::Baseten);
    let models = state["models"].as_array().cloned().unwrap_or_default();
    let deployments = models.iter().map(|model| model["deployments"].as_array().map_or(0, Vec::len)).sum();
    [models.len(), deployments, usize::from(state["keys"] != 0)]
}

/// Numbers of instances that exist at `DigitalOcean`, and of GPU instances that are billed.
pub fn held_at_digital_ocean(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::DigitalOcean);
    let instances = state["instances"].as_array().cloned().unwrap_or_default();
    let billed: u64 = instances.iter().filter_map(|instance| instance["billedGpus"].as_u64()).sum();
    [instances.len(), usize::try_from(billed).unwrap_or(usize::MAX), 0]
}

/// A fault of the next `times` calls of an operation, or of all.
pub fn fault(service: ServiceName, operation: &str, times: Option<u32>, effect: Effect) -> ScriptedFault {
    ScriptedFault { service, operation: operation.to_owned(), skip: 0, times, effect }
}
