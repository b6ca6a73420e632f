//! The documents agree with the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use roadstead_api::check::{CheckVerdict, Checker};
use roadstead_model::{Decision, FindingReason, Reason, Removal, catalogue::locate};
use serde_json::Value;

use crate::{files, none, root, shown};

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Lines of a document that are not inside a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

/// The anchors of a document's headings, as they are made from their text.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect()
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let mut broken = Vec::new();
    for file in files(".", ".md") {
        let text = fs::read_to_string(&file).unwrap();
        let prose: String = prose(&text).collect::<Vec<_>>().join("\n");
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.contains("://") && !leads_somewhere(&file, link) {
                broken.push(format!("{}: {link}", shown(&file)));
            }
        }
    }
    none("links lead somewhere", &broken);
}

fn leads_somewhere(file: &Path, link: &str) -> bool {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { file.to_owned() } else { file.parent().unwrap().join(path) };
    match anchor {
        None => target.exists(),
        Some(anchor) => fs::read_to_string(target).is_ok_and(|text| anchors(&text).contains(anchor)),
    }
}

#[test]
fn every_decision_record_is_in_the_index() {
    let index = text("docs/adr/README.md");
    let missing: Vec<String> = files("docs/adr", ".md")
        .iter()
        .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "README.md" && !index.contains(&format!("({name})")))
        .collect();
    none("docs/adr/README.md lists every record", &missing);
}

/// The YAML blocks of a document that are whole objects, with the line where each begins.
fn yaml_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Vec<&str>)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            None if line.trim_start() == "```yaml" => open = Some((number + 1, Vec::new())),
            None => {}
            Some((begin, lines)) if line.trim_start() == "```" => {
                blocks.push((*begin, lines.join("\n")));
                open = None;
            }
            Some((_, lines)) => lines.push(line),
        }
    }
    blocks
}

#[test]
fn every_example_is_one_that_the_operator_takes() {
    let checker = Checker::new();
    let mut count = 0;
    let mut faults = Vec::new();
    let mut check = |place: &str, yaml: &str| {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{place}: {error}"));
        for document in documents {
            if let CheckVerdict::Checked { kind, name, problems, .. } = checker.check(&document) {
                count += 1;
                faults.extend(problems.iter().map(|problem| format!("{place}: {kind} {name}: {problem}")));
            }
        }
    };
    for file in files(".", ".md") {
        for (line, yaml) in yaml_blocks(&fs::read_to_string(&file).unwrap()) {
            check(&format!("{}:{line}", shown(&file)), &yaml);
        }
    }
    for file in files("examples", ".yaml") {
        check(&shown(&file), &fs::read_to_string(&file).unwrap());
    }
    none("examples are valid", &faults);
    assert!(count >= 8, "only {count} examples were found");
}

#[test]
fn every_target_of_a_cloud_is_listed_and_in_a_known_region() {
    let page = text("docs/clouds.md");
    let mut faults = Vec::new();
    let mut targets = 0;
    for file in files("examples/clouds", ".yaml") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !page.contains(&format!("(../examples/clouds/{name})")) {
            faults.push(format!("{name} is not in docs/clouds.md"));
        }
        let object: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        if object["kind"] == "ServingTarget" {
            targets += 1;
            let [cloud, region] = ["cloud", "region"].map(|field| object["spec"][field].as_str().unwrap());
            if locate(cloud, region).is_none() {
                faults.push(format!("{name}: the region {region} of {cloud} is not in the table"));
            }
        }
    }
    none("examples of clouds can be found and copied", &faults);
    assert!(targets >= 5, "only {targets} targets were found");
}

/// The values of the string constants in a source file.
fn constants(path: &str) -> Vec<String> {
    let source = text(path);
    let values = source.lines().filter(|line| line.starts_with("pub const ") && line.contains(": &str = \""));
    values.filter_map(|line| line.split('"').nth(1)).map(ToOwned::to_owned).collect()
}

