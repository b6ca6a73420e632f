//! Requests as the service's document has them: members, their types, and their limits.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

/// A member of an object: its name, whether it must be there, and what its value must be.
type Member = (&'static str, bool, fn(&Value) -> bool);

/// Bytes of a name.
const NAME_BYTES: RangeInclusive<usize> = 1..=255;
/// Entries of a page by default, and at most.
const PAGE: (usize, usize) = (20, 200);

const SPEC: &[Member] = &[
    ("version", true, is_whole),
    ("region", true, |value| value.as_str().is_some_and(is_region)),
    ("vpc", true, |value| value["uuid"].as_str().is_some_and(is_uuid)),
    ("enable_public_endpoint", true, Value::is_boolean),
    ("model_deployments", true, |value| value.as_array().is_some_and(|all| !all.is_empty())),
];
const DEPLOYMENT: &[Member] = &[
    ("model_id", false, Value::is_string),
    ("model_slug", false, Value::is_string),
    ("model_provider", false, |value| value == "hugging_face"),
    ("workload_config", false, Value::is_object),
    ("accelerators", false, Value::is_array),
];
const ACCELERATOR: &[Member] = &[
    ("scale", true, |value| is_whole(value) && value.as_f64() >= Some(1.0)),
    ("type", true, Value::is_string),
    ("accelerator_slug", true, Value::is_string),
    ("status", false, |value| ["new", "provisioning", "active"].iter().any(|status| value == status)),
];

/// The first member of a spec that breaks the document. The name is another rule.
pub fn fault_of_spec(spec: &Value) -> Option<String> {
    broken("spec", spec, SPEC).or_else(|| {
        let deployments = entries("spec.model_deployments", &spec["model_deployments"]);
        first(deployments, |at, deployment| {
            let accelerators = entries(&format!("{at}.accelerators"), &deployment["accelerators"]);
            broken(at, deployment, DEPLOYMENT)
                .or_else(|| first(accelerators, |at, accelerator| broken(at, accelerator, ACCELERATOR)))
        })
    })
}

/// The first of the tokens for providers that breaks the document, where `known` are all that it has, if it names them.
pub fn fault_of_tokens(tokens: Option<&Value>, known: Option<&[&str]>) -> Option<String> {
    let tokens = tokens?;
    let Some(members) = tokens.as_object() else {
        return Some("access_tokens: is no object".to_owned());
    };
    let fits = |(name, value): &(&String, &Value)| {
        value.is_string() && known.is_none_or(|known| known.contains(&name.as_str()))
    };
    members.iter().find(|member| !fits(member)).map(|(name, _)| format!("access_tokens.{name}: is not allowed"))
}

/// True for a name of an instance or a token.
pub fn is_name(name: &Value) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    name.as_str().is_some_and(|name| NAME_BYTES.contains(&name.len()) && name.bytes().all(plain))
}

/// Number of a page, and of its entries.
///
/// # Errors
/// The parameter that breaks the document.
pub fn page(query: &BTreeMap<String, String>) -> Result<(usize, usize), String> {
    let number = |name: &str, default: usize, most: usize| match query.get(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| format!("{name}: is not a number from 1 to {most}")),
    };
    Ok((number("page", 1, usize::MAX)?, number("per_page", PAGE.0, PAGE.1)?))
}

/// True for a region that has dedicated inference.
pub fn is_region(region: &str) -> bool {
    ["atl1", "nyc2", "tor1"].contains(&region)
}

fn is_whole(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// The first member that is missing or wrong, with its path.
fn broken(at: &str, object: &Value, members: &[Member]) -> Option<String> {
    if !object.is_object() {
        return Some(format!("{at}: is no object"));
    }
    members.iter().find_map(|(name, is_required, fits)| match object.get(*name) {
        None => is_required.then(|| format!("{at}.{name}: a required field is missing")),
        Some(value) => (!fits(value)).then(|| format!("{at}.{name}: is not what it must be")),
    })
}

/// The entries of a list with their paths.
fn entries<'a>(at: &str, list: &'a Value) -> Vec<(String, &'a Value)> {
    let all = list.as_array().into_iter().flatten();
    all.enumerate().map(|(number, entry)| (format!("{at}[{number}]"), entry)).collect()
}

/// The first fault of the entries.
fn first(entries: Vec<(String, &Value)>, fault: impl Fn(&str, &Value) -> Option<String>) -> Option<String> {
    entries.into_iter().find_map(|(at, entry)| fault(&at, entry))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_is_held_to_the_document_down_to_its_accelerators() {
        let whole = json!({
            "version": 1, "name": "e", "region": "nyc2", "vpc": {"uuid": "997615ce-132d-4bae-9270-9ee21b395e5d"},
            "enable_public_endpoint": true, "model_deployments": [{
                "model_slug": "example/llama", "model_provider": "hugging_face",
                "accelerators": [{"accelerator_slug": "gpu-h100x1-80gb", "scale": 1, "type": "prefill_decode"}],
            }],
        });
        assert_eq!(fault_of_spec(&whole), None);
        for (pointer, wrong) in [
            ("/version", json!("1")),
            ("/region", json!("mars")),
            ("/vpc/uuid", json!("v")),
            ("/enable_public_endpoint", json!("yes")),
            ("/model_deployments", json!([])),
            ("/model_deployments/0/model_slug", json!({})),
            ("/model_deployments/0/model_provider", json!("other")),
            ("/model_deployments/0/accelerators/0", json!({"scale": 1, "type": "t"})),
            ("/model_deployments/0/accelerators/0/scale", json!(0)),
            ("/model_deployments/0/accelerators/0/scale", json!(1.5)),
            ("/model_deployments/0/accelerators/0/type", json!({})),
        ] {
            let mut spec = whole.clone();
            *spec.pointer_mut(pointer).unwrap() = wrong;
            let first = pointer.split('/').nth(1).unwrap();
            assert!(fault_of_spec(&spec).unwrap().contains(first), "{pointer}");
        }
    }

    #[test]
    fn a_page_is_within_its_limits() {
        let asked = |query: &str| page(&crate::query::pairs(query));
        assert_eq!(asked(""), Ok((1, 20)));
        assert_eq!(asked("page=3&per_page=200"), Ok((3, 200)));
        for wrong in ["page=0", "page=a", "per_page=0", "per_page=201", "per_page="] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }
}
