//! Labels: who made a resource, for what, and in which form. Pure.
//!
//! Labels have at most 63 lower-case letters, digits, `_` and `-`, so texts are written in base32, in parts.

use data_encoding::{BASE32_NOPAD, Encoding};
use jiff::Timestamp as Instant;
use kube::ResourceExt;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::tags::{EndpointTags, ListedEndpoint};
use roadstead_rest::EndpointOwner;
use serde::{Deserialize, Serialize};

use crate::wire::{DeployedView, LabelMap, VertexView, id_of};

/// Installation.
pub const INSTALL_ID: &str = "roadstead-install-id";
/// Namespace of the deployment.
pub const NAMESPACE: &str = "roadstead-namespace";
/// Deployment, for bills.
const DEPLOYMENT: &str = "roadstead-deployment";
/// Endpoint of a model.
pub const ENDPOINT: &str = "roadstead-endpoint";
/// Latest change that was asked for: form, replicas, and the second before the call.
pub const ATTEMPT: &str = "roadstead-attempt";
/// Parts of the mark, numbered from 0.
const MARK: &str = "roadstead-mark-";
/// Parts of the record, numbered from 0.
const RECORD: &str = "roadstead-record-";
/// Characters of a label's value.
const MAX_VALUE: usize = 63;
/// Parts of a text; a resource has at most 64 labels.
const MAX_PARTS: usize = 44;

/// Tags of an endpoint, and the form in which it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointMark {
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

impl EndpointMark {
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
    pub fn is_on(&self, view: &VertexView) -> bool {
        Self::read(&view.labels).is_some_and(|mark| mark.tags.is_same_endpoint(&self.tags))
    }

    /// The mark in labels; `None` where they are not ours.
    #[must_use]
    pub fn read(labels: &LabelMap) -> Option<Self> {
        serde_json::from_str(&text_in(labels, MARK)?).ok()
    }
}

/// Base32 in lower case.
fn encoding() -> Encoding {
    let mut specification = BASE32_NOPAD.specification();
    specification.symbols = specification.symbols.to_lowercase();
    specification.encoding().unwrap_or(BASE32_NOPAD)
}

/// A text as labels; none where it is too long.
fn parts(label: &str, text: &str) -> LabelMap {
    let encoded = encoding().encode(text.as_bytes());
    let parts: Vec<&[u8]> = encoded.as_bytes().chunks(MAX_VALUE).collect();
    let fitting = parts.into_iter().take_while(|_| encoded.len() <= MAX_PARTS * MAX_VALUE);
    let value = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    fitting.enumerate().map(|(number, part)| (format!("{label}{number}"), value(part))).collect()
}

/// The text that labels hold in parts.
fn text_in(labels: &LabelMap, label: &str) -> Option<String> {
    let parts = (0..MAX_PARTS).map_while(|number| labels.get(&format!("{label}{number}")));
    let encoded: String = parts.map(String::as_str).collect();
    String::from_utf8(encoding().decode(encoded.as_bytes()).ok()?).ok()
}

/// Labels of an endpoint.
///
/// # Errors
/// If the mark cannot be written as JSON, which would be a defect.
pub fn labels(mark: &EndpointMark, record: Option<&str>) -> Result<LabelMap, serde_json::Error> {
    let EndpointTags { install_id, namespace, deployment, .. } = &mark.tags;
    let text = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    let mut labels =
        LabelMap::from([text(INSTALL_ID, install_id), text(NAMESPACE, namespace), text(DEPLOYMENT, deployment)]);
    labels.extend(parts(MARK, &serde_json::to_string(mark)?));
    labels.extend(parts(RECORD, record.unwrap_or_default()));
    Ok(labels)
}

/// Labels of a model of this endpoint.
#[must_use]
pub fn labels_of_model(install_id: &str, endpoint: &InferenceEndpoint) -> LabelMap {
    model_of(install_id, &endpoint.namespace().unwrap_or_default(), &endpoint.name_any())
}

/// Labels that every model of an endpoint has.
#[must_use]
pub fn model_of(install_id: &str, namespace: &str, endpoint: &str) -> LabelMap {
    let text = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    LabelMap::from([text(INSTALL_ID, install_id), text(NAMESPACE, namespace), text(ENDPOINT, endpoint)])
}

/// True if a resource has all of these labels.
#[must_use]
pub fn has(labels: &LabelMap, wanted: &LabelMap) -> bool {
    wanted.iter().all(|(label, value)| labels.get(label) == Some(value))
}

