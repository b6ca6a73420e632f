//! The architecture's rules, held by a test: what the code may not do, and what the documents must say.
//! Each failure names the files that break the rule.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod circles;
mod code;
mod documents;
mod events;
mod logs;
mod monitoring;
mod names;
mod promises;
mod sentences;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` with this ending, generated and built ones left out.
fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(dir)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Fails naming every file and line that `broken` finds fault with.
fn hold(files: &[PathBuf], rule: &str, broken: impl Fn(&str) -> bool) {
    let mut faults = Vec::new();
    for file in files {
        for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
            if broken(line) {
                faults.push(format!("{}:{}: {}", shown(file), number + 1, line.trim()));
            }
        }
    }
    none(rule, &faults);
}

/// Fails with the rule and every fault, if there is one.
fn none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n{}", faults.join("\n"));
}
