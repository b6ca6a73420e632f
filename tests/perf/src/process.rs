//! The process that a part runs in, and others that it measures.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The most memory that this process has had resident, in MB (10^6 bytes), as Linux counts it.
///
/// # Errors
///
/// `/proc` does not say so.
pub fn peak_memory_mb() -> Result<f64> {
    peak_memory_mb_of(std::process::id())
}

/// The most memory that the process `pid` has had resident, in MB (10^6 bytes), as Linux counts it.
///
/// # Errors
///
/// It is gone, or `/proc` does not say so.
pub fn peak_memory_mb_of(pid: u32) -> Result<f64> {
    let file = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    let kibibytes = kibibytes.with_context(|| format!("{file} has no VmHWM"))?;
    let kibibytes: f64 = kibibytes.trim().parse().with_context(|| format!("VmHWM in {file} is no number"))?;
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

/// The seconds that all threads of the process `pid` have run so far, to the hundredth.
///
/// # Errors
///
/// It is gone, or `/proc` does not say so.
pub fn cpu_seconds_of(pid: u32) -> Result<f64> {
    let file = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let (_, rest) = stat.rsplit_once(')').with_context(|| format!("no command in {file}"))?;
    // Fields 14 and 15 of the file: user and system time.
    let ticks: Vec<f64> = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 2, "no times in {file}");
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Runs a command to its end and returns its standard output; what it says on standard error is shown.
pub(crate) fn output_of(command: &mut Command, what: &str) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("starting {what}"))?;
    if !output.status.success() {
        bail!("{what} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{what} did not write text"))
}
