//! Wanted deployments: the config of their server, and the bodies that ask for them.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_provider::launch::{Launch, launch};
use roadstead_provider::record::record;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::template_hash;
use roadstead_provider::{ErrorClass, ProviderError, Variables, Wanted};
use serde_json::{Value, json};

use crate::labels::DeploymentLabels;
use crate::service::TITLE;
use crate::vault;

/// Scheme of models on the Hub.
pub const SOURCE: &str = "hf";
/// The environment whose address is that of the endpoint.
pub const ENVIRONMENT: &str = "production";
/// Variable with the record of the form that was asked for.
pub const RECORD: &str = "ROADSTEAD_RECORD";
/// Port of the server; the service needs 8080 itself.
const PORT: i32 = 8000;
/// Requests that a replica serves at once, as far as the service counts them: vLLM queues and batches by itself.
const CONCURRENCY: u32 = 128;
/// Fewest and most minutes that a deployment may take to start.
const START_MINUTES: (i64, i64) = (10, 1440);

/// A wanted deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct BasetenForm {
    /// Name of its model.
    pub name: String,
    /// Replicas; none is a deactivated deployment.
    pub replicas: u32,
    /// Its labels.
    pub labels: DeploymentLabels,
    /// Secrets of the team that its server reads, by name.
    pub secrets: BTreeMap<String, String>,
    region: String,
    config: Value,
    start_minutes: i64,
}

impl BasetenForm {
    /// The wanted form of an endpoint in a region.
    ///
    /// # Errors
    /// `Invalid` where the model is none that the server loads; `Refused` where the target has no such offer; `Bug` where something
    /// cannot be written.
    pub fn of(wanted: &Wanted, install_id: &str, region: &str) -> Result<Self, ProviderError> {
        let spec = &wanted.endpoint.spec;
        let name = wanted.endpoint.name_any();
        let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, error);
        let Variables { plain, secret } = Variables::of(spec, &wanted.secrets)?;
        let mut environment = plain;
        environment.insert(RECORD.to_owned(), record(spec).map_err(bug)?.unwrap_or_default());
        let mut template = spec.template.clone();
        template.port = PORT;
        let server = launch(&template);
        let labels = DeploymentLabels {
            template: template_hash(spec, &wanted.secrets).map_err(bug)?,
            instance: instance(wanted)?,
            owner: EndpointTags::of(install_id, &wanted.endpoint),
        };
        let names: BTreeMap<&str, String> =
            secret.keys().map(|variable| (variable.as_str(), vault::name(&name, variable))).collect();
        let config = json!({
            "model_name": name,
            "base_image": {"image": template.image},
            "docker_server": {
                "start_command": start_command(&server, &names), "server_port": PORT,
                "predict_endpoint": "/v1/chat/completions", "readiness_endpoint": server.readiness_path,
                "liveness_endpoint": server.liveness_path,
            },
            "environment_variables": environment,
            "secrets": names.values().map(|name| (name.clone(), Value::Null)).collect::<BTreeMap<_, _>>(),
            "runtime": {"predict_concurrency": CONCURRENCY},
        });
        let secrets = secret.iter().map(|(variable, value)| (vault::name(&name, variable), value.clone())).collect();
        let minutes = i64::from(template.startup_timeout_seconds).div_euclid(60) + 1;
        Ok(Self {
            name,
            replicas: u32::try_from(spec.replicas).unwrap_or(0),
            labels,
            secrets,
            region: region.to_owned(),
            config,
            start_minutes: minutes.clamp(START_MINUTES.0, START_MINUTES.1),
        })
    }

    /// Text of the config, as an archive holds it.
    #[must_use]
    pub fn config(&self) -> String {
        self.config.to_string()
    }

    /// The part of bodies that describes the deployment. It starts with a replica, also where none is wanted in the end.
    #[must_use]
    pub fn payload(&self) -> Value {
        json!({
            "config": self.config, "environment_name": ENVIRONMENT, "create_environment_if_missing": false,
            "preserve_env_instance_type": false, "region": self.region, "labels": self.labels.written(),
            "instance_type_id": self.labels.instance, "deploy_timeout_minutes": self.start_minutes,
            "autoscaling_settings": {
                "min_replica": self.replicas.max(1), "max_replica": self.replicas.max(1),
                "concurrency_target": CONCURRENCY,
            },
        })
    }

    /// Body of a change of the number of replicas.
    #[must_use]
    pub fn scaling(&self) -> Value {
        json!({"min_replica": self.replicas, "max_replica": self.replicas})
    }

    /// True if a deployment with these labels is of this form.
    #[must_use]
    pub fn is_of(&self, labels: &DeploymentLabels) -> bool {
        labels.template == self.labels.template && labels.instance == self.labels.instance
    }
}

/// Instance type of the endpoint.
fn instance(wanted: &Wanted) -> Result<String, ProviderError> {
    let spec = &wanted.endpoint.spec;
    let instance = wanted.instance()?;
    if spec.template.model.source.as_deref().is_none_or(|source| !source.starts_with("hf://")) {
        let message = format!("spec.model.source is not hf://…, and the server at {TITLE} loads from the Hub alone");
        return Err(ProviderError::new(ErrorClass::Invalid, message));
    }
    Ok(instance.type_)
}

/// Command line of the server. Secrets are files, which a shell reads into the server's environment.
fn start_command(server: &Launch, secrets: &BTreeMap<&str, String>) -> String {
    let words: Vec<String> = server.command.iter().chain(&server.args).map(|word| quoted(word)).collect();
    let line = words.join(" ");
    if secrets.is_empty() {
        return line;
    }
    let read = secrets.iter().map(|(variable, name)| format!("export {variable}=\"$(cat /secrets/{name})\"; "));
    format!("sh -c {}", quoted(&format!("{}exec {line}", read.collect::<String>())))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'=' | b':' | b',');
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_server_as_they_are() {
        let server = Launch {
            command: vec!["vllm".to_owned(), "serve".to_owned(), "org/m".to_owned()],
            args: vec!["--served-model-name".to_owned(), "it's a $model".to_owned()],
            env: Vec::new(),
            key_variable: "K",
            readiness_path: "/health".to_owned(),
            liveness_path: "/health".to_owned(),
        };
        let line = r"vllm serve org/m --served-model-name 'it'\''s a $model'";
        assert_eq!(start_command(&server, &BTreeMap::new()), line);
        let with = start_command(&server, &BTreeMap::from([("HF_TOKEN", "e-HF_TOKEN".to_owned())]));
        assert!(
            with.starts_with("sh -c 'export HF_TOKEN=\"$(cat /secrets/e-HF_TOKEN)\"; exec vllm serve org/m"),
            "{with}"
        );
    }
}
