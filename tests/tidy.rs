//! The architecture's rules, held by a test. Each says which file breaks it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use roadstead::api::schema::definitions;

/// Longer files have more than one job.
const MAX_LINES: usize = 800;

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
    assert!(faults.is_empty(), "{rule}:\n{}", faults.join("\n"));
}

#[test]
fn the_planner_depends_on_nothing_that_acts() {
    let manifest = fs::read_to_string(root().join("crates/planner/Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> =
        section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).filter(|name| !name.is_empty()).collect();
    assert_eq!(
        names,
        ["serde", "thiserror"],
        "the planner is data in, data out: no clock, network, runtime or Kubernetes"
    );
}

#[test]
fn the_planner_has_no_clock_no_chance_no_float_and_no_random_order() {
    let sources = files("crates/planner/src", ".rs");
    for word in
        ["SystemTime", "Instant", "HashMap", "HashSet", "rand::", "f32", "f64", "std::env", "std::fs", "std::net"]
    {
        hold(&sources, &format!("{word} has no place in the planner"), |line| {
            let code = line.split("//").next().unwrap_or_default();
            code.split(|c: char| !(c.is_alphanumeric() || c == ':' || c == '_')).any(|token| token.contains(word))
        });
    }
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<String> = files(".", ".rs")
        .iter()
        .map(|file| (shown(file), fs::read_to_string(file).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| format!("{file}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn the_core_knows_no_provider_by_name() {
    let core = files("src/controller", ".rs");
    let core: Vec<PathBuf> = core.into_iter().filter(|file| !file.ends_with("serving_target/connect.rs")).collect();
    hold(&core, "only serving_target/connect.rs chooses a driver", |line| line.contains("provider::kubernetes"));
}

#[test]
fn every_kind_has_a_definition() {
    let kinds: Vec<String> = definitions().into_iter().map(|definition| definition.spec.names.kind).collect();
    assert_eq!(kinds, ["ModelDeployment", "ServingTarget", "InferenceEndpoint"]);
}

#[test]
fn nothing_is_left_to_be_done_in_secret() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!"), concat!("to", "do!(")];
    hold(&files(".", ".rs"), "say it in an issue, or do it", |line| marks.iter().any(|mark| line.contains(mark)));
}

#[test]
fn links_in_documents_resolve() {
    let mut broken = Vec::new();
    for file in files(".", ".md") {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains(' ') {
                continue;
            }
            if !file.parent().unwrap().join(path).exists() {
                broken.push(format!("{}: {link}", shown(&file)));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}
