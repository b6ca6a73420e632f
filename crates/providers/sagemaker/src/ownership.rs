//! Tags: who made a resource, for what, and in which form. Pure.

use data_encoding::BASE64;
use kube::ResourceExt;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{InferenceEndpoint, limits, names};
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::record;
use roadstead_rest::EndpointOwner;

use crate::wire::{EndpointRow, TagMap};

/// Number of instances that are wanted.
const REPLICAS: &str = "roadstead.dev/replicas";
/// Accelerators of one replica.
const ACCELERATORS: &str = "roadstead.dev/accelerators";
/// Parts of the record, numbered from 0: tag values are short, and know no braces.
const RECORD: &str = "roadstead.dev/record-";
/// Number of the parts.
const RECORD_PARTS: &str = "roadstead.dev/record-parts";
/// Characters of a tag's value.
const MAX_VALUE: usize = 256;
/// Parts of a record; a resource has at most 50 tags.
const MAX_PARTS: usize = 30;

/// States in which a listed endpoint serves.
const SERVING: [&str; 5] = ["InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed"];

/// Tags that say for what a resource was made. They never change.
#[must_use]
pub fn identity(install_id: &str, endpoint: &InferenceEndpoint) -> TagMap {
    let spec = &endpoint.spec;
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    TagMap::from([
        text(names::LABEL_INSTALL_ID, install_id),
        text(names::LABEL_NAMESPACE, &endpoint.namespace().unwrap_or_default()),
        text(names::LABEL_DEPLOYMENT, &spec.deployment_ref.name),
        text(names::ANNOTATION_TARGET, &spec.target),
        text(names::ANNOTATION_OFFER, &spec.offer),
        text(names::ANNOTATION_SHAPE, &spec.shape),
        text(names::ANNOTATION_CAPACITY_TYPE, spec.capacity_type.as_str()),
        text(names::ANNOTATION_SLOT, &spec.slot.to_string()),
        text(names::LABEL_MANAGED_BY, names::MANAGED_BY),
    ])
}

/// Tags that say in which form an endpoint is wanted. They follow each change.
#[must_use]
pub fn form(endpoint: &InferenceEndpoint, template_hash: &str, record: Option<&str>) -> TagMap {
    let spec = &endpoint.spec;
    let encoded = record.map(|record| BASE64.encode(record.as_bytes())).unwrap_or_default();
    let mut parts: Vec<&[u8]> = encoded.as_bytes().chunks(MAX_VALUE).collect();
    if parts.len() > MAX_PARTS {
        parts.clear();
    }
    let mut tags = TagMap::from([
        (REPLICAS.to_owned(), spec.replicas.to_string()),
        (ACCELERATORS.to_owned(), spec.accelerator.count.to_string()),
        (names::ANNOTATION_TEMPLATE_HASH.to_owned(), template_hash.to_owned()),
        (RECORD_PARTS.to_owned(), parts.len().to_string()),
    ]);
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    tags.extend(parts.into_iter().enumerate().map(|(number, part)| (format!("{RECORD}{number}"), text(part))));
    tags
}

/// True if a resource has the identity `ours`. The offer is not part of a name: what was made for another offer of the same
/// name is ours all the same.
#[must_use]
pub fn is_ours(tags: &TagMap, ours: &TagMap) -> bool {
    ours.iter().all(|(key, value)| key == names::ANNOTATION_OFFER || tags.get(key) == Some(value))
}

/// Owner of a resource by its tags; `None` where it was not made by Roadstead.
#[must_use]
pub fn owner(tags: &TagMap) -> Option<EndpointOwner> {
    let text = |key: &str| get(tags, key).to_owned();
    tags.contains_key(names::LABEL_INSTALL_ID).then(|| EndpointOwner {
        install_id: text(names::LABEL_INSTALL_ID),
        namespace: text(names::LABEL_NAMESPACE),
        deployment: text(names::LABEL_DEPLOYMENT),
    })
}

/// True if this installation made a resource for a deployment in `namespace`.
#[must_use]
pub fn is_tagged(tags: &TagMap, install_id: &str, namespace: &str) -> bool {
    get(tags, names::LABEL_INSTALL_ID) == install_id && get(tags, names::LABEL_NAMESPACE) == namespace
}

/// Value of a tag; empty if there is none.
#[must_use]
pub fn get<'a>(tags: &'a TagMap, key: &str) -> &'a str {
    tags.get(key).map_or("", String::as_str)
}

/// The record in the tags.
fn record_in(tags: &TagMap) -> Option<String> {
    let parts: usize = get(tags, RECORD_PARTS).parse().ok().filter(|parts| (1..=MAX_PARTS).contains(parts))?;
    let parts: Option<String> = (0..parts).map(|number| tags.get(&format!("{RECORD}{number}")).cloned()).collect();
    String::from_utf8(BASE64.decode(parts?.as_bytes()).ok()?).ok()
}

/// Identity of an endpoint at the place: names are used again, times are not.
#[must_use]
pub fn uid(creation_time: f64) -> String {
    // Seconds since 1970 with milliseconds: exact in an f64.
    format!("{creation_time:.3}")
}

