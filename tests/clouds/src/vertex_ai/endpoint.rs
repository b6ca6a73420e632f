//! One endpoint with its deployed models, and the bill.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::kept::Visibility;

/// A model that is deployed.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployed {
    pub id: String,
    /// The body of the request.
    pub form: Value,
    pub created: i64,
    /// None of its replicas is available.
    pub is_lost: bool,
    /// Begin of the time that is not in the bill yet.
    billed_from: i64,
}

impl Deployed {
    /// A model whose deployment began at `began` and ended at `ended`.
    pub fn new(id: String, form: Value, began: i64, ended: i64) -> Self {
        Self { id, form, created: ended, is_lost: false, billed_from: began }
    }

    pub fn replicas(&self) -> u32 {
        count(&self.form["dedicatedResources"]["minReplicaCount"])
    }

    /// Last part of the name of its model.
    pub fn model(&self) -> &str {
        last(self.form["model"].as_str().unwrap_or_default())
    }

    /// Replica-milliseconds since this was asked last.
    pub fn bill(&mut self, now: i64) -> i64 {
        let since = std::mem::replace(&mut self.billed_from, now);
        i64::from(self.replicas()) * (now - since).max(0)
    }

    /// The deployed model as the service shows it ([`super::rules::STATUS`]).
    fn shown(&self) -> Value {
        let mut shown = self.form.clone();
        shown["id"] = json!(self.id);
        shown["createTime"] = json!(rfc3339(self.created));
        shown["modelVersionId"] = json!("1");
        let available = if self.is_lost { 0 } else { self.replicas() };
        shown["status"] = json!({"availableReplicaCount": available, "lastUpdateTime": rfc3339(self.created)});
        shown
    }
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct VertexEndpoint {
    /// The body of the request.
    pub form: Value,
    pub created: i64,
    pub updated: i64,
    pub deployed: Vec<Deployed>,
    pub traffic: BTreeMap<String, u32>,
    pub visibility: Visibility,
}

impl VertexEndpoint {
    /// The endpoint of this name as the service shows it ([`super::rules::DNS`]).
    pub fn shown(&self, name: &str) -> Value {
        let mut shown = self.form.clone();
        shown["name"] = json!(name);
        shown["createTime"] = json!(rfc3339(self.created));
        shown["updateTime"] = json!(rfc3339(self.updated));
        shown["etag"] = json!(format!("etag-{}", self.updated));
        if self.is_dedicated() {
            let part = |at: usize| name.split('/').nth(at).unwrap_or_default();
            let dns = format!("{}.{}-{}.prediction.vertexai.goog", part(5), part(3), part(1));
            shown["dedicatedEndpointDns"] = json!(dns);
        }
        if !self.deployed.is_empty() {
            shown["deployedModels"] = self.deployed.iter().map(Deployed::shown).collect();
            shown["trafficSplit"] = json!(self.traffic);
        }
        shown
    }

    pub fn is_dedicated(&self) -> bool {
        self.form["dedicatedEndpointEnabled"] == json!(true)
    }

    /// The deployed model that takes requests.
    pub fn serving(&self) -> Option<&Deployed> {
        self.deployed.iter().find(|deployed| self.traffic.get(&deployed.id).is_some_and(|percent| *percent > 0))
    }
}

/// A number that JSON has as a number or, for 64 bits, as a text.
pub fn count(value: &Value) -> u32 {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// The last part of a name.
pub fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default().split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_billed_from_the_begin_of_their_deployment() {
        let form = json!({"model": "projects/1/locations/l/models/m@1", "dedicatedResources": {"minReplicaCount": 2}});
        let mut deployed = Deployed::new("7".to_owned(), form, 1_000, 60_000);
        assert_eq!(deployed.model(), "m");
        assert_eq!([deployed.bill(61_000), deployed.bill(62_000)], [120_000, 2_000]);
    }
}
