//! Runs helm and takes apart what it rendered.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use roadstead_ground::tools::Tools;
use serde_json::Value;

/// The namespace of the release.
pub const NAMESPACE: &str = "roadstead-system";

static HELM: LazyLock<PathBuf> = LazyLock::new(|| Tools::locate().unwrap().path("helm"));

/// A path in the repository.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The text of a file in the repository.
pub fn text(relative: &str) -> String {
    std::fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// The helm binary.
pub fn binary() -> &'static Path {
    &HELM
}

/// Output of helm, or its error.
pub fn helm(args: &[&str]) -> Result<String, String> {
    let output = Command::new(binary()).args(args).stdin(Stdio::null()).output().unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
}

/// Renders a chart as release `roadstead`, with values as helm's arguments.
pub fn template(chart: &str, values: &[&str]) -> Result<String, String> {
    let chart = path("charts").join(chart);
    let chart = chart.to_str().unwrap();
    let mut args = vec!["template", "roadstead", chart, "--namespace", NAMESPACE, "--kube-version", "1.33.0"];
    args.extend(values);
    helm(&args)
}

/// The objects of the operator's chart with these values beside an install id.
pub fn rendered(values: &[&str]) -> Vec<Value> {
    let mut all = vec!["--set", "installId=prod"];
    all.extend(values);
    objects(&template("roadstead", &all).unwrap_or_else(|error| panic!("{values:?}: {error}")))
}

/// The objects of the gateway's chart with these values.
pub fn rendered_gateway(values: &[&str]) -> Vec<Value> {
    objects(&template("roadstead-gateway", values).unwrap_or_else(|error| panic!("{values:?}: {error}")))
}

/// The objects of a manifest.
pub fn objects(manifest: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The objects of one kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The one object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found = of_kind(objects, kind);
    assert_eq!(found.len(), 1, "one {kind} was expected");
    found[0]
}

/// The value at a JSON pointer, which must be there.
pub fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer} in {object:#}"))
}
