//! One online endpoint with its deployments, and the bill.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::kept::Visibility;

/// A deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineDeployment {
    /// The body of the request.
    pub form: Value,
    pub state: &'static str,
    pub capacity: u32,
    pub created: i64,
    pub modified: i64,
    /// Begin of the time that is not in the bill yet.
    billed_from: i64,
}

impl OnlineDeployment {
    /// A deployment that begins now.
    pub fn new(form: Value, now: i64) -> Self {
        let capacity = capacity(&form);
        Self { form, state: "Creating", capacity, created: now, modified: now, billed_from: now }
    }

    /// True if its instances answer ([`super::rules::SERVING`]).
    pub fn serves(&self) -> bool {
        matches!(self.state, "Succeeded" | "Scaling" | "Updating") || (self.state == "Failed" && self.was_up())
    }

    /// True if it has been up: a deployment whose first attempt fails has no instances.
    fn was_up(&self) -> bool {
        self.form["wasUp"] == json!(true)
    }

    /// Notes that its instances are up.
    pub fn is_up(&mut self) {
        self.form["wasUp"] = json!(true);
    }

    pub fn instance_type(&self) -> &str {
        self.form["properties"]["instanceType"].as_str().unwrap_or_default()
    }

    /// Instances that exist.
    pub fn instances(&self) -> u32 {
        if self.state == "Failed" && !self.was_up() { 0 } else { self.capacity }
    }

    /// Instance-milliseconds since this was asked last ([`super::rules::BILLED`]).
    pub fn bill(&mut self, now: i64) -> i64 {
        let since = std::mem::replace(&mut self.billed_from, now);
        i64::from(self.instances()) * (now - since).max(0)
    }

    /// The deployment as the service shows it.
    pub fn shown(&self, id: &str) -> Value {
        let mut shown = self.form.clone();
        if let Some(members) = shown.as_object_mut() {
            members.remove("wasUp");
        }
        shown["sku"]["capacity"] = json!(self.capacity);
        shown["properties"]["provisioningState"] = json!(self.state);
        let kind = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments";
        with_head(shown, (id, kind), [self.created, self.modified])
    }
}

/// An online endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineEndpoint {
    /// The body of the request, without keys.
    pub form: Value,
    pub keys: [String; 2],
    pub state: &'static str,
    pub created: i64,
    pub modified: i64,
    pub deployments: BTreeMap<String, OnlineDeployment>,
    pub visibility: Visibility,
}

impl OnlineEndpoint {
    /// Percentage of traffic by deployment.
    pub fn traffic(&self) -> BTreeMap<String, u64> {
        let traffic = self.form["properties"]["traffic"].as_object().into_iter().flatten();
        traffic.map(|(name, percent)| (name.clone(), percent.as_u64().unwrap_or(0))).collect()
    }

    /// The deployment that takes requests.
    pub fn serving(&self) -> Option<&OnlineDeployment> {
        let traffic = self.traffic();
        let takes = |name: &String| traffic.get(name).is_some_and(|percent| *percent > 0);
        self.deployments.iter().find(|(name, known)| takes(name) && known.serves()).map(|(_, known)| known)
    }

    /// The endpoint as the service shows it: `id` is its resource id, `host` the origin of its address.
    pub fn shown(&self, id: &str, host: &str) -> Value {
        let mut shown = self.form.clone();
        shown["properties"]["provisioningState"] = json!(self.state);
        shown["properties"]["scoringUri"] = json!(format!("{host}/score"));
        if shown["properties"]["traffic"].is_null() {
            shown["properties"]["traffic"] = json!({});
        }
        let kind = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints";
        with_head(shown, (id, kind), [self.created, self.modified])
    }
}

/// The resource with what every resource has.
pub fn with_head(mut shown: Value, (id, kind): (&str, &str), [created, modified]: [i64; 2]) -> Value {
    shown["id"] = json!(id);
    shown["name"] = json!(id.rsplit('/').next());
    shown["type"] = json!(kind);
    shown["systemData"] = json!({"createdAt": rfc3339(created), "lastModifiedAt": rfc3339(modified)});
    shown
}

/// Instances that a body asks for.
pub fn capacity(form: &Value) -> u32 {
    form["sku"]["capacity"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_billed_from_the_request_for_their_deployment_until_it_fails() {
        let form = json!({"sku": {"name": "Default", "capacity": 2}, "properties": {"instanceType": "a"}});
        let mut deployment = OnlineDeployment::new(form, 1_000);
        assert_eq!([deployment.bill(61_000), deployment.bill(62_000)], [120_000, 2_000]);
        deployment.state = "Failed";
        assert_eq!((deployment.bill(99_000), deployment.serves()), (0, false));
        deployment.is_up();
        assert_eq!((deployment.bill(100_000), deployment.serves()), (2_000, true));
    }
}
