//! Runs a program and tells what it said when it fails.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};

/// Runs `program` and returns its standard output.
///
/// # Errors
/// If it cannot be started or ends with another code than 0; the error holds what it printed.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> anyhow::Result<String> {
    finish(Command::new(program).args(args))
}

/// Runs a prepared command and returns its standard output.
///
/// # Errors
/// As [`run`].
pub fn finish(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    checked(command, &output)
}

/// Runs a prepared command with `input` on its standard input.
///
/// # Errors
/// As [`run`].
pub fn feed(command: &mut Command, input: &str) -> anyhow::Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    checked(command, &output)
}

fn checked(command: &Command, output: &Output) -> anyhow::Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        bail!("{command:?} ended with {}:\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}
