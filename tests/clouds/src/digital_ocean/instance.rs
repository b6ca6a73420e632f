//! One instance: its states, its tokens, and what time does to it.

use serde_json::{Value, json};

use super::settings::DigitalOceanSettings;
use crate::clock::rfc3339;
use crate::faults::Fate;

/// State of an instance ([`super::rules::STATES`], [`super::rules::ERROR`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// It is new until the first time, and active or failed after the second one, which may never come.
    Starting {
        provisioned: i64,
        until: Option<i64>,
        fails: bool,
    },
    Active,
    /// The former spec, which is here, serves until this time ([`super::rules::UPDATE`]).
    Updating {
        until: Option<i64>,
        fails: bool,
        former: Box<Value>,
    },
    Error,
    /// It is gone after this time, which may never come ([`super::rules::DELETE`]), or has failed ([`super::rules::DELETE_FAILED`]).
    Deleting {
        until: Option<i64>,
        fails: bool,
    },
}

/// A token of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceToken {
    pub id: String,
    pub name: String,
    pub value: String,
    pub created: i64,
}

impl InstanceToken {
    /// The token, with its value where it is new ([`super::rules::ISSUED`]).
    pub fn shown(&self, with_value: bool) -> Value {
        let mut shown =
            json!({"id": self.id, "name": self.name, "created_at": rfc3339(self.created), "is_managed": false});
        if with_value {
            shown["value"] = json!(self.value);
        }
        shown
    }
}

/// An instance of dedicated inference.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub id: String,
    pub team: String,
    pub spec: Value,
    pub created: i64,
    pub updated: i64,
    pub phase: Phase,
    pub tokens: Vec<InstanceToken>,
    /// Seconds for which it stays listed once it is gone.
    pub visibility: crate::kept::Visibility,
    /// GPU-instance-milliseconds that were billed, and until when they are counted.
    billed: (i64, i64),
}

/// The end of something that begins at `now`, and whether it fails then.
fn end(seconds: u32, fate: &Fate, now: i64) -> (Option<i64>, bool) {
    let after = |seconds: u32| now + i64::from(seconds) * 1000;
    match &fate.fails {
        _ if fate.stuck => (None, false),
        Some((seconds, ..)) => (Some(after(*seconds)), true),
        None => (Some(after(seconds)), false),
    }
}

impl Instance {
    /// An instance whose start begins at `now`.
    pub fn new(id: String, team: &str, spec: Value, settings: &DigitalOceanSettings, fate: &Fate, now: i64) -> Self {
        let (until, fails) = end(settings.new_seconds + settings.provisioning_seconds, fate, now);
        let provisioned = now + i64::from(settings.new_seconds) * 1000;
        let phase = Phase::Starting { provisioned, until, fails };
        let (team, visibility) = (team.to_owned(), crate::kept::Visibility::new(fate, now));
        Self { id, team, spec, created: now, updated: now, phase, tokens: Vec::new(), visibility, billed: (0, now) }
    }

    /// The spec that serves, if one does.
    pub fn serving(&self) -> Option<&Value> {
        match &self.phase {
            Phase::Active => Some(&self.spec),
            Phase::Updating { former, .. } => Some(former),
            Phase::Starting { .. } | Phase::Error | Phase::Deleting { .. } => None,
        }
    }

    /// GPU instances of a spec.
    pub fn scale(spec: &Value) -> u32 {
        let all = spec["model_deployments"].as_array().into_iter().flatten();
        let all = all.flat_map(|one| one["accelerators"].as_array().into_iter().flatten());
        all.map(|one| u32::try_from(one["scale"].as_u64().unwrap_or(0)).unwrap_or(u32::MAX)).sum()
    }

    /// GPU instances that are billed at `now` ([`super::rules::BILLED`]).
    pub fn billed_gpus(&self, now: i64) -> u32 {
        match &self.phase {
            Phase::Starting { provisioned, fails, .. } if now < *provisioned || *fails => 0,
            Phase::Error | Phase::Deleting { .. } => 0,
            Phase::Starting { .. } | Phase::Active | Phase::Updating { .. } => Self::scale(&self.spec),
        }
    }

    /// GPU-instance-milliseconds that were billed until `now`.
    pub fn billed_until(&mut self, now: i64) -> i64 {
        let (sum, mut since) = self.billed;
        if let Phase::Starting { provisioned, .. } = &self.phase {
            since = since.max((*provisioned).min(now));
        }
        let sum = sum + i64::from(self.billed_gpus(now)) * (now - since).max(0);
        self.billed = (sum, now.max(since));
        sum
    }

    fn become_(&mut self, phase: Phase, now: i64) {
        self.billed_until(now);
        (self.phase, self.updated) = (phase, now);
    }

