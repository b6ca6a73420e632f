//! Tags: who made a model, for what, and in which form. Pure.

use data_encoding::BASE64;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{CapacityType, InferenceEndpoint, names};
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::tags::{EndpointTags, ListedEndpoint};
use roadstead_provider::{ProviderError, Redacted};
use roadstead_rest::{EndpointOwner, invalid_key};

use crate::calls::BEDROCK;
use crate::wire::BedrockTags;

/// Digest of the form.
pub const FORM: &str = "roadstead.dev/form";
/// Key of the endpoint. AWS guards the model, so that the key opens nothing; a rebuilt hub reads it here.
pub const KEY: &str = "roadstead.dev/endpoint-key";
/// UID of the hub that wrote the tags.
pub const HUB: &str = "roadstead.dev/hub-uid";
/// Accelerators of one replica.
const ACCELERATORS: &str = "roadstead.dev/accelerators";
/// Parts of the record, numbered from 0.
const RECORD: &str = "roadstead.dev/record-";
/// Characters of a tag's value.
const MAX_VALUE: usize = 256;
/// Parts of a record; a resource has at most 50 tags.
const MAX_PARTS: usize = 34;

/// Tags of an endpoint in a form with this digest.
#[must_use]
pub fn tags(
    install_id: &str,
    endpoint: &InferenceEndpoint,
    form: &str,
    record: Option<&str>,
    key: &str,
    hub: &str,
) -> BedrockTags {
    let spec = &endpoint.spec;
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut tags = BedrockTags::from([
        text(names::LABEL_INSTALL_ID, install_id),
        text(names::LABEL_NAMESPACE, &endpoint.namespace().unwrap_or_default()),
        text(names::LABEL_DEPLOYMENT, &spec.deployment_ref.name),
        text(names::ANNOTATION_TARGET, &spec.target),
        text(names::ANNOTATION_OFFER, &spec.offer),
        text(names::ANNOTATION_SHAPE, &spec.shape),
        text(names::ANNOTATION_CAPACITY_TYPE, spec.capacity_type.as_str()),
        text(names::ANNOTATION_SLOT, &spec.slot.to_string()),
        text(names::LABEL_MANAGED_BY, names::MANAGED_BY),
        text(ACCELERATORS, &spec.accelerator.count.to_string()),
        text(FORM, form),
        text(KEY, key),
        text(HUB, hub),
    ]);
    let encoded = record.map(|record| BASE64.encode(record.as_bytes())).unwrap_or_default();
    let parts: Vec<&[u8]> = encoded.as_bytes().chunks(MAX_VALUE).collect();
    if parts.len() <= MAX_PARTS {
        let part =
            |(number, part): (usize, &[u8])| (format!("{RECORD}{number}"), String::from_utf8_lossy(part).into_owned());
        tags.extend(parts.into_iter().enumerate().map(part));
    }
    tags
}

/// Value of a tag; empty if there is none.
#[must_use]
pub fn get<'a>(tags: &'a BedrockTags, key: &str) -> &'a str {
    tags.get(key).map_or("", String::as_str)
}

/// Owner of a resource by its tags; `None` where it was not made by Roadstead.
#[must_use]
pub fn owner(tags: &BedrockTags) -> Option<EndpointOwner> {
    let text = |key: &str| get(tags, key).to_owned();
    tags.contains_key(names::LABEL_INSTALL_ID).then(|| EndpointOwner {
        install_id: text(names::LABEL_INSTALL_ID),
        namespace: text(names::LABEL_NAMESPACE),
        deployment: text(names::LABEL_DEPLOYMENT),
    })
}

/// Tags of an endpoint as the plan knows them; `None` where they are not ours.
#[must_use]
pub fn endpoint_tags(tags: &BedrockTags) -> Option<EndpointTags> {
    let text = |key: &str| tags.get(key).cloned();
    Some(EndpointTags {
        install_id: text(names::LABEL_INSTALL_ID)?,
        namespace: text(names::LABEL_NAMESPACE)?,
        deployment: text(names::LABEL_DEPLOYMENT)?,
        target: text(names::ANNOTATION_TARGET)?,
        offer: text(names::ANNOTATION_OFFER)?,
        shape: text(names::ANNOTATION_SHAPE)?,
        capacity_type: capacity_type(tags.get(names::ANNOTATION_CAPACITY_TYPE)?)?,
        slot: text(names::ANNOTATION_SLOT)?.parse().ok()?,
    })
}

fn capacity_type(text: &str) -> Option<CapacityType> {
    let all = [CapacityType::OnDemand, CapacityType::Spot, CapacityType::Reserved];
    all.into_iter().find(|one| one.as_str() == text)
}

/// An endpoint in a listing, beside its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedHere<'a> {
    /// Name.
    pub name: &'a str,
    /// Identity at the place.
    pub id: &'a str,
    /// True if it serves.
    pub is_ready: bool,
    /// Begin of its life, in RFC 3339.
    pub created: &'a str,
}

/// An endpoint in a listing as a rebuilt hub may adopt it; `None` where its tags do not give its name.
#[must_use]
pub fn found(listed: ListedHere<'_>, tags: &BedrockTags) -> Option<model::Found> {
    let record: String =
        (0..MAX_PARTS).map_while(|number| tags.get(&format!("{RECORD}{number}"))).map(String::as_str).collect();
    let record = BASE64.decode(record.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    endpoint_tags(tags)?.found(ListedEndpoint {
        name: listed.name,
        id: listed.id,
        accelerators: get(tags, ACCELERATORS).parse().unwrap_or(0),
        replicas: 1,
        ready_replicas: u32::from(listed.is_ready),
        record: &record.unwrap_or_default(),
        created_at: listed
            .created
            .parse::<jiff::Timestamp>()
            .map_or_else(|_| Timestamp::default(), |time| Timestamp(time.as_second())),
    })
}

/// The key of an endpoint of this name.
///
/// # Errors
/// [`invalid_key`] where it is none.
pub fn key(tags: &BedrockTags, name: &str) -> Result<Option<Redacted>, ProviderError> {
    match tags.get(KEY).filter(|key| names::is_api_key(key)) {
        Some(key) => Ok(Some(Redacted::new(key.clone()))),
        None => Err(invalid_key(BEDROCK.title, name)),
    }
}

#[cfg(test)]
mod tests {
    use roadstead_api::planning;
    use roadstead_conformance::request::record as endpoint_record;
    use roadstead_provider::record;

    use super::*;

    #[test]
    fn a_listed_model_is_found_again_with_what_it_runs() {
        let endpoint = endpoint_record(&names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 0));
        let record = record::record(&endpoint.spec).unwrap();
        let tags = tags("prod", &endpoint, "0f0f", record.as_deref(), "key", "hub");
        let name = endpoint.name_any();
        let listed = ListedHere { name: &name, id: "a1", is_ready: true, created: "2026-12-01T01:02:03.004Z" };
        let found = found(listed, &tags).unwrap();
        assert_eq!((found.deployment.name.as_str(), found.ready_replicas), ("llama", 1));
        assert_eq!(found.runs.unwrap().engine, "vllm");
        assert_eq!(owner(&tags).unwrap().namespace, "team");
        for (key, value) in &tags {
            let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || " ._:/=+@-".contains(c));
            assert!(plain(key) && plain(value) && key.len() <= 128 && value.len() <= MAX_VALUE, "{key}={value}");
        }
        assert!(tags.len() <= 50);
        assert_eq!(planning::capacity_type("OnDemand"), Some(found.capacity_type));
    }
}
