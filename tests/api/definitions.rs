//! The definitions themselves: only a real server knows what rules cost, and whether a schema is structural.

use crate::server::{CRDS, server, text};

#[test]
fn the_server_accepts_the_definitions_as_they_are() {
    let kubectl = || server().kubectl();
    let again = text(kubectl().args(["apply", "-f", CRDS]));
    assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    assert_eq!(text(kubectl().args(["diff", "-f", CRDS])), "");
    let conditions = text(kubectl().args([
        "get",
        "crd",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name}{range .status.conditions[*]} {.type}={.status}{end}\n{end}",
    ]));
    for line in conditions.lines() {
        assert!(line.contains(" Established=True"), "{conditions}");
        // These would say that a schema is not structural, or that a name is taken.
        assert!(!line.contains("NonStructuralSchema=True") && !line.contains("NamesAccepted=False"), "{conditions}");
    }
    assert_eq!(conditions.lines().count(), 3, "{conditions}");
}

#[test]
fn every_field_is_explained() {
    for (kind, field, expected) in [
        ("mdep", "spec.placement.jurisdictions", "regions of unknown location"),
        ("modeldeployments.roadstead.dev", "spec.serving.shapes.tokensPerSecond", "of one replica under your load"),
        ("mdep", "status.releasing", "may be billed"),
        ("stgt", "spec.offers.hourlyPrice", "one whole instance"),
        ("stgt", "spec.kubernetes.connection.inCluster", "own cluster"),
        ("iep", "spec.template", "Pod template of each replica"),
    ] {
        let explained = text(server().kubectl().args(["explain", &format!("{kind}.{field}")]));
        let words = explained.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(expected), "{kind}.{field}: {explained}");
    }
    let all = text(server().kubectl().args(["explain", "mdep", "--recursive"]));
    assert!(all.contains("premiumPercent") && all.contains("enum: vllm, custom"), "{all}");
}

#[test]
fn the_kinds_are_found_by_short_name_and_category() {
    let resources = text(server().kubectl().args(["api-resources", "--api-group=roadstead.dev", "--no-headers"]));
    let found: Vec<Vec<&str>> = resources.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        found,
        [
            ["inferenceendpoints", "iep", "roadstead.dev/v1alpha1", "true", "InferenceEndpoint"],
            ["modeldeployments", "mdep", "roadstead.dev/v1alpha1", "true", "ModelDeployment"],
            ["servingtargets", "stgt", "roadstead.dev/v1alpha1", "false", "ServingTarget"],
        ]
    );
    let categories =
        text(server().kubectl().args(["api-resources", "--categories=inference", "--no-headers", "-o", "name"]));
    assert_eq!(categories.lines().count(), 3, "{categories}");
}
