//! Changes by a member's admission to our writes: distinguished from manual changes, and kept.
//!
//! A mutating policy or webhook puts other values in the place of ours: an image of a mirror, larger requests, more
//! tolerations. Writing ours again would have the same result for ever, or, if the policy applies to creations only,
//! would restart pods without a reason. So each object carries a record of what was wanted when it was written
//! last ([`ANNOTATION_APPLIED`]). Where that is what is wanted now, and the server counts the field as set by us, its
//! value is what admission made of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::differences::{Difference, Path, Step, differences};
use super::mark::{MemberObject, to_value};
use super::ownership::Owned;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{ProviderError, Redacted};

/// Wanted state of an object at our last write, without the pod template, which has its own annotation.
pub const ANNOTATION_APPLIED: &str = "roadstead.dev/applied";

/// Maximum number of remembered objects, including deleted ones.
const MAX_OBJECTS: usize = 10_000;

/// Differences between a live object and the wanted one.
#[derive(Debug, Default)]
pub struct JudgedFields {
    /// Somebody changed it, or something else is wanted now: it is written.
    pub due: Vec<Difference>,
    /// The member's admission made it of what we wrote: it stays.
    pub admitted: Vec<Difference>,
    /// Since it was written last nothing but plain values have changed, so that an apply leaves nothing behind.
    pub only_values: bool,
}

/// Changes by admission to our writes, by the UID of each object. The record on the member does not survive a manual
/// edit; if this is lost too, our values return.
#[derive(Default)]
pub struct Admissions(Mutex<HashMap<String, Vec<Difference>>>);

impl Admissions {
    /// Keeps what differs in `live`, which says what the server makes of our writes.
    pub fn learn<K: MemberObject>(&self, live: &K, admitted: Vec<Difference>) {
        let Some(uid) = live.uid() else { return };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.is_empty() {
            known.remove(&uid);
            return;
        }
        if known.len() >= MAX_OBJECTS {
            known.clear();
        }
        known.insert(uid, admitted);
    }

    fn of<K: MemberObject>(&self, live: &K) -> Vec<Difference> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        live.uid().and_then(|uid| known.get(&uid).cloned()).unwrap_or_default()
    }

    /// Separates changes by admission from all other differences; `key` is the endpoint's API key.
    ///
    /// # Errors
    /// `Bug` if one of them cannot be written as JSON.
    pub fn judge<K: MemberObject>(&self, live: &K, wanted: &K, key: &Redacted) -> Result<JudgedFields, ProviderError> {
        let value = to_value(wanted)?;
        let (known, owned) = (self.of(live), Owned::of(live.managed_fields()));
        let (now, before) = (record(&value, key), recorded(live));
        let same = |path: &Path| {
            let (now, before) =
                if in_template(path) { (&value, before.get("template")) } else { (&now, before.get("object")) };
            let (now, before) = (path.get(now), before.and_then(|before| path.get(before)));
            now.is_some() && now == before
        };
        let mut judged = JudgedFields { only_values: only_values(&before, &now, &value), ..JudgedFields::default() };
        for difference in differences(&to_value(live)?, &value) {
            let by_admission =
                (owned.includes(&difference.path, &value) && same(&difference.path)) || known.contains(&difference);
            if by_admission { judged.admitted.push(difference) } else { judged.due.push(difference) }
        }
        Ok(judged)
    }

    /// Values to send instead of those of ours that admission has changed before: the live ones, and those before a
    /// manual edit.
    #[must_use]
    pub fn kept<K: MemberObject>(&self, live: &K, judged: &JudgedFields) -> Vec<Difference> {
        let again =
            |known: &Difference| judged.due.iter().any(|due| due.path == known.path && due.wanted == known.wanted);
        let known = self.of(live).into_iter().filter(again);
        judged.admitted.iter().cloned().chain(known).filter(|kept| kept.live.is_some()).collect()
    }
}

/// Record of a wanted object: without its template and its record, which are separate annotations, and with digests
/// instead of a Secret's values.
#[must_use]
pub fn record(wanted: &Value, key: &Redacted) -> Value {
    let mut record = wanted.clone();
    if let Some(annotations) = record.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(names::ANNOTATION_TEMPLATE);
        annotations.remove(names::ANNOTATION_RECORD);
    }
    if let Some(spec) = record.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("template");
    }
    for value in record.get_mut("data").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        // With the endpoint's key in it, so that a short value cannot be guessed from its digest.
        let digest = Sha256::new().chain_update(key.expose()).chain_update(value.to_string()).finalize();
        *value = json!(HEXLOWER.encode(&digest));
    }
    record
}

/// Wanted state at our last write, from the live object.
fn recorded<K: MemberObject>(live: &K) -> Value {
    let text = |annotation: &str| live.annotations().get(annotation).map(String::as_str).unwrap_or_default();
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let mut recorded = Map::new();
    recorded.extend(parsed(text(ANNOTATION_APPLIED)).map(|object| ("object".to_owned(), object)));
    let template = parsed(text(names::ANNOTATION_TEMPLATE));
    recorded.extend(template.map(|template| ("template".to_owned(), json!({"spec": {"template": template}}))));
    Value::Object(recorded)
}

/// True if the wanted state differs from the recorded one only in plain values, outside of lists and of the template.
fn only_values(before: &Value, now: &Value, wanted: &Value) -> bool {
    let plain = |difference: &Difference| {
        let value = |value: &Value| !value.is_object() && !value.is_array();
        let fields = difference.path.0.iter().all(|step| matches!(step, Step::Field(_)));
        fields && value(&difference.wanted) && difference.live.as_ref().is_some_and(value)
    };
    let same_template = before.pointer("/template/spec/template") == wanted.pointer("/spec/template");
    same_template && before.get("object").is_some_and(|before| differences(now, before).iter().all(plain))
}

fn in_template(path: &Path) -> bool {
    let field = |step: Option<&Step>, name: &str| matches!(step, Some(Step::Field(field)) if field == name);
    field(path.0.first(), "spec") && field(path.0.get(1), "template")
}