/// A listed endpoint as a rebuilt hub may adopt it; `None` where its tags do not give its name. One that is being deleted is billed until it is
/// gone.
#[must_use]
pub fn found(row: &EndpointRow, tags: &TagMap) -> Option<model::Found> {
    let text = |key: &str| get(tags, key);
    let (namespace, deployment) = (text(names::LABEL_NAMESPACE), text(names::LABEL_DEPLOYMENT));
    let (target, offer) = (text(names::ANNOTATION_TARGET), text(names::ANNOTATION_OFFER));
    let shape = text(names::ANNOTATION_SHAPE);
    let capacity_type = planning::capacity_type(text(names::ANNOTATION_CAPACITY_TYPE))?;
    let slot: u32 = text(names::ANNOTATION_SLOT).parse().ok()?;
    let name = names::endpoint_name(
        text(names::LABEL_INSTALL_ID),
        namespace,
        deployment,
        target,
        shape,
        capacity_type.as_str(),
        slot,
    );
    let ours = names::are_tags(namespace, deployment, target, offer, shape) && slot <= limits::LAST_SLOT;
    if name != row.endpoint_name || !ours {
        return None;
    }
    let replicas = text(REPLICAS).parse().unwrap_or(1);
    Some(model::Found {
        id: uid(row.creation_time),
        name,
        deployment: model::DeploymentId { namespace: namespace.to_owned(), name: deployment.to_owned() },
        target: target.to_owned(),
        offer: offer.to_owned(),
        shape: shape.to_owned(),
        capacity_type,
        slot,
        accelerators: text(ACCELERATORS).parse().unwrap_or(0),
        replicas,
        ready_replicas: if SERVING.contains(&row.endpoint_status.as_str()) { replicas } else { 0 },
        runs: record_in(tags).and_then(|record| record::runs(&record)),
        created_at: seconds(row.creation_time),
    })
}

/// A time of the service in whole seconds. One that no clock shows is the beginning of time.
#[must_use]
pub fn seconds(time: f64) -> Timestamp {
    let whole = time.floor();
    // Below 2^53, every second is a whole number in an f64.
    #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
    let known = (0.0..9_007_199_254_740_992.0).contains(&whole).then_some(whole as i64);
    known.map_or(Timestamp::default(), Timestamp)
}

#[cfg(test)]
mod tests {
    use roadstead_conformance::request::record as endpoint_record;

    use super::*;

    const HASH: &str = "0f0f";

    fn endpoint() -> InferenceEndpoint {
        endpoint_record(&names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 0))
    }

    fn tags(record: Option<&str>) -> TagMap {
        let endpoint = endpoint();
        identity("prod", &endpoint).into_iter().chain(form(&endpoint, HASH, record)).collect()
    }

    fn row(status: &str) -> EndpointRow {
        EndpointRow {
            endpoint_name: endpoint().name_any(),
            endpoint_status: status.to_owned(),
            creation_time: 1_764_550_000.125,
            last_modified_time: 1_764_550_000.125,
        }
    }

    #[test]
    fn a_listed_endpoint_is_found_again_with_what_it_runs() {
        let record = record::record(&endpoint().spec).unwrap();
        let found = found(&row("InService"), &tags(record.as_deref())).unwrap();
        assert_eq!((found.deployment.name.as_str(), found.target.as_str(), found.replicas), ("llama", "east", 1));
        assert_eq!(
            (found.ready_replicas, found.created_at, found.id.as_str()),
            (1, Timestamp(1_764_550_000), "1764550000.125")
        );
        let runs = found.runs.unwrap();
        assert_eq!((runs.accelerator.kind.as_str(), runs.engine.as_str()), ("H100", "vllm"));
    }

    #[test]
    fn every_tag_is_one_that_the_service_takes() {
        let long = "x".repeat(5000);
        for (key, value) in tags(Some(&long)) {
            let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "_.:/=+-@ ".contains(c));
            assert!(plain(&key) && plain(&value) && key.len() <= 128 && value.len() <= MAX_VALUE, "{key}={value}");
        }
        assert!(tags(Some(&long)).len() <= 50);
    }

    #[test]
    fn a_record_that_is_too_long_is_left_out_and_the_endpoint_found_all_the_same() {
        let found = found(&row("Creating"), &tags(Some(&"x".repeat(6000)))).unwrap();
        assert_eq!((found.runs, found.ready_replicas), (None, 0));
    }

    #[test]
    fn what_has_the_name_of_another_endpoint_is_not_found() {
        assert!(found(&row("Deleting"), &tags(None)).is_some_and(|found| found.ready_replicas == 0), "it is billed");
        let other = EndpointRow { endpoint_name: "other".to_owned(), ..row("InService") };
        assert!(found(&other, &tags(None)).is_none());
        let mut alien = tags(None);
        alien.insert(names::LABEL_NAMESPACE.to_owned(), "../team".to_owned());
        assert!(found(&row("InService"), &alien).is_none());
    }

    #[test]
    fn another_offer_is_the_same_endpoint_and_another_installation_is_not() {
        let (ours, mut tags) = (identity("prod", &endpoint()), tags(None));
        tags.insert(names::ANNOTATION_OFFER.to_owned(), "other".to_owned());
        assert!(is_ours(&tags, &ours));
        tags.insert(names::LABEL_INSTALL_ID.to_owned(), "staging".to_owned());
        assert!(!is_ours(&tags, &ours) && is_tagged(&tags, "staging", "team"));
    }

    #[test]
    fn a_time_that_no_clock_shows_is_the_beginning_of_time() {
        assert_eq!([seconds(-1.0), seconds(f64::NAN), seconds(1e300)], [Timestamp::default(); 3]);
        assert_eq!(seconds(1.9), Timestamp(1));
    }
}
