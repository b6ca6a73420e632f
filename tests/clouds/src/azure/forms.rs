//! Checks of bodies, as the service makes them.

use std::sync::OnceLock;

use jiff::SignedDuration;
use regex::Regex;
use serde_json::Value;

use super::endpoint::{OnlineEndpoint, capacity};
use super::fault::ArmFault;
use super::rules;
use super::settings::AzureSettings;

/// Most instances of a deployment.
const MOST_INSTANCES: u32 = 50;
/// Longest request in seconds.
const LONGEST_REQUEST: i64 = 180;

type Checked = Result<(), ArmFault>;

/// A name of an endpoint or a deployment ([`rules::NAMES`]).
pub fn name(name: &str) -> Checked {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = PATTERN.get_or_init(|| Regex::new("^[a-zA-Z]([a-zA-Z0-9]|-[a-zA-Z0-9]){2,31}$").ok());
    let fits = pattern.as_ref().is_some_and(|pattern| pattern.is_match(name)) && name.len() <= 32;
    fits.then_some(()).ok_or_else(|| ArmFault::invalid(&rules::NAMES, format!("The name {name} is not valid.")))
}

/// Tags of a resource ([`rules::TAGS`]).
pub fn tags(tags: &Value) -> Checked {
    let tags = match tags {
        Value::Null => return Ok(()),
        Value::Object(tags) => tags,
        _ => return Err(ArmFault::invalid(&rules::TAGS, "tags must be an object of texts.")),
    };
    let name = |name: &str| (1..=512).contains(&name.len()) && !name.contains(['<', '>', '%', '&', '\\', '?', '/']);
    let value = |value: &Value| value.as_str().is_some_and(|value| value.len() <= 256);
    if tags.len() <= 50 && tags.iter().all(|(key, text)| name(key) && value(text)) {
        return Ok(());
    }
    Err(ArmFault::new(
        400,
        "InvalidTag",
        &rules::TAGS,
        "A tag is too long, has a forbidden character, or there are too many.",
    ))
}

fn location(body: &Value, settings: &AzureSettings) -> Checked {
    if body["location"] == settings.location.as_str() {
        return Ok(());
    }
    let message = format!("The location {} is not that of the workspace, {}.", body["location"], settings.location);
    Err(ArmFault::new(400, "InvalidLocation", &rules::LOCATION, message))
}

/// An endpoint; `known` is the existing one ([`rules::TRAFFIC`]).
pub fn endpoint(body: &Value, known: Option<&OnlineEndpoint>, settings: &AzureSettings) -> Checked {
    location(body, settings)?;
    tags(&body["tags"])?;
    let properties = &body["properties"];
    if !matches!(properties["authMode"].as_str(), Some("Key" | "AMLToken" | "AADToken")) {
        return Err(ArmFault::invalid(&rules::AUTH_MODE, "properties.authMode must be Key, AMLToken or AADToken."));
    }
    let traffic: Vec<(&String, u64)> = properties["traffic"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, percent)| (name, percent.as_u64().unwrap_or(u64::MAX)))
        .collect();
    let exists = |name: &String| known.is_some_and(|known| known.deployments.contains_key(name));
    if let Some((missing, _)) = traffic.iter().find(|(name, _)| !exists(name)) {
        return Err(ArmFault::invalid(
            &rules::TRAFFIC,
            format!("Traffic names deployment {missing}, which does not exist."),
        ));
    }
    let sum = traffic.iter().fold(0_u64, |sum, (_, percent)| sum.saturating_add(*percent));
    if sum == 0 || sum == 100 {
        return Ok(());
    }
    Err(ArmFault::invalid(&rules::TRAFFIC, format!("Traffic must add up to 0 or 100, and is {sum}.")))
}

/// A number of instances ([`rules::INSTANCES`]).
pub fn instances(body: &Value) -> Checked {
    let count = capacity(body);
    let named = body["sku"]["name"].as_str().is_none_or(|name| name == "Default");
    if named && (1..=MOST_INSTANCES).contains(&count) {
        return Ok(());
    }
    Err(ArmFault::invalid(&rules::INSTANCES, format!("sku must be Default with a capacity of 1 to {MOST_INSTANCES}.")))
}

/// A deployment, without its environment.
pub fn deployment(body: &Value, settings: &AzureSettings) -> Checked {
    location(body, settings)?;
    tags(&body["tags"])?;
    instances(body)?;
    let properties = &body["properties"];
    if properties["endpointComputeType"] != "Managed" {
        return Err(ArmFault::invalid(&rules::INSTANCE_TYPE, "endpointComputeType must be Managed."));
    }
    let size = properties["instanceType"].as_str().unwrap_or_default();
    if !settings.instance_types.contains_key(size) {
        return Err(ArmFault::invalid(&rules::INSTANCE_TYPE, format!("The instance type {size} is not supported.")));
    }
    let timeout = properties["requestSettings"]["requestTimeout"].as_str();
    match timeout.map(|text| text.parse::<SignedDuration>().map(|time| time.as_secs())) {
        None => Ok(()),
        Some(Ok(seconds)) if (1..=LONGEST_REQUEST).contains(&seconds) => Ok(()),
        Some(_) => {
            Err(ArmFault::invalid(&rules::REQUEST_TIMEOUT, format!("requestTimeout is at most {LONGEST_REQUEST} s.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_has_3_to_32_letters_digits_and_single_dashes() {
        for good in ["llama-70b-abcdefghij12", "abc", "A1-b"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["ab", "1abc", "a--b", "abc-", &"a".repeat(33), "a_b"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_have_bounds() {
        assert!(tags(&json!({"roadstead-install-id": "prod"})).is_ok());
        for bad in
            [json!({"roadstead.dev/install-id": "prod"}), json!({"a": "x".repeat(257)}), json!({"a": 1}), json!([])]
        {
            assert!(tags(&bad).is_err(), "{bad}");
        }
    }
}