/// Every reason that can stand in a condition, a verdict, an event or an endpoint's record.
fn reasons() -> BTreeSet<String> {
    let mut reasons: BTreeSet<String> = constants("crates/api/src/v1alpha1/reasons.rs").into_iter().collect();
    assert!(reasons.len() > 30, "reasons.rs is not read as it is written");
    for (path, type_) in [
        ("crates/model/src/verdict.rs", std::any::type_name::<Reason>()),
        ("crates/model/src/finding.rs", std::any::type_name::<FindingReason>()),
        ("crates/model/src/plan.rs", std::any::type_name::<(Decision, Removal)>()),
    ] {
        let source = text(path);
        let named = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Self::")?.split(" => \"").nth(1)?.split('"').next());
        let named: Vec<String> = named.map(ToOwned::to_owned).collect();
        assert!(!named.is_empty(), "{path} is not read as it is written ({type_})");
        reasons.extend(named);
    }
    reasons
}

#[test]
fn every_reason_is_explained() {
    let page = text("docs/troubleshooting.md");
    let missing: Vec<String> = reasons().into_iter().filter(|reason| !page.contains(&format!("`{reason}`"))).collect();
    none("docs/troubleshooting.md says what each reason means and what to do", &missing);
}

#[test]
fn every_metric_is_explained() {
    let metrics = crate::monitoring::metrics();
    let names: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = text("docs/operations.md");
    let missing: Vec<String> =
        names.iter().filter(|name| !page.contains(**name)).map(|name| (*name).to_owned()).collect();
    none("docs/operations.md lists every metric", &missing);
    let quoted = page.split('`').skip(1).step_by(2);
    let told = quoted.map(|text| text.split('{').next().unwrap()).filter(|text| is_metric(text));
    let known = |told: &str| names.iter().any(|name| told.starts_with(name));
    let invented: Vec<String> = told.filter(|told| !known(told)).map(ToOwned::to_owned).collect();
    none("docs/operations.md lists no metric that there is not", &invented);
}

/// True if a text between backticks is the name of a metric of ours.
fn is_metric(text: &str) -> bool {
    let ours =
        ["roadstead_", "controller_runtime_", "workqueue_", "process_"].iter().any(|start| text.starts_with(start));
    ours && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn no_merge_is_left_half_done() {
    let marks = [concat!("<<<<", "<<< "), concat!(">>>>", ">>> ")];
    for ending in [".md", ".rs", ".yaml", ".toml", ".csv"] {
        crate::hold(&files(".", ending), "decide which side of a conflict counts", |line| {
            marks.iter().any(|mark| line.starts_with(mark))
        });
    }
}

#[test]
fn nothing_tells_of_the_machine_it_was_made_on() {
    let marks = [concat!("/wo", "rk/"), concat!("/tm", "p/wt"), concat!("/ro", "ot/")];
    for ending in [".md", ".rs", ".yaml", ".toml", ".sh", ".txt", ".json"] {
        crate::hold(&files(".", ending), "paths of one machine have no place here", |line| {
            marks.iter().any(|mark| line.contains(mark))
        });
    }
}

#[test]
fn make_runs_every_test() {
    let commands = text("Makefile");
    let of_root = fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap().path());
    let own = of_root.filter(|folder| folder.join("main.rs").is_file());
    let of_crates = ["crates", "tests"].into_iter().flat_map(|folder| files(folder, ".rs"));
    let theirs = of_crates.filter(|path| {
        path.parent().is_some_and(|folder| folder.ends_with("tests") && folder.with_file_name("Cargo.toml").is_file())
    });
    let tests: Vec<String> =
        own.chain(theirs).map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert!(tests.len() > 30, "tests are found: {tests:?}");
    let is_run = |name: &&String| {
        commands
            .split_whitespace()
            .zip(commands.split_whitespace().skip(1))
            .any(|pair| pair == ("--test", name.as_str()))
    };
    let faults: Vec<String> = tests.iter().filter(|name| !is_run(name)).cloned().collect();
    none("the Makefile runs every test of the workspace", &faults);
}
