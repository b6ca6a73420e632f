//! Log lines: text for people, JSON for collectors.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::json::JsonLines;
use roadstead_runtime::text::bounded;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// kube logs whole answers that it cannot read, Secrets included, and every refused call as an error. What matters of it
/// is logged by us, without what it quotes.
const QUIET: &str = "kube_client::client=off,kube_runtime::watcher=off";

/// Starts logging to standard error. `filter` is a level, or directives such as `info,roadstead=debug`.
///
/// # Errors
/// If the filter cannot be read, or logging was started before.
pub fn init(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{filter},{QUIET}"))
        .with_context(|| format!("{filter:?} is not a log filter (--log); try info, debug or info,roadstead=debug"))?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi)).try_init()?;
        }
        LogFormat::Json => {
            let layer = fmt::layer().fmt_fields(JsonFields::new()).event_format(<JsonLines>::default());
            registry.with(layer.with_writer(std::io::stderr)).try_init()?;
            // The standard one writes lines of text among the objects.
            std::panic::set_hook(Box::new(log_panic));
        }
    }
    Ok(())
}

/// Logs a panic as every other event.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = bounded(panic.payload_as_str().unwrap_or("no message"));
    let location = panic.location().map(ToString::to_string);
    tracing::error!(panic = text, location, "a thread panicked");
}
