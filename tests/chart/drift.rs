//! Generated files match their sources; versions agree.
//!
//! `ROADSTEAD_WRITE=1` writes `deploy/install.yaml` anew; `make generate` does that.

use std::process::Command;

use serde_json::Value;

use crate::helm::{binary, objects, of_kind, path, template, text};

#[test]
fn install_yaml_is_what_the_charts_render() {
    let output = Command::new("sh").arg(path("deploy/render.sh")).env("HELM", binary()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).unwrap();
    if std::env::var_os("ROADSTEAD_WRITE").is_some() {
        std::fs::write(path("deploy/install.yaml"), &rendered).unwrap();
    }
    let committed = text("deploy/install.yaml");
    let differs = rendered.lines().zip(committed.lines()).position(|(rendered, committed)| rendered != committed);
    if let Some(line) = differs {
        panic!("deploy/install.yaml differs from the charts at line {}: run `make generate`", line + 1);
    }
    assert_eq!(rendered.lines().count(), committed.lines().count(), "deploy/install.yaml is cut: run `make generate`");
}

#[test]
fn install_yaml_has_everything_and_no_trace_of_helm() {
    let manifest = text("deploy/install.yaml");
    assert!(!manifest.contains("helm.sh/chart") && !manifest.contains("managed-by: Helm"));
    let installed = objects(&manifest);
    let mut charts = objects(&template("roadstead-crds", &[]).unwrap());
    charts.extend(objects(&template("roadstead", &["--set", "installId=prod"]).unwrap()));
    for object in &charts {
        let name = (&object["kind"], &object["metadata"]["name"]);
        let same = |other: &&Value| (&other["kind"], &other["metadata"]["name"]) == name;
        assert!(installed.iter().any(|other| same(&other)), "{name:?} is not in deploy/install.yaml");
    }
    let namespace = of_kind(&installed, "Namespace")[0];
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn install_yaml_has_one_place_for_the_install_id_and_a_bad_one_there() {
    let manifest = text("deploy/install.yaml");
    let placeholder = "SET-INSTALL-ID";
    assert!(roadstead_api::v1alpha1::names::check_install_id(placeholder).is_err());
    let deployments = objects(&manifest);
    let deployment = of_kind(&deployments, "Deployment")[0].to_string();
    assert_eq!(deployment.matches(placeholder).count(), 1);
}

#[test]
fn the_charts_have_the_version_of_the_operator() {
    for chart in ["roadstead", "roadstead-crds", "roadstead-gateway"] {
        let chart: Value = serde_saphyr::from_str(&text(&format!("charts/{chart}/Chart.yaml"))).unwrap();
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    }
}
