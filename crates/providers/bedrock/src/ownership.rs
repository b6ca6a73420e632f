//! Tags: who made a model, for what, and in which form. Pure.

use data_encoding::BASE64;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{CapacityType, InferenceEndpoint, names};
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::tags::{EndpointTags, ListedEndpoint};
use roadstead_rest::EndpointOwner;

use crate::wire::{BedrockTags, ImportView, TaggedImport};

/// Digest of the form.
pub const FORM: &str = "roadstead.dev/form";
/// Key of the endpoint. AWS guards the model, so that the key opens nothing; a rebuilt hub reads it here.
pub const KEY: &str = "roadstead.dev/endpoint-key";
/// Name of the job that made it: the endpoint's identity at the place, because names of jobs are never used again.
pub const IMPORT: &str = "roadstead.dev/import";
/// UID of the hub that wrote the tags.
pub const HUB: &str = "roadstead.dev/hub-uid";
/// Mark of a failed job whose endpoint was removed.
pub const REMOVED: &str = "roadstead.dev/removed";
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

/// Identity of an endpoint at the place.
#[must_use]
pub fn uid(import: &TaggedImport) -> String {
    let last = || import.view.arn().rsplit('/').next().unwrap_or_default();
    import.tags.get(IMPORT).map_or_else(|| last().to_owned(), Clone::clone)
}

/// An endpoint in a listing as a rebuilt hub may adopt it; `None` where its tags do not give its name.
#[must_use]
pub fn found(import: &TaggedImport) -> Option<model::Found> {
    let TaggedImport { view, tags } = import;
    let (created, ready) = match view {
        ImportView::Model(model) => (&model.creation_time, true),
        ImportView::Job(job) => (&job.creation_time, false),
    };
    let record: String =
        (0..MAX_PARTS).map_while(|number| tags.get(&format!("{RECORD}{number}"))).map(String::as_str).collect();
    let record = BASE64.decode(record.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    endpoint_tags(tags)?.found(ListedEndpoint {
        name: view.name(),
        id: &uid(import),
        accelerators: get(tags, ACCELERATORS).parse().unwrap_or(0),
        replicas: 1,
        ready_replicas: u32::from(ready),
        record: &record.unwrap_or_default(),
        created_at: created
            .parse::<jiff::Timestamp>()
            .map_or_else(|_| Timestamp::default(), |time| Timestamp(time.as_second())),
    })
}

#[cfg(test)]
mod tests {
    use roadstead_api::planning;
    use roadstead_conformance::request::record as endpoint_record;
    use roadstead_provider::record;

    use super::*;
    use crate::wire::ImportedModelView;

    #[test]
    fn a_listed_model_is_found_again_with_what_it_runs() {
        let endpoint = endpoint_record(&names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 0));
        let record = record::record(&endpoint.spec).unwrap();
        let tags = tags("prod", &endpoint, "0f0f", record.as_deref(), "key", "hub");
        let view = ImportView::Model(ImportedModelView {
            model_arn: "arn:aws:bedrock:eu-west-1:123456789012:imported-model/000000000001".to_owned(),
            model_name: endpoint.name_any(),
            creation_time: "2026-12-01T01:02:03.004Z".to_owned(),
        });
        let found = found(&TaggedImport { view, tags: tags.clone() }).unwrap();
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
