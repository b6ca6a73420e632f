//! Tags: who made a resource, for what, and in which form. Pure.
//!
//! Azure's tags have values of at most 256 characters, so texts are written in parts. Their names have no slash.

use jiff::Timestamp as Instant;
use kube::ResourceExt;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::tags::{EndpointTags, ListedEndpoint};
use roadstead_rest::EndpointOwner;
use serde::{Deserialize, Serialize};

use crate::wire::{ArmTags, OnlineView};

/// Begin of the names of all tags here.
const OURS: &str = "roadstead-";
/// Installation.
pub const INSTALL_ID: &str = "roadstead-install-id";
/// Namespace of the deployment.
const NAMESPACE: &str = "roadstead-namespace";
/// Deployment, for bills.
const DEPLOYMENT: &str = "roadstead-deployment";
/// Digest of the key that is set.
pub const KEY: &str = "roadstead-key";
/// Replicas that a deployment was last asked for.
pub const REPLICAS: &str = "roadstead-replicas";
/// Parts of the mark, numbered from 0.
const MARK: &str = "roadstead-mark-";
/// Parts of the record, numbered from 0.
const RECORD: &str = "roadstead-record-";
/// Characters of a tag's value.
const MAX_VALUE: usize = 256;
/// Parts of a text; a resource has at most 50 tags.
const MAX_PARTS: usize = 20;

/// Tags of an endpoint, and the form in which it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlineMark {
    /// Owner, and part in the plan.
    #[serde(flatten)]
    pub tags: EndpointTags,
    /// Replicas that are wanted.
    pub replicas: u32,
    /// Accelerators of one replica.
    pub accelerators: u32,
    /// Hash of the template.
    pub template: String,
}

impl OnlineMark {
    /// The mark of an endpoint.
    #[must_use]
    pub fn of(install_id: &str, endpoint: &InferenceEndpoint, template: &str) -> Self {
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        Self {
            tags: EndpointTags::of(install_id, endpoint),
            replicas: count(endpoint.spec.replicas),
            accelerators: count(endpoint.spec.accelerator.count),
            template: template.to_owned(),
        }
    }

    /// True if an endpoint is marked as the same one, whatever its form.
    #[must_use]
    pub fn is_on(&self, view: &OnlineView) -> bool {
        Self::read(&view.tags).is_some_and(|mark| mark.tags.is_same_endpoint(&self.tags))
    }

    /// The mark in tags; `None` where they are not ours.
    #[must_use]
    pub fn read(tags: &ArmTags) -> Option<Self> {
        serde_json::from_str(&text_in(tags, MARK)).ok()
    }
}

/// A text as tags; none where it is too long.
fn parts(tag: &str, text: &str) -> ArmTags {
    let all: Vec<char> = text.chars().collect();
    let parts = all.chunks(MAX_VALUE).take_while(|_| all.len() <= MAX_PARTS * MAX_VALUE);
    parts.enumerate().map(|(number, part)| (format!("{tag}{number}"), part.iter().collect())).collect()
}

/// The text that tags hold in parts.
fn text_in(tags: &ArmTags, tag: &str) -> String {
    (0..MAX_PARTS).map_while(|number| tags.get(&format!("{tag}{number}"))).map(String::as_str).collect()
}

/// Tags of an endpoint, without that of its key.
///
/// # Errors
/// If the mark cannot be written as JSON, which would be a defect.
pub fn tags(mark: &OnlineMark, record: Option<&str>) -> Result<ArmTags, serde_json::Error> {
    let EndpointTags { install_id, namespace, deployment, .. } = &mark.tags;
    let text = |tag: &str, value: &str| (tag.to_owned(), value.to_owned());
    let mut tags =
        ArmTags::from([text(INSTALL_ID, install_id), text(NAMESPACE, namespace), text(DEPLOYMENT, deployment)]);
    tags.extend(parts(MARK, &serde_json::to_string(mark)?));
    tags.extend(parts(RECORD, record.unwrap_or_default()));
    Ok(tags)
}

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

/// Owner of an endpoint.
#[must_use]
pub fn owner(tags: &ArmTags) -> Option<EndpointOwner> {
    tags.contains_key(INSTALL_ID).then(|| EndpointOwner {
        install_id: get(tags, INSTALL_ID).to_owned(),
        namespace: get(tags, NAMESPACE).to_owned(),
        deployment: get(tags, DEPLOYMENT).to_owned(),
    })
}

/// Tags of an endpoint that are not Roadstead's: a policy of the subscription may add some.
pub fn foreign(tags: &ArmTags) -> impl Iterator<Item = (String, String)> {
    tags.iter().filter(|(name, _)| !name.starts_with(OURS)).map(|(name, value)| (name.clone(), value.clone()))
}

/// Value of a tag; empty if there is none.
#[must_use]
pub fn get<'a>(tags: &'a ArmTags, tag: &str) -> &'a str {
    tags.get(tag).map_or("", String::as_str)
}

/// Identity of an endpoint at the place: names are used again, times are not.
#[must_use]
pub fn uid(view: &OnlineView) -> String {
    view.system_data.created_at.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A time of the service in whole seconds; one that is none is the beginning of time.
#[must_use]
pub fn seconds(time: &str) -> Timestamp {
    time.parse::<Instant>().map_or_else(|_| Timestamp::default(), |time| Timestamp(time.as_second()))
}

/// A listed endpoint as a rebuilt hub may adopt it; `None` where its tags do not give its name. A list shows no deployments: one that has
/// traffic is up.
#[must_use]
pub fn found(view: &OnlineView) -> Option<model::Found> {
    let mark = OnlineMark::read(&view.tags)?;
    let serves = view.properties.traffic.values().any(|percent| *percent > 0);
    mark.tags.found(ListedEndpoint {
        name: &view.name,
        id: &uid(view),
        accelerators: mark.accelerators,
        replicas: mark.replicas,
        ready_replicas: if serves { mark.replicas } else { 0 },
        record: &text_in(&view.tags, RECORD),
        created_at: seconds(&view.system_data.created_at),
    })
}

#[cfg(test)]
mod tests {
    use roadstead_api::v1alpha1::names;
    use roadstead_conformance::request::record as endpoint_record;
    use roadstead_provider::record;
    use serde_json::json;

    use super::*;

    fn endpoint() -> InferenceEndpoint {
        endpoint_record(&names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 0))
    }

    fn view(record: Option<&str>) -> OnlineView {
        let tags = tags(&OnlineMark::of("prod", &endpoint(), "0f0f"), record).unwrap();
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
    fn every_tag_is_one_that_azure_takes() {
        let record = "ü".repeat(MAX_PARTS * MAX_VALUE);
        let tags = view(Some(&record)).tags;
        assert!(tags.len() < 50 && tags.values().all(|value| value.chars().count() <= MAX_VALUE), "{}", tags.len());
        assert!(tags.keys().all(|name| !name.contains(['<', '>', '%', '&', '\\', '?', '/'])));
        assert_eq!(text_in(&tags, RECORD), record);
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
