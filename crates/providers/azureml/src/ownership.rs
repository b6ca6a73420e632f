//! Tags of the endpoint and of its deployments beside those that all resources have. Pure.

use kube::ResourceExt;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_azure::ArmTags;
use roadstead_azure::marks::{self, ArmMark, DEPLOYMENT, INSTALL_ID, NAMESPACE, seconds};
use roadstead_model as model;
use roadstead_provider::tags::ListedEndpoint;

use crate::wire::OnlineView;

/// Digest of the key that is set.
pub const KEY: &str = "roadstead-key";
/// Replicas that a deployment was last asked for.
pub const REPLICAS: &str = "roadstead-replicas";

/// Tags of a deployment with so many replicas.
#[must_use]
pub fn tags_of_deployment(install_id: &str, endpoint: &InferenceEndpoint, replicas: i32) -> ArmTags {
    let text = |tag: &str, value: &str| (tag.to_owned(), value.to_owned());
    ArmTags::from([
        text(INSTALL_ID, install_id),
        text(NAMESPACE, &endpoint.namespace().unwrap_or_default()),
        text(DEPLOYMENT, &endpoint.spec.deployment_ref.name),
        text(REPLICAS, &replicas.to_string()),
    ])
}

/// Identity of an endpoint at the place.
#[must_use]
pub fn uid(view: &OnlineView) -> String {
    marks::uid_of(&view.system_data.created_at)
}

/// A listed endpoint as a rebuilt hub may adopt it; `None` where its tags do not give its name. A list shows no deployments: one that has
/// traffic is up.
#[must_use]
pub fn found(view: &OnlineView) -> Option<model::Found> {
    let mark = ArmMark::read(&view.tags)?;
    let serves = view.properties.traffic.values().any(|percent| *percent > 0);
    mark.tags.found(ListedEndpoint {
        name: &view.name,
        id: &uid(view),
        accelerators: mark.accelerators,
        replicas: mark.replicas,
        ready_replicas: if serves { mark.replicas } else { 0 },
        record: &marks::record_of(&view.tags),
        created_at: seconds(&view.system_data.created_at),
    })
}

#[cfg(test)]
mod tests {
    use roadstead_api::v1alpha1::names;
    use roadstead_conformance::request::record as endpoint_record;
    use roadstead_provider::record;
    use serde_json::json;

    use roadstead_azure::marks::mark_tags;
    use roadstead_model::Timestamp;

    use super::*;

    fn endpoint() -> InferenceEndpoint {
        endpoint_record(&names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 0))
    }

    fn view(record: Option<&str>) -> OnlineView {
        let tags = mark_tags(&ArmMark::of("prod", &endpoint(), "0f0f"), record).unwrap();
        serde_json::from_value(json!({
            "name": endpoint().name_any(), "tags": tags,
            "properties": {"provisioningState": "Succeeded", "traffic": {"a": 100}},
            "systemData": {"createdAt": "2026-12-01T01:02:03.004Z"},
        }))
        .unwrap()
    }

    #[test]
    fn a_listed_endpoint_is_found_again_with_what_it_runs() {
        let record = record::record(&endpoint().spec).unwrap();
        let found = found(&view(record.as_deref())).unwrap();
        assert_eq!((found.deployment.name.as_str(), found.target.as_str(), found.ready_replicas), ("llama", "east", 1));
        assert_eq!((found.id.as_str(), found.created_at), ("20261201T010203004Z", Timestamp(1_796_086_923)));
        let runs = found.runs.unwrap();
        assert_eq!((runs.accelerator.kind.as_str(), runs.engine.as_str()), ("H100", "vllm"));
    }

    #[test]
    fn a_record_that_is_too_long_is_left_out_and_the_endpoint_found_all_the_same() {
        assert_eq!(found(&view(Some(&"x".repeat(9000)))).map(|found| found.runs), Some(None));
    }

    #[test]
    fn what_has_the_name_of_another_endpoint_is_not_found() {
        assert!(found(&OnlineView { name: "other".to_owned(), ..view(None) }).is_none());
        let mut alien = view(None);
        alien.tags.remove("roadstead-mark-0");
        assert!(found(&alien).is_none());
    }
}
