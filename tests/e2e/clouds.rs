//! The fakes of managed services as a process beside the clusters, at the host's end of the hub's link.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use roadstead_clouds::sagemaker::{KEY_ID, KEY_SECRET, SageMakerSettings};
use roadstead_clouds::vertex_ai::VertexAiSettings;
use roadstead_clouds::{CloudSettings, ServiceName};
use roadstead_ground::bound::Bound;
use roadstead_ground::command::run;
use roadstead_ground::ground::{binary, root};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};

/// Life of a token in seconds: two of them stand for two hours at services whose tokens live for one.
pub const TOKEN_SECONDS: u32 = 16;

/// The process.
pub struct CloudProcess {
    urls: Value,
    _process: Bound,
}

impl CloudProcess {
    /// Starts it at free ports of this address.
    pub fn start(address: &str) -> anyhow::Result<Self> {
        let (settings, log) = (root().join("clouds.json"), root().join("clouds.log"));
        fs::write(&settings, serde_json::to_vec(&quick())?)?;
        let _ = fs::remove_file(&log);
        let args = [format!("--admin={address}:0"), format!("--settings={}", settings.display())];
        let process = Bound::start(&binary("clouds")?, &args, &[], &log)?;
        let urls = wait("the fakes print their addresses", Duration::from_secs(10), || addresses(&log))?;
        Ok(Self { urls, _process: process })
    }

    fn url(&self, service: &str) -> anyhow::Result<&str> {
        self.urls[service].as_str().with_context(|| format!("no address of {service}"))
    }

    /// Values of the operator's chart and of the gateway's by which both reach the fakes.
    pub fn values(&self) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let google = self.url("vertexAi")?.trim_start_matches("http://");
        let variables = json!([
            {"name": "GCE_METADATA_HOST", "value": google},
            {"name": "AWS_ENDPOINT_URL", "value": self.url("sagemaker")?},
            {"name": "AWS_ACCESS_KEY_ID", "value": KEY_ID},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": KEY_SECRET},
        ]);
        let variables = format!("extraEnv={variables}");
        let overrides = json!({"SageMaker": self.url("sagemaker")?, "VertexAI": self.url("vertexAi")?});
        let gateway = vec![variables.clone(), format!("tokenSeconds={TOKEN_SECONDS}")];
        Ok((vec![variables, format!("endpointOverrides={overrides}")], gateway))
    }

    /// The true state of a service.
    pub fn state(&self, service: ServiceName) -> anyhow::Result<Value> {
        let all: Value = serde_json::from_str(&self.ask("state")?)?;
        let name = serde_json::to_value(service)?;
        Ok(all[name.as_str().unwrap_or_default()].clone())
    }

    /// The distinct `Authorization` headers of the requests for this operation.
    pub fn credentials(&self, operation: &str) -> anyhow::Result<Vec<String>> {
        let all: Vec<Value> = serde_json::from_str(&self.ask("requests")?)?;
        let of = all.iter().filter(|exchange| exchange["operation"] == operation);
        let headers = of.flat_map(|exchange| exchange["headers"].as_array().into_iter().flatten());
        let values = headers.filter(|header| header[0] == "authorization").filter_map(|header| header[1].as_str());
        let mut values: Vec<_> = values.map(ToOwned::to_owned).collect();
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    fn ask(&self, what: &str) -> anyhow::Result<String> {
        run("curl", &["-sf".to_owned(), format!("{}/{what}", self.url("admin")?)])
    }
}

/// Creations take a few seconds, and the clock is the machine's, by which tokens are dated.
fn quick() -> CloudSettings {
    let sagemaker = SageMakerSettings {
        creating_seconds: 2,
        updating_seconds: 2,
        deleting_seconds: 1,
        ..SageMakerSettings::default()
    };
    let vertex_ai = VertexAiSettings {
        token_seconds: TOKEN_SECONDS,
        uploading_seconds: 1,
        creating_seconds: 1,
        deploying_seconds: 2,
        undeploying_seconds: 1,
        deleting_seconds: 1,
        ..VertexAiSettings::default()
    };
    CloudSettings { pace: 1, sagemaker, vertex_ai, ..CloudSettings::default() }
}

fn addresses(log: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(log)?;
    let line = text.lines().find(|line| line.starts_with('{')).with_context(|| format!("no addresses: {text}"))?;
    Ok(serde_json::from_str(line)?)
}
