//! One deployment of a model, and the bill.

use serde_json::{Value, json};

use crate::azure::endpoint::{capacity, with_head};
use crate::kept::Visibility;

/// Type of the resource.
const KIND: &str = "Microsoft.CognitiveServices/accounts/deployments";

/// A deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDeployed {
    /// Tags, SKU and properties as they were asked for.
    pub form: Value,
    /// The form that serves; none before the first success.
    pub serving: Option<Value>,
    pub state: &'static str,
    pub created: i64,
    pub modified: i64,
    pub visibility: Visibility,
    /// Begin of the time that is not in the bill yet.
    billed_from: i64,
}

impl ModelDeployed {
    /// A deployment that begins now.
    pub fn new(form: Value, visibility: Visibility, now: i64) -> Self {
        Self { form, serving: None, state: "Creating", created: now, modified: now, visibility, billed_from: now }
    }

    /// Notes that it serves in its form.
    pub fn is_up(&mut self) {
        self.state = "Succeeded";
        self.serving = Some(self.form.clone());
    }

    /// Format, name and version of the model.
    pub fn model(form: &Value) -> [&str; 3] {
        ["format", "name", "version"].map(|member| form["properties"]["model"][member].as_str().unwrap_or_default())
    }

    /// SKU.
    pub fn sku(form: &Value) -> &str {
        form["sku"]["name"].as_str().unwrap_or_default()
    }

    /// Units that it uses ([`super::rules::FAILED`]).
    pub fn units(&self) -> u32 {
        if self.state == "Failed" { 0 } else { capacity(&self.form) }
    }

    /// Unit-milliseconds since this was asked last ([`super::rules::BILLED`]).
    pub fn bill(&mut self, now: i64) -> i64 {
        let since = std::mem::replace(&mut self.billed_from, now);
        let is_billed = Self::sku(&self.form).contains("Provisioned");
        if is_billed { i64::from(self.units()) * (now - since).max(0) } else { 0 }
    }

    /// The deployment as the service shows it.
    pub fn shown(&self, id: &str) -> Value {
        let mut shown = self.form.clone();
        shown["properties"]["provisioningState"] = json!(self.state);
        with_head(shown, (id, KIND), [self.created, self.modified])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provisioned_units_are_billed_until_they_fail_and_tokens_never() {
        let form = |sku: &str| json!({"sku": {"name": sku, "capacity": 15}});
        let mut units = ModelDeployed::new(form("GlobalProvisionedManaged"), Visibility::default(), 1_000);
        assert_eq!([units.bill(2_000), units.bill(2_500)], [15_000, 7_500]);
        units.state = "Failed";
        assert_eq!(units.bill(9_000), 0);
        let mut tokens = ModelDeployed::new(form("GlobalStandard"), Visibility::default(), 1_000);
        assert_eq!(tokens.bill(9_000), 0);
    }
}
