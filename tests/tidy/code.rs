//! Rules for the code.

use std::fs;
use std::path::PathBuf;

use roadstead_api::schema::definitions;

use crate::{files, hold, none, root, shown};

/// Longer files have more than one job.
const MAX_LINES: usize = 800;

#[test]
fn the_planner_depends_on_nothing_that_acts() {
    for name in PURE {
        let foreign: Vec<String> = dependencies(&format!("crates/{name}"))
            .into_iter()
            .filter(|dependency| !dependency.starts_with("roadstead-"))
            .filter(|dependency| !["serde", "thiserror"].contains(&dependency.as_str()))
            .collect();
        none(&format!("{name} is data in, data out: no clock, network, runtime or Kubernetes"), &foreign);
    }
}

/// Crates that are data in, data out.
const PURE: [&str; 5] = ["model", "planner", "lint", "explain", "engine"];

/// The crates that one depends on, tests left out.
fn dependencies(of: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(of).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(ToOwned::to_owned).collect()
}

/// Crates that each crate may use.
const DIRECTIONS: [(&str, &[&str]); 25] = [
    ("crates/model", &[]),
    ("crates/explain", &["model"]),
    ("crates/lint", &["model"]),
    ("crates/planner", &["model"]),
    ("crates/engine", &["lint", "model", "planner"]),
    ("crates/api", &["model"]),
    ("crates/gateway", &[]),
    ("crates/runtime", &[]),
    ("crates/provider", &["api", "model", "runtime"]),
    ("crates/conformance", &["api", "model", "provider"]),
    ("crates/providers/aws", &["provider", "rest", "runtime"]),
    ("crates/providers/azure", &["api", "model", "provider", "rest", "runtime"]),
    ("crates/providers/azureml", &["api", "azure", "model", "provider", "rest"]),
    ("crates/providers/azureopenai", &["api", "azure", "model", "provider", "rest"]),
    ("crates/providers/baseten", &["api", "aws", "model", "provider", "rest", "runtime"]),
    ("crates/providers/bedrock", &["api", "aws", "model", "provider", "rest", "runtime"]),
    ("crates/providers/digitalocean", &["api", "model", "provider", "rest", "runtime"]),
    ("crates/providers/google", &["provider", "rest", "runtime"]),
    ("crates/providers/huggingface", &["api", "model", "provider", "rest", "runtime"]),
    ("crates/providers/kubernetes", &["api", "model", "provider", "runtime"]),
    ("crates/providers/openai", &["api", "model", "provider", "rest", "runtime"]),
    ("crates/providers/rest", &["api", "model", "provider", "runtime"]),
    ("crates/providers/sagemaker", &["api", "aws", "model", "provider", "rest", "runtime"]),
    ("crates/providers/simulated", &["api", "model", "provider", "runtime"]),
    ("crates/providers/vertex", &["api", "google", "model", "provider", "rest", "runtime"]),
];

#[test]
fn no_crate_names_one_above_it() {
    for (crate_, allowed) in DIRECTIONS {
        let dependencies = dependencies(crate_);
        let named: Vec<&str> = dependencies.iter().filter_map(|name| name.strip_prefix("roadstead-")).collect();
        assert_eq!(named, allowed, "{crate_}/Cargo.toml; ARCHITECTURE.md says which crate may know which");
    }
    let crates = files("crates", "Cargo.toml");
    assert_eq!(crates.len(), DIRECTIONS.len(), "every crate has its directions: {crates:?}");
}

#[test]
fn the_planner_has_no_clock_no_chance_no_float_and_no_random_order() {
    let sources: Vec<PathBuf> = PURE.iter().flat_map(|name| files(&format!("crates/{name}/src"), ".rs")).collect();
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
    none(&format!("files have at most {MAX_LINES} lines"), &long);
}

#[test]
fn the_core_knows_no_provider_by_name() {
    let core = files("src/controller", ".rs");
    let chooses =
        |file: &PathBuf| shown(file).contains("serving_target/connect/") || file.ends_with("controller/drivers.rs");
    let core: Vec<PathBuf> = core.into_iter().filter(|file| !chooses(file)).collect();
    hold(&core, "only serving_target/connect chooses a driver", |line| {
        [
            "roadstead_azureml",
            "roadstead_azureopenai",
            "roadstead_baseten",
            "roadstead_bedrock",
            "roadstead_digitalocean",
            "roadstead_huggingface",
            "roadstead_kubernetes",
            "roadstead_openai",
            "roadstead_sagemaker",
            "roadstead_simulated",
            "roadstead_vertex",
        ]
        .iter()
        .any(|driver| line.contains(driver))
    });
}

/// The words of a cluster for what a member is made of.
const WORDS_OF_CLUSTERS: [&str; 9] =
    ["pod", "pods", "Pod", "Pods", "node", "nodes", "Service", "Services", "kubeconfig"];

#[test]
fn the_core_and_the_seam_speak_of_endpoints_replicas_and_addresses() {
    let sources = [files("src/controller", ".rs"), files("crates/provider/src", ".rs")].concat();
    let is_test = |file: &PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        name == "tests" || name.ends_with("_tests") || name.starts_with("test_")
    };
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| !is_test(file) && !shown(file).contains("serving_target/connect/")) {
        let text = fs::read_to_string(file).unwrap();
        for literal in literals(text.split("#[cfg(test)]\nmod ").next().unwrap()) {
            let mut words = literal.split(|c: char| !c.is_alphanumeric());
            if words.any(|word| WORDS_OF_CLUSTERS.contains(&word)) {
                faults.push(format!("{}: {literal:?}", shown(file)));
            }
        }
    }
    none("only drivers use the words of their places", &faults);
}

/// The texts in a source, without those in comments.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.replace("'\"'", "").replace("\\\n", "").lines() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        let line = line.replace("\\\"", "");
        found.extend(line.split('"').skip(1).step_by(2).map(ToOwned::to_owned));
    }
    found
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
fn every_test_of_the_planner_is_run_by_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let tests =
        files("crates/planner/tests", ".rs").into_iter().filter(|file| file.parent().unwrap().ends_with("tests"));
    let left_out: Vec<String> = tests
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|test| {
            !makefile.contains(&format!("--test {test} ")) && !makefile.contains(&format!("--test {test}\n"))
        })
        .collect();
    none("make test-unit names every test of the planner", &left_out);
}

/// Words that begin a clause instead of naming the item.
const CLAUSES: [&str; 6] = ["What", "Whether", "How", "Who", "Where", "When"];

/// The text of a doc comment's line, with its mark.
fn doc(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mark = ["///", "//!"].into_iter().find(|mark| line.starts_with(mark))?;
    Some((mark, line.strip_prefix(mark)?.trim()))
}

#[test]
fn doc_comments_begin_with_what_the_item_is() {
    let mut faults = Vec::new();
    for file in files(".", ".rs") {
        let source = fs::read_to_string(&file).unwrap();
        let mut before = None;
        for (number, line) in source.lines().enumerate() {
            let now = doc(line);
            if let Some((mark, text)) = now {
                let begins = before.is_none_or(|(former, above): (&str, &str)| {
                    former != mark || above.is_empty() || above.starts_with('#')
                });
                let first = text.split([' ', ',']).next().unwrap_or_default();
                if begins && CLAUSES.contains(&first) {
                    faults.push(format!("{}:{}: {text}", shown(&file), number + 1));
                }
            }
            before = now;
        }
    }
    none("a doc comment begins with a noun or a verb: \"Number of …\", \"True if …\", \"Returns …\"", &faults);
}
