//! Probable mistakes in a legal spec: names that the built-in tables spell differently, and an image with a moving tag.
//!
//! Names are compared letter by letter, so such a name matches nothing that it means. It may be meant all the same: this
//! warns, in `roadstead validate` and on a target, and refuses nothing.

use roadstead_model::catalogue::{accelerator_spelled, cloud_spelled, locate, region_spelled};

use super::validate::Problem;
use super::{ModelDeployment, PlacementRules, ServingTarget};

/// Probable mistakes in a deployment's spec.
#[must_use]
pub fn model_deployment(deployment: &ModelDeployment) -> Vec<Problem> {
    let spec = &deployment.spec;
    let mut advice = Vec::new();
    for (index, shape) in spec.serving.shapes.iter().enumerate() {
        advice.extend(accelerator(format!("spec.serving.shapes[{index}].accelerator.type"), &shape.accelerator.type_));
    }
    advice.extend(image("spec.serving.image", &spec.serving.image));
    for (index, one) in spec.serving.overrides.iter().enumerate() {
        let written = one.image.as_deref().unwrap_or_default();
        advice.extend(image(&format!("spec.serving.overrides[{index}].image"), written));
    }
    places(&mut advice, &spec.placement);
    advice
}

/// Probable mistakes in a target's spec.
#[must_use]
pub fn serving_target(target: &ServingTarget) -> Vec<Problem> {
    let spec = &target.spec;
    let for_good = "; cloud and region are immutable: create a new target, then delete this one";
    let mut advice: Vec<Problem> = cloud("spec.cloud".to_owned(), &spec.cloud, for_good).into_iter().collect();
    advice.extend(region("spec.region".to_owned(), &spec.cloud, &spec.region, for_good));
    for (index, offer) in spec.offers.iter().enumerate() {
        advice.extend(accelerator(format!("spec.offers[{index}].accelerator.type"), &offer.accelerator.type_));
    }
    advice
}

/// The places that a deployment's rules name.
fn places(advice: &mut Vec<Problem>, placement: &PlacementRules) {
    let allowed = placement.clouds.as_ref().and_then(|clouds| clouds.allow.as_ref());
    for (index, name) in allowed.into_iter().flatten().enumerate() {
        advice.extend(cloud(format!("spec.placement.clouds.allow[{index}]"), name, ""));
    }
    let Some(regions) = &placement.regions else { return };
    let clouds: Vec<&str> = allowed.map_or_else(
        || vec!["aws", "azure", "gcp"],
        |allowed| allowed.iter().map(|cloud| cloud_spelled(cloud).unwrap_or(cloud)).collect(),
    );
    for (rule, patterns) in [("allow", &regions.allow), ("deny", &regions.deny)] {
        for (index, pattern) in patterns.iter().flatten().enumerate().filter(|(_, pattern)| !pattern.ends_with('*')) {
            let field = format!("spec.placement.regions.{rule}[{index}]");
            // A region that one of the clouds has is no slip, whatever the others call theirs.
            if clouds.iter().all(|cloud| locate(cloud, pattern).is_none()) {
                advice.extend(clouds.iter().find_map(|cloud| region(field.clone(), cloud, pattern, "")));
            }
        }
    }
    for (index, preference) in regions.prefer.iter().enumerate() {
        let field = format!("spec.placement.regions.prefer[{index}]");
        let Some(name) = &preference.cloud else { continue };
        advice.extend(cloud(format!("{field}.cloud"), name, ""));
        let pattern = preference.region.as_ref().filter(|pattern| !pattern.ends_with('*'));
        advice.extend(pattern.and_then(|pattern| region(format!("{field}.region"), name, pattern, "")));
    }
}

/// A tag that moves is legal, for it was written; replicas that start later may still not run what their siblings run.
fn image(field: &str, written: &str) -> Option<Problem> {
    let moves = written.ends_with(":latest");
    let message =
        "the tag latest moves: a replica that starts later may run another version; write a version or a digest";
    moves.then(|| Problem { field: field.to_owned(), message: message.to_owned() })
}

fn cloud(field: String, written: &str, cure: &str) -> Option<Problem> {
    let known = cloud_spelled(written)?;
    let message = format!(
        "{written:?} is spelled {known} in the built-in table; write {known}: Roadstead compares names exactly{cure}"
    );
    Some(Problem { field, message })
}

