//! Tags: who made a resource, for what, and in which form. Pure.
//!
//! Azure's tags have values of at most 256 characters, so texts are written in parts. Their names have no slash.

use jiff::Timestamp as Instant;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_model::Timestamp;
use roadstead_provider::tags::EndpointTags;
use roadstead_rest::EndpointOwner;
use serde::{Deserialize, Serialize};

use crate::resource::ArmTags;

/// Begin of the names of all tags here.
const OURS: &str = "roadstead-";
/// Installation.
pub const INSTALL_ID: &str = "roadstead-install-id";
/// Namespace of the deployment.
pub const NAMESPACE: &str = "roadstead-namespace";
/// Deployment, for bills.
pub const DEPLOYMENT: &str = "roadstead-deployment";
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
pub struct ArmMark {
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

impl ArmMark {
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
    pub fn is_on(&self, tags: &ArmTags) -> bool {
        Self::read(tags).is_some_and(|mark| mark.tags.is_same_endpoint(&self.tags))
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
pub fn mark_tags(mark: &ArmMark, record: Option<&str>) -> Result<ArmTags, serde_json::Error> {
    let EndpointTags { install_id, namespace, deployment, .. } = &mark.tags;
    let text = |tag: &str, value: &str| (tag.to_owned(), value.to_owned());
    let mut tags =
        ArmTags::from([text(INSTALL_ID, install_id), text(NAMESPACE, namespace), text(DEPLOYMENT, deployment)]);
    tags.extend(parts(MARK, &serde_json::to_string(mark)?));
    tags.extend(parts(RECORD, record.unwrap_or_default()));
    Ok(tags)
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

/// Record of an endpoint's form; empty where there is none.
#[must_use]
pub fn record_of(tags: &ArmTags) -> String {
    text_in(tags, RECORD)
}

/// Identity of a resource that was created at this time: names are used again, times are not.
#[must_use]
pub fn uid_of(created_at: &str) -> String {
    created_at.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A time of the service in whole seconds; one that is none is the beginning of time.
#[must_use]
pub fn seconds(time: &str) -> Timestamp {
    time.parse::<Instant>().map_or_else(|_| Timestamp::default(), |time| Timestamp(time.as_second()))
}

#[cfg(test)]
mod tests {
    use roadstead_conformance::request::record as endpoint_record;

    use super::*;

    #[test]
    fn every_tag_is_one_that_azure_takes_and_a_text_is_read_as_it_was_written() {
        let record = "ü".repeat(MAX_PARTS * MAX_VALUE);
        let mark = ArmMark::of("prod", &endpoint_record("llama-1"), "0f0f");
        let tags = mark_tags(&mark, Some(&record)).unwrap();
        assert!(tags.len() < 50 && tags.values().all(|value| value.chars().count() <= MAX_VALUE), "{}", tags.len());
        assert!(tags.keys().all(|name| !name.contains(['<', '>', '%', '&', '\\', '?', '/'])));
        assert_eq!((record_of(&tags), ArmMark::read(&tags)), (record, Some(mark.clone())));
        let long = mark_tags(&mark, Some(&"x".repeat(9000))).unwrap();
        assert_eq!((record_of(&long), ArmMark::read(&long)), (String::new(), Some(mark)));
    }
}
