//! The process that a part runs in.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The most memory that this process has had resident, in MB (10^6 bytes), as Linux counts it.
///
/// # Errors
///
/// `/proc` does not say so.
pub fn peak_memory_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    let kibibytes = kibibytes.context("/proc/self/status has no VmHWM")?;
    let kibibytes: f64 = kibibytes.trim().parse().context("VmHWM in /proc/self/status is no number")?;
    Ok(kibibytes * 1_024.0 / 1e6)
}

/// The seconds that this thread has run so far: what else the machine does is not in them.
///
/// # Errors
///
/// `/proc` does not say so.
pub fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").context("reading /proc/thread-self/schedstat")?;
    let nanoseconds = stat.split(' ').next().context("/proc/thread-self/schedstat is empty")?;
    let nanoseconds: f64 = nanoseconds.parse().context("/proc/thread-self/schedstat does not begin with a number")?;
    Ok(nanoseconds / 1e9)
}

/// Runs a command to its end and returns its standard output; what it says on standard error is shown.
pub(crate) fn output_of(command: &mut Command, what: &str) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("starting {what}"))?;
    if !output.status.success() {
        bail!("{what} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{what} did not write text"))
}
