//! `LiteLLM`'s proxy, from its Python package: fetched once and kept outside the clone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use roadstead_ground::command::finish;
use roadstead_ground::tools::{Lock, cache};

/// Version of the package.
const VERSION: &str = "1.100.0";
/// Environment of the proxy: prices come from the package and not from the network, and logs contain errors alone.
pub const ENVIRONMENT: [(&str, &str); 3] =
    [("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("LITELLM_LOG", "ERROR"), ("LITELLM_TELEMETRY", "False")];

/// Path of the program; the first call fetches it.
pub fn program() -> Result<PathBuf> {
    let folder = cache()?.join("tools").join(format!("litellm-{VERSION}"));
    let (program, whole) = (folder.join("bin/litellm"), folder.join("whole"));
    if whole.is_file() {
        return Ok(program);
    }
    let _lock = Lock::take(&folder.with_extension("lock"))?;
    if !whole.is_file() {
        eprintln!("fetching LiteLLM {VERSION} into {} (once; 700 MB)", folder.display());
        let package = format!("litellm[proxy]=={VERSION}");
        finish(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .context("making an environment for the Python package of LiteLLM")?;
        finish(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--only-binary=:all:", &package]))
            .with_context(|| format!("cannot fetch the Python package {package}"))?;
        std::fs::write(whole, VERSION)?;
    }
    Ok(program)
}

/// Configuration with one model, without a database.
pub fn config(origin: SocketAddr, key: &str) -> String {
    format!(
        "model_list:\n- model_name: llama\n  litellm_params: {{model: openai/llama, api_base: \"http://{origin}/v1\", api_key: key-of-origin}}\n\
         general_settings: {{master_key: {key}}}\n"
    )
}
