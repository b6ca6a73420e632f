//! The binary itself: `roadstead validate`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const MIXED: &str = "\
# A document that is not ours.
apiVersion: v1
kind: Namespace
metadata: {name: team-a}
---
apiVersion: roadstead.dev/v1alpha1
kind: ServingTarget
metadata: {name: east}
spec:
  cloud: aws
  region: us-east-1
  type: Kubernetes
  kubernetes:
    connection: {inCluster: {}}
    expose:
      type: ClusterIP
  offers:
  - name: h100
    instanceType: p5.48xlarge
    accelerator: {type: H100, count: 8}
    capacityType: OnDemand
    hourlyPrice: 40.00
    hourly: 1
";

fn validate(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_roadstead"))
        .arg("validate")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn what_the_repository_shows_is_valid() {
    let output = validate(&["-f", &format!("{ROOT}/examples")], "");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(" objects, no problems"), "{told}");
    assert!(!told.starts_with("no objects"), "{told}");
}

#[test]
fn each_problem_has_its_line_and_field() {
    let output = validate(&["-f", "-"], MIXED);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[0],
        "-:22: ServingTarget east: spec.offers[0].hourlyPrice: must be a string, not a number: write it in quotes"
    );
    assert!(
        lines[1].starts_with("-:23: ServingTarget east: spec.offers[0].hourly: unknown field; the fields are "),
        "{told}"
    );
    assert_eq!(lines[2], "1 object, 2 problems; 1 of another API group skipped");
}

#[test]
fn programs_read_json() {
    let output = validate(&["-f", "-", "-o", "json"], MIXED);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["checked"], &report["invalid"], &report["passedOver"]), (&1.into(), &1.into(), &1.into()));
    let finding = &report["findings"][0];
    assert_eq!(finding["file"], "-");
    assert_eq!(finding["document"], 2);
    assert_eq!(finding["line"], 22);
    assert_eq!(finding["kind"], "ServingTarget");
    assert_eq!(finding["name"], "east");
    assert_eq!(finding["field"], "spec.offers[0].hourlyPrice");
}

#[test]
fn what_is_not_yaml_is_a_problem_and_what_cannot_be_read_is_an_error() {
    let output = validate(&["-f", "-"], "a: [1, 2\nb: 3\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("-:"));
    let output = validate(&["-f", &format!("{ROOT}/no-such-file.yaml")], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no-such-file.yaml"));
    assert_eq!(validate(&[], "").status.code(), Some(2));
}

#[test]
fn lists_and_kinds_that_do_not_exist_are_seen() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: roadstead.dev/v1\n  kind: ServingTarget\n  metadata: {name: a}\n\
                - apiVersion: roadstead.dev/v1alpha1\n  kind: PriceSheet\n  metadata: {name: b}\n";
    let output = validate(&["-f", "-"], text);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("-:4: ServingTarget a: apiVersion: \"roadstead.dev/v1\" is not known"), "{told}");
    assert!(told.contains("-:8: PriceSheet b: kind: \"PriceSheet\" is not a kind"), "{told}");
}

#[test]
fn names_that_the_tables_spell_otherwise_are_warned_of_and_refuse_nothing() {
    let slips = MIXED
        .replace("cloud: aws", "cloud: AWS")
        .replace("us-east-1", "us-east-1a")
        .replace("type: H100, count: 8", "type: h100, count: 8")
        .replace("hourlyPrice: 40.00", "hourlyPrice: \"40.00\"")
        .replace("    hourly: 1\n", "    nodes: {resourceName: nvidia.com/gpu}\n");
    let output = validate(&["-f", "-"], &slips);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("-:10: warning: ServingTarget east: spec.cloud: \"AWS\" is spelled aws"), "{told}");
    assert!(told.contains("-:11: warning: ServingTarget east: spec.region: \"us-east-1a\""), "{told}");
    assert!(told.contains("spec.offers[0].accelerator.type: \"h100\" is spelled H100"), "{told}");
    assert!(told.ends_with("1 object, no problems; 3 warnings; 1 of another API group skipped\n"), "{told}");
    let output =
        validate(&["-f", "-", "-o", "json"], &slips.replace("    nodes: {resourceName: nvidia.com/gpu}\n", ""));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "an unknown type needs its resource: {told}");
    assert_eq!((&told["invalid"], &told["warnings"]), (&Value::from(1), &Value::from(3)));
    let errors: Vec<_> = told["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error").collect();
    assert_eq!(errors[0]["field"], "spec.offers[0].nodes.resourceName");
}
