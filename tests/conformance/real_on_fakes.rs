//! The run on a real service, on fakes: this program once more as a process, with its settings in the environment.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use roadstead_clouds::azure_openai::{CATALOG_MODEL, COGNITIVE_ACCOUNT};
use roadstead_clouds::{
    CloudSettings, Clouds, ServiceName, azure, baseten, digital_ocean, hugging_face, sagemaker, vertex_ai,
};
use roadstead_conformance::{CASES, Conduct};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::real::TARGET;
use crate::{azureml as azure_ml, azureopenai as azure_openai, bedrock, sagemaker as accounts, vertex};

/// Seconds of a service in one of the machine.
const PACE: u32 = 600;
/// Time by which fakes without a pace are set forward every 50 ms.
const TICK: Duration = Duration::from_secs(5);
/// A model that the fakes with a catalogue know.
const MODEL: &str = "hf://example/llama";
/// One case that makes an endpoint and waits until it serves.
const ONE: &str = "creates_what_is_wanted";

/// A run against the address of a fake.
struct Run {
    folder: TempDir,
    url: String,
    credentials: Vec<(&'static str, String)>,
}

impl Run {
    fn of(type_: &str, url: &str, spec: &Value, credentials: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let mut target = json!({"apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "real"}, "spec": spec});
        target["spec"]["type"] = json!(type_);
        std::fs::write(folder.path().join("target.yaml"), target.to_string())?;
        let credentials = credentials.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Ok(Self { folder, url: url.to_owned(), credentials })
    }

    fn start(&self, settings: &[(&str, &str)]) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(TARGET, self.folder.path().join("target.yaml")).env("ROADSTEAD_REAL_URL", &self.url);
        command.env("ROADSTEAD_REAL_MODEL", MODEL);
        command.env("ROADSTEAD_REAL_CASE_SECONDS", "60").env("ROADSTEAD_REAL_PAUSE_SECONDS", "0.05");
        command.envs(self.credentials.iter().map(|(name, value)| (name, value)));
        command.envs(settings.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    async fn end(&self, settings: &[(&str, &str)]) -> anyhow::Result<(bool, String)> {
        let Output { status, stdout, stderr } = self.start(settings)?.wait_with_output().await?;
        let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        let secret =
            self.credentials.iter().find(|(name, value)| !name.ends_with("ID") && said.contains(value.as_str()));
        ensure!(secret.is_none(), "a credential is printed");
        Ok((status.success(), said))
    }
}

async fn clouds() -> anyhow::Result<Clouds> {
    Clouds::start(CloudSettings { pace: PACE, ..CloudSettings::default() }).await
}

fn of_hugging_face(clouds: &Clouds) -> anyhow::Result<Run> {
    let spec = json!({
        "cloud": "aws", "region": "eu-west-1",
        "huggingFace": {"owner": hugging_face::NAMESPACE, "tokenSecretRef": {"name": "hub", "key": "token"}},
        "offers": [{"name": "l4", "instanceType": "nvidia-l4-x1", "accelerator": {"type": "L4", "count": 1},
                    "capacityType": "OnDemand", "hourlyPrice": "0.80"}],
    });
    Run::of("HuggingFace", &clouds.urls.hugging_face, &spec, &[("HF_TOKEN", hugging_face::TOKEN)])
}

/// Endpoints that the fake of Hugging Face holds.
fn held(clouds: &Clouds) -> usize {
    clouds.state(ServiceName::HuggingFace)["endpoints"].as_array().map_or(0, Vec::len)
}

/// Every calm case passes, every other one is named, and what another installation has stays.
pub async fn calm_cases_pass_and_leave_only_what_others_have() -> anyhow::Result<()> {
    let clouds = clouds().await?;
    clouds.hugging_face.crowd(hugging_face::NAMESPACE, 1, crate::huggingface::crowd_form);
    let (passed, said) = of_hugging_face(&clouds)?.end(&[("ROADSTEAD_REAL_DOLLARS", "1000.00")]).await?;
    let disturbing: Vec<&str> = CASES.iter().filter(|case| case.disturbs).map(|case| case.name).collect();
    let calm = CASES.len() - disturbing.len();
    let tally = format!("{calm} passed, 0 failed, 0 not run, {} skipped", disturbing.len());
    ensure!(passed && said.contains(&tally), "{said}");
    for name in disturbing {
        ensure!(said.contains(&format!("{name} ... skipped")), "{name} is not named: {said}");
    }
    ensure!(held(&clouds) == 1, "{}", clouds.state(ServiceName::HuggingFace));
    Ok(())
}

/// A run that might exceed its limit makes nothing and fails.
pub async fn nothing_is_made_above_the_limit() -> anyhow::Result<()> {
    let clouds = clouds().await?;
    let (passed, said) = of_hugging_face(&clouds)?.end(&[("ROADSTEAD_REAL_DOLLARS", "0.01")]).await?;
    ensure!(!passed && said.contains("0 passed, 0 failed") && said.contains("may exceed the limit"), "{said}");
    let made = clouds.requests_after(0).iter().any(|one| one.operation == "create");
    ensure!(!made, "something was made: {said}");
    Ok(())
}

/// The sweep alone removes what a run left that was killed.
pub async fn a_sweep_removes_what_a_killed_run_left() -> anyhow::Result<()> {
    let clouds = clouds().await?;
    let run = of_hugging_face(&clouds)?;
    let mut child = run.start(&[("ROADSTEAD_REAL_DOLLARS", "1000.00"), ("ROADSTEAD_REAL_CASES", ONE)])?;
    while held(&clouds) == 0 {
        ensure!(child.try_wait()?.is_none(), "it ended without an endpoint");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child.kill().await.context("killing the run")?;
    ensure!(held(&clouds) == 1, "nothing is left");
    let (passed, said) = run.end(&[("ROADSTEAD_REAL_TASK", "sweep")]).await?;
    ensure!(passed && held(&clouds) == 0 && said.contains("removing"), "{said}");
    Ok(())
}

/// One offer of this instance type.
fn offer(instance: &str, (accelerator, count): (&str, u32)) -> Value {
    json!([{"name": "a3", "instanceType": instance, "accelerator": {"type": accelerator, "count": count},
            "capacityType": "OnDemand", "hourlyPrice": "1.00"}])
}

const ONE_H100: (&str, u32) = ("H100", 1);
const AWS_KEY: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", sagemaker::KEY_ID), ("AWS_SECRET_ACCESS_KEY", sagemaker::KEY_SECRET)];
const AZURE_KEY: [(&str, &str); 3] =
    [("AZURE_TENANT_ID", azure::TENANT), ("AZURE_CLIENT_ID", azure::CLIENT), ("AZURE_CLIENT_SECRET", azure::SECRET)];

fn of_azure_ml(clouds: &Clouds) -> anyhow::Result<Run> {
    let spec = json!({
        "cloud": "azure", "region": azure::LOCATION, "offers": offer("Standard_NC40ads_H100_v5", ONE_H100),
        "azureML": {"subscriptionID": azure::SUBSCRIPTION, "resourceGroup": azure::RESOURCE_GROUP,
                    "workspace": azure::WORKSPACE},
    });
    Run::of("AzureML", &clouds.urls.azure, &spec, &AZURE_KEY)
}

/// Units are sold by the fifteen.
fn of_azure_openai(clouds: &Clouds) -> anyhow::Result<Run> {
    let [format, name, version] = CATALOG_MODEL;
    let spec = json!({
        "cloud": "azure", "region": "global", "offers": offer("GlobalProvisionedManaged", ("PTU", 15)),
        "azureOpenAI": {"subscriptionID": azure::SUBSCRIPTION, "resourceGroup": azure::RESOURCE_GROUP,
                        "account": COGNITIVE_ACCOUNT,
                        "models": [{"source": MODEL, "format": format, "name": name, "version": version}]},
    });
    Run::of("AzureOpenAI", &clouds.urls.azure_openai, &spec, &AZURE_KEY)
}

fn of_baseten(clouds: &Clouds) -> anyhow::Result<Run> {
    let spec = json!({
        "cloud": "baseten", "region": "eu-west", "offers": offer("H100x1", ONE_H100),
        "baseten": {"apiKeySecretRef": {"name": "service", "key": "key"}},
    });
    Run::of("Baseten", &clouds.urls.baseten, &spec, &[("BASETEN_API_KEY", baseten::KEY)])
}

/// A copy of a model has as many accelerators as Bedrock chooses.
fn of_bedrock(clouds: &Clouds) -> anyhow::Result<Run> {
    let spec = json!({
        "cloud": "aws", "region": "us-east-1", "offers": offer("model-copy", ("H100", 8)),
        "bedrock": {"accountID": sagemaker::ACCOUNT,
                    "importRoleARN": format!("arn:aws:iam::{}:role/imports", sagemaker::ACCOUNT),
                    "modelMirrors": [{"source": "hf://example/", "mirror": "s3://weights/example/"}]},
    });
    Run::of("Bedrock", &clouds.urls.bedrock, &spec, &AWS_KEY)
}

/// The model has another name there.
fn of_digital_ocean(clouds: &Clouds) -> anyhow::Result<Run> {
    let spec = json!({
        "cloud": "digitalocean", "region": "atl1", "offers": offer("gpu-h100x1-80gb", ONE_H100),
        "digitalOcean": {"vpcUUID": "997615ce-132d-4bae-9270-9ee21b395e5d",
                         "tokenSecretRef": {"name": "service", "key": "key"},
                         "models": [{"source": MODEL, "slug": "mistral/mistral-7b-instruct-v3"}]},
    });
    Run::of("DigitalOcean", &clouds.urls.digital_ocean, &spec, &[("DIGITALOCEAN_TOKEN", digital_ocean::TOKEN)])
}

fn of_sagemaker(clouds: &Clouds) -> anyhow::Result<Run> {
    let mirror = format!("{}.dkr.ecr.eu-west-1.amazonaws.com/", sagemaker::ACCOUNT);
    let spec = json!({
        "cloud": "aws", "region": "eu-west-1", "offers": offer("ml.p5.4xlarge", ONE_H100),
        "sageMaker": {"accountID": sagemaker::ACCOUNT,
                      "executionRoleARN": format!("arn:aws:iam::{}:role/containers", sagemaker::ACCOUNT),
                      "imageMirrors": [{"source": "vllm/", "mirror": mirror}]},
    });
    Run::of("SageMaker", &clouds.urls.sagemaker, &spec, &AWS_KEY)
}

fn of_vertex_ai(clouds: &Clouds) -> anyhow::Result<Run> {
    let registry = format!("europe-west4-docker.pkg.dev/{}/images/", vertex_ai::PROJECT);
    let spec = json!({
        "cloud": "gcp", "region": "europe-west4", "offers": offer("a3-highgpu-1g", ONE_H100),
        "vertexAI": {"project": vertex_ai::PROJECT, "imageMirrors": [{"source": "vllm/", "mirror": registry}]},
    });
    Run::of("VertexAI", &clouds.urls.vertex_ai, &spec, &[])
}

/// One case at each other service.
pub async fn every_service_takes_its_credentials_from_the_environment() -> anyhow::Result<()> {
    let clouds = clouds().await?;
    let sagemaker = accounts::Accounts::account(Conduct::Ordinary).await?.clouds;
    let bedrock = bedrock::BedrockAccounts::Imports.account(Conduct::Ordinary).await?.clouds;
    let vertex_ai = vertex::Projects::project(Conduct::Ordinary).await?.clouds;
    let azure_ml = azure_ml::Workspaces::workspace(Conduct::Ordinary).await?.clouds;
    let azure_openai = azure_openai::CognitiveAccounts::account(Conduct::Ordinary).await?.clouds;
    let runs = [
        of_baseten(&clouds)?,
        of_digital_ocean(&clouds)?,
        of_sagemaker(&sagemaker)?,
        of_bedrock(&bedrock)?,
        of_vertex_ai(&vertex_ai)?,
        of_azure_ml(&azure_ml)?,
        of_azure_openai(&azure_openai)?,
    ];
    let run = async |run: &Run| {
        let (passed, said) = run.end(&[("ROADSTEAD_REAL_DOLLARS", "1000.00"), ("ROADSTEAD_REAL_CASES", ONE)]).await?;
        ensure!(passed && said.contains("1 passed, 0 failed"), "{}: {said}", run.url);
        Ok(())
    };
    let all = try_join_all(runs.iter().map(run));
    // The clocks of these fakes go by the looks of a test in their own process, and not by the machine's time.
    let clocks = async {
        loop {
            for clouds in [&sagemaker, &bedrock, &vertex_ai, &azure_ml, &azure_openai] {
                clouds.advance(TICK);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        done = all => done.map(drop),
        () = clocks => Ok(()),
    }
}