    /// Begins an update to another spec.
    pub fn update(&mut self, spec: Value, settings: &DigitalOceanSettings, fate: &Fate, now: i64) {
        let former = Box::new(self.serving().unwrap_or(&self.spec).clone());
        let (until, fails) = end(settings.provisioning_seconds, fate, now);
        self.become_(Phase::Updating { until, fails, former }, now);
        self.spec = spec;
    }

    /// Begins the deletion.
    pub fn delete(&mut self, settings: &DigitalOceanSettings, fate: &Fate, now: i64) {
        if matches!(self.phase, Phase::Deleting { .. }) {
            return;
        }
        self.visibility.linger(fate);
        let (until, fails) = end(settings.deleting_seconds, fate, now);
        self.become_(Phase::Deleting { until, fails }, now);
    }

    /// Ends what has ended by `now`.
    pub fn settle(&mut self, now: i64) {
        let due = |until: Option<i64>| until.filter(|end| *end <= now);
        match &self.phase {
            Phase::Starting { until, fails, .. } | Phase::Updating { until, fails, .. } => {
                let (until, next) = (*until, if *fails { Phase::Error } else { Phase::Active });
                if let Some(end) = due(until) {
                    self.become_(next, end);
                }
            }
            Phase::Deleting { until, fails } if !self.visibility.is_gone() => {
                let fails = *fails;
                match due(*until) {
                    Some(end) if fails => self.become_(Phase::Error, end),
                    Some(end) => self.visibility.gone(end),
                    None => {}
                }
            }
            Phase::Active | Phase::Error | Phase::Deleting { .. } => {}
        }
    }

    /// The state as the service names it.
    pub fn status(&self, now: i64) -> &'static str {
        match &self.phase {
            Phase::Starting { provisioned, .. } if now < *provisioned => "new",
            Phase::Starting { .. } => "provisioning",
            Phase::Active => "active",
            Phase::Updating { .. } => "updating",
            Phase::Error => "error",
            Phase::Deleting { .. } => "deleting",
        }
    }

    /// The instance as the service shows it; its address is below `base`.
    pub fn shown(&self, base: &str, status: Option<&str>, now: i64) -> Value {
        let mut shown = json!({
            "id": self.id, "status": status.unwrap_or(self.status(now)), "region": self.spec["region"],
            "vpc_uuid": self.spec["vpc"]["uuid"], "spec": self.serving().unwrap_or(&self.spec),
            "created_at": rfc3339(self.created), "updated_at": rfc3339(self.updated),
        });
        if self.serving().is_some() {
            shown["endpoints"] = json!({"public_endpoint_fqdn": format!("{base}/serve/{}", self.id)});
        }
        let pending = match &self.phase {
            Phase::Starting { .. } => Some("provisioning"),
            Phase::Updating { .. } => Some("updating"),
            Phase::Active | Phase::Error | Phase::Deleting { .. } => None,
        };
        if let Some(status) = pending {
            let spec = &self.spec;
            shown["pending_deployment_spec"] = json!({
                "id": self.id, "version": spec["version"], "name": spec["name"], "status": status, "vpc": spec["vpc"],
                "enable_public_endpoint": spec["enable_public_endpoint"],
                "model_deployments": spec["model_deployments"], "created_at": rfc3339(self.updated),
                "updated_at": rfc3339(self.updated),
            });
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(fate: &Fate) -> Instance {
        let spec = json!({"model_deployments": [{"accelerators": [{"scale": 2}]}]});
        Instance::new("i".to_owned(), "t", spec, &DigitalOceanSettings::default(), fate, 0)
    }

    #[test]
    fn a_start_is_billed_from_its_provisioning_and_a_failed_one_never() {
        let mut started = instance(&Fate::default());
        assert_eq!([0, 20_000].map(|now| started.status(now)), ["new", "provisioning"]);
        started.settle(300_000);
        assert_eq!((started.status(300_000), started.billed_until(400_000)), ("active", 2 * 380_000));
        let fails = Some((600, "no".to_owned(), crate::faults::AfterFailure::Failed));
        let mut failed = instance(&Fate { fails, ..Fate::default() });
        failed.settle(600_000);
        assert_eq!((failed.status(600_000), failed.billed_until(900_000)), ("error", 0));
    }

    #[test]
    fn the_former_spec_serves_while_an_update_is_pending() {
        let (settings, fate) = (DigitalOceanSettings::default(), Fate::default());
        let mut instance = instance(&fate);
        instance.settle(300_000);
        instance.update(json!({"version": 2}), &settings, &fate, 300_000);
        assert_eq!(
            (instance.status(300_000), instance.serving().unwrap()["version"].clone()),
            ("updating", Value::Null)
        );
        instance.settle(580_000);
        assert_eq!((instance.status(580_000), &instance.serving().unwrap()["version"]), ("active", &json!(2)));
    }
}
