//! Particulars of each engine: its command line, its health paths, and the source of its key.

use roadstead_api::v1alpha1::{Engine, Template};

/// The schemes of sources from which the engines load models by themselves.
pub const SOURCES: [&str; 1] = ["hf"];

/// The command line and paths of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The command; empty runs the image's own entry point.
    pub command: Vec<String>,
    /// The arguments.
    pub args: Vec<String>,
    /// Environment variables with plain values.
    pub env: Vec<(&'static str, String)>,
    /// The environment variable that holds the API key.
    pub key_variable: &'static str,
    /// The path that answers 200 once it can serve.
    pub readiness_path: String,
    /// The path that answers 200 while it lives.
    pub liveness_path: String,
}

/// Cache of the weights inside the container.
pub const CACHE_PATH: &str = "/cache";

/// Start command of the template's engine.
#[must_use]
pub fn launch(template: &Template) -> Launch {
    match template.engine {
        Engine::Vllm => vllm(template),
        Engine::Custom => custom(template),
    }
}

/// vLLM from 0.18 on: before, `--shutdown-timeout` did not exist and SIGTERM cut requests off (vllm#36666).
///
/// The model is positional: `vllm serve` refuses `--model`. The command is spelt out because the entry point of the
/// published images has changed over time.
fn vllm(template: &Template) -> Launch {
    let model = &template.model;
    let source = model.source.as_deref().unwrap_or_default();
    let mut args = vec![
        "--served-model-name".to_owned(),
        model.name.clone(),
        "--host".to_owned(),
        "0.0.0.0".to_owned(),
        "--port".to_owned(),
        template.port.to_string(),
        "--shutdown-timeout".to_owned(),
        template.drain_timeout_seconds.to_string(),
    ];
    if let Some(revision) = &model.revision {
        args.extend(["--revision".to_owned(), revision.clone()]);
    }
    args.extend(template.args.iter().cloned());
    Launch {
        command: vec!["vllm".to_owned(), "serve".to_owned(), source.strip_prefix("hf://").unwrap_or(source).to_owned()],
        args,
        env: vec![("HF_HOME", CACHE_PATH.to_owned())],
        key_variable: "VLLM_API_KEY",
        readiness_path: "/health".to_owned(),
        liveness_path: "/health".to_owned(),
    }
}

fn custom(template: &Template) -> Launch {
    let custom = template.custom.clone().unwrap_or_default();
    let model = &template.model;
    let mut env = vec![
        ("ROADSTEAD_MODEL_NAME", model.name.clone()),
        ("ROADSTEAD_PORT", template.port.to_string()),
        ("HF_HOME", CACHE_PATH.to_owned()),
    ];
    env.extend(model.source.clone().map(|source| ("ROADSTEAD_MODEL_SOURCE", source)));
    env.extend(model.revision.clone().map(|revision| ("ROADSTEAD_MODEL_REVISION", revision)));
    Launch {
        command: custom.command,
        args: template.args.clone(),
        env,
        key_variable: "ROADSTEAD_API_KEY",
        readiness_path: custom.readiness_path,
        liveness_path: custom.liveness_path,
    }
}
