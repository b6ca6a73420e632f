//! A release build of Roadstead, for benchmarks that start it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::output_of;

/// Path of the program: the one that `ROADSTEAD_BENCH_PROGRAM` names, else a copy of a release build, which another build
/// cannot replace while it runs.
///
/// # Errors
///
/// It cannot be built.
pub fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("ROADSTEAD_BENCH_PROGRAM") {
        return Ok(PathBuf::from(program));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let args = ["build", "--release", "--package", "roadstead", "--bins"];
    output_of(Command::new(cargo).args(args).current_dir(root), "the build")?;
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(|deps| deps.parent()).context("this program is not in a target folder")?;
    let copies = folder.join("perf");
    std::fs::create_dir_all(&copies)?;
    let copy = copies.join("roadstead");
    std::fs::copy(folder.join("roadstead"), &copy).context("copying the program")?;
    Ok(copy)
}