fn region(field: String, cloud: &str, written: &str, cure: &str) -> Option<Problem> {
    let (of, known) = region_spelled(cloud, written)?;
    // The name may be right and the cloud wrong.
    let right = if written == known { format!("cloud {of}") } else { known.to_owned() };
    let message = format!(
        "{written:?} is not a region of {cloud} in the built-in table, but looks like {known} of {of}; write {right}: Roadstead \
         compares names exactly{cure}"
    );
    Some(Problem { field, message })
}

fn accelerator(field: String, written: &str) -> Option<Problem> {
    let known = accelerator_spelled(written)?;
    let message = format!(
        "{written:?} is spelled {known} in the built-in table; write {known}: a shape matches an offer only if both \
         spell the type alike"
    );
    Some(Problem { field, message })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tag_that_moves_is_warned_of() {
        assert_eq!(image("f", "vllm/vllm-openai:latest").map(|advice| advice.field), Some("f".to_owned()));
        let digest = format!("vllm/vllm-openai:latest@sha256:{}", "0".repeat(64));
        for good in ["vllm/vllm-openai:v0.20.0", "host:5000/latest:v1", &digest] {
            assert_eq!(image("f", good), None, "{good}");
        }
    }

    fn fields(advice: &[Problem]) -> Vec<&str> {
        advice.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn a_target_is_warned_of_names_that_the_tables_spell_otherwise() {
        let target = |cloud: &str, region: &str, type_: &str| -> ServingTarget {
            serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "a"},
                "spec": {
                    "cloud": cloud, "region": region, "type": "Kubernetes",
                    "offers": [{"name": "a", "instanceType": "a", "accelerator": {"type": type_, "count": 1},
                                "capacityType": "Reserved", "nodes": {"resourceName": "nvidia.com/gpu"}}],
                },
            }))
            .unwrap()
        };
        assert_eq!(serving_target(&target("aws", "eu-central-1", "H100")), []);
        assert_eq!(serving_target(&target("on-premises", "ams-rack-4", "house-blend")), []);
        let advice = serving_target(&target("AWS", "eu-central-1a", "NVIDIA-H100-80GB-HBM3"));
        assert_eq!(fields(&advice), ["spec.cloud", "spec.region", "spec.offers[0].accelerator.type"]);
        let made_anew = "cloud and region are immutable: create a new target, then delete this one";
        let messages: Vec<&str> = advice.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                format!(
                    "\"AWS\" is spelled aws in the built-in table; write aws: Roadstead compares names exactly; {made_anew}"
                ),
                format!(
                    "\"eu-central-1a\" is not a region of AWS in the built-in table, but looks like eu-central-1 of aws; write \
                     eu-central-1: Roadstead compares names exactly; {made_anew}"
                ),
                "\"NVIDIA-H100-80GB-HBM3\" is spelled H100 in the built-in table; write H100: a shape matches an offer only \
                 if both spell the type alike"
                    .to_owned(),
            ]
        );
        let elsewhere = serving_target(&target("aws", "europe-west4", "H100"));
        assert!(elsewhere[0].message.contains("write cloud gcp: "), "{}", elsewhere[0].message);
    }

    #[test]
    fn a_deployment_is_warned_of_types_clouds_and_regions() {
        let deployment: ModelDeployment = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "a"},
            "spec": {
                "serving": {
                    "engine": "custom", "image": "a",
                    "shapes": [{"name": "a", "accelerator": {"type": "h100", "count": 1}}],
                },
                "placement": {
                    "clouds": {"allow": ["aws", "Azure"]},
                    "regions": {
                        "allow": ["eu-*", "eu-central-1a", "westeurope", "eu-central-1"],
                        "prefer": [{"name": "p", "cloud": "GCP", "region": "europe-west4-b", "premiumPercent": 1}],
                    },
                },
            },
        }))
        .unwrap();
        assert_eq!(
            fields(&model_deployment(&deployment)),
            [
                "spec.serving.shapes[0].accelerator.type",
                "spec.placement.clouds.allow[1]",
                "spec.placement.regions.allow[1]",
                "spec.placement.regions.prefer[0].cloud",
                "spec.placement.regions.prefer[0].region",
            ]
        );
    }
}