/// Owner of a resource by its labels; `None` where it was not made by Roadstead.
#[must_use]
pub fn owner(labels: &LabelMap) -> Option<EndpointOwner> {
    let text = |label: &str| get(labels, label).to_owned();
    labels.contains_key(INSTALL_ID).then(|| EndpointOwner {
        install_id: text(INSTALL_ID),
        namespace: text(NAMESPACE),
        deployment: text(DEPLOYMENT),
    })
}

/// Value of a label; empty if there is none.
#[must_use]
pub fn get<'a>(labels: &'a LabelMap, label: &str) -> &'a str {
    labels.get(label).map_or("", String::as_str)
}

/// Identity of an endpoint at the place: names are used again, times are not.
#[must_use]
pub fn uid(view: &VertexView) -> String {
    view.create_time.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A time of the service in whole seconds; one that is none is the beginning of time.
#[must_use]
pub fn seconds(time: &str) -> Timestamp {
    time.parse::<Instant>().map_or_else(|_| Timestamp::default(), |time| Timestamp(time.as_second()))
}

/// A listed endpoint as a rebuilt hub may adopt it; `None` where its labels do not give its name.
#[must_use]
pub fn found(view: &VertexView) -> Option<model::Found> {
    let mark = EndpointMark::read(&view.labels)?;
    let ready: i32 = view.deployed_models.iter().map(DeployedView::available).sum();
    mark.tags.found(ListedEndpoint {
        name: id_of(&view.name),
        id: &uid(view),
        accelerators: mark.accelerators,
        replicas: mark.replicas,
        ready_replicas: u32::try_from(ready).unwrap_or(0).min(mark.replicas),
        record: &text_in(&view.labels, RECORD).unwrap_or_default(),
        created_at: seconds(&view.create_time),
    })
}

#[cfg(test)]
mod tests {
    use roadstead_api::v1alpha1::names;
    use roadstead_conformance::request::record as endpoint_record;
    use roadstead_provider::record;

    use super::*;

    fn endpoint() -> InferenceEndpoint {
        endpoint_record(&names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 0))
    }

    fn view(record: Option<&str>) -> VertexView {
        let labels = labels(&EndpointMark::of("prod", &endpoint(), "0f0f"), record).unwrap();
        VertexView {
            name: format!("projects/1/locations/europe-west4/endpoints/{}", endpoint().name_any()),
            labels,
            deployed_models: Vec::new(),
            traffic_split: [].into(),
            dedicated_endpoint_dns: String::new(),
            create_time: "2026-12-01T01:02:03.004Z".to_owned(),
        }
    }

    #[test]
    fn a_listed_endpoint_is_found_again_with_what_it_runs() {
        let record = record::record(&endpoint().spec).unwrap();
        let found = found(&view(record.as_deref())).unwrap();
        assert_eq!((found.deployment.name.as_str(), found.target.as_str(), found.replicas), ("llama", "east", 1));
        assert_eq!((found.id.as_str(), found.created_at), ("20261201T010203004Z", Timestamp(1_796_086_923)));
        let runs = found.runs.unwrap();
        assert_eq!((runs.accelerator.kind.as_str(), runs.engine.as_str()), ("H100", "vllm"));
    }

    #[test]
    fn every_label_is_one_that_the_service_takes() {
        let record = "x".repeat(MAX_PARTS * MAX_VALUE * 5 / 8);
        let labels = view(Some(&record)).labels;
        for (label, value) in &labels {
            let plain = |text: &str| text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
            assert!(plain(label) && plain(value) && label.len() <= 63 && value.len() <= 63, "{label}={value}");
        }
        assert!(labels.len() < 64, "{}", labels.len());
        assert_eq!(text_in(&labels, RECORD).as_deref(), Some(record.as_str()));
    }

    #[test]
    fn a_record_that_is_too_long_is_left_out_and_the_endpoint_found_all_the_same() {
        assert_eq!(found(&view(Some(&"x".repeat(2000)))).map(|found| found.runs), Some(None));
    }

    #[test]
    fn what_has_the_name_of_another_endpoint_is_not_found() {
        assert!(
            found(&VertexView { name: "projects/1/locations/l/endpoints/other".to_owned(), ..view(None) }).is_none()
        );
        let mut alien = view(None);
        alien.labels.remove("roadstead-mark-0");
        assert!(found(&alien).is_none());
    }
}
