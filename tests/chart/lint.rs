//! helm lint and kube-score. What kube-score finds and we mean is explained in `findings.yaml`; what is explained there
//! and is not found any more is a fault as well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use roadstead_ground::tools::Tools;
use serde_json::Value;

use crate::helm::{helm, path, text};
use crate::variants::{GATEWAY_VARIANTS, VARIANTS, manifests};

/// The best grade: nothing to say.
const FINE: u64 = 10;

#[test]
fn helm_finds_no_fault() {
    let lint = |chart: &str, values: &[&str]| {
        let chart = path("charts").join(chart);
        let mut args = vec!["lint", "--strict", "--kube-version", "1.33.0", chart.to_str().unwrap()];
        args.extend(values);
        helm(&args).unwrap_or_else(|error| panic!("{} with {values:?}: {error}", chart.display()));
    };
    lint("roadstead-crds", &[]);
    for (_, values) in VARIANTS {
        lint("roadstead", &[&["--set", "installId=prod"], values].concat());
    }
    for (_, values) in GATEWAY_VARIANTS {
        lint("roadstead-gateway", values);
    }
}

/// JSON report of a linter about a manifest. The linter ends with an error if it has findings.
pub fn report(linter: &mut Command, manifest: &str) -> Value {
    let mut child = linter.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", complaint()))
}

/// Something that kube-score does not like: the kind of object, the check, and what it says.
type Finding = (String, String, String);

/// Findings of kube-score about a manifest, with every check.
fn findings(manifest: &str) -> BTreeSet<Finding> {
    let mut command = Command::new(Tools::linters().unwrap().path("kube-score"));
    command.args(["score", "--all-default-optional", "--kubernetes-version", "v1.33"]);
    command.args(["--output-format", "json", "--output-version", "v2", "-"]);
    let report = report(&mut command, manifest);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut findings = BTreeSet::new();
    // It says null of a manifest that has nothing it looks at.
    for object in report.as_array().into_iter().flatten() {
        let checks = object["checks"].as_array().into_iter().flatten();
        for check in checks.filter(|check| check["skipped"] != true && check["grade"].as_u64() < Some(FINE)) {
            for comment in check["comments"].as_array().into_iter().flatten() {
                let kind = word(&object["type_meta"]["kind"]);
                findings.insert((kind, word(&check["check"]["id"]), word(&comment["summary"])));
            }
        }
    }
    findings
}

#[test]
fn everything_that_kube_score_finds_is_explained_and_nothing_else() {
    let explained: Vec<BTreeMap<String, String>> = serde_saphyr::from_str(&text("tests/chart/findings.yaml")).unwrap();
    let explained: BTreeSet<Finding> = explained
        .into_iter()
        .map(|entry| {
            assert!(entry["because"].len() > 20, "{entry:?} does not say why");
            (entry["kind"].clone(), entry["check"].clone(), entry["says"].clone())
        })
        .collect();
    let mut found = BTreeMap::new();
    for (name, manifest) in manifests() {
        for finding in findings(&manifest) {
            found.entry(finding).or_insert(name.clone());
        }
    }
    let unexplained: Vec<_> = found.iter().filter(|(finding, _)| !explained.contains(finding)).collect();
    assert!(unexplained.is_empty(), "mend these or explain them in findings.yaml: {unexplained:#?}");
    let needless: Vec<_> = explained.iter().filter(|finding| !found.contains_key(finding)).collect();
    assert!(needless.is_empty(), "not found any more, remove them from findings.yaml: {needless:#?}");
}
