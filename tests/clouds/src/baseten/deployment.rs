//! One deployment: its states, and what time does to it.

use serde_json::{Value, json};

use super::settings::BasetenSettings;
use crate::clock::rfc3339;
use crate::faults::Fate;
use crate::kept::Visibility;

/// A start: ends of its parts in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    built: i64,
    scheduled: i64,
    /// Absent if it never ends.
    loaded: Option<i64>,
    /// Time and text of a failure.
    fails: Option<(i64, String)>,
}

/// State of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It builds, waits for machines, and loads ([`super::rules::STATES`]).
    Starting(Start),
    Active,
    /// It has failed, for this reason.
    Failed(String),
    /// It was deactivated ([`super::rules::INACTIVE`]).
    Inactive,
    /// It left production ([`super::rules::CLEANUP`]).
    AtZero,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    pub id: String,
    pub created: i64,
    /// The payload that made it.
    pub payload: Value,
    /// Id of its instance type.
    pub instance: String,
    pub state: State,
    pub min_replica: u32,
    pub max_replica: u32,
    /// Number of replicas that run, and when it becomes the wanted one.
    running: (u32, i64),
    /// Replica-milliseconds that were billed, and until when they are counted.
    billed: (i64, i64),
    /// Listings may lag.
    pub visibility: Visibility,
}

impl Start {
    /// A start that begins at `now`.
    pub fn new(settings: &BasetenSettings, fate: &Fate, is_built: bool, now: i64) -> Self {
        let after = |from: i64, seconds: u32| from + i64::from(seconds) * 1000;
        let built = if is_built { now } else { after(now, settings.building_seconds) };
        let scheduled = after(built, settings.deploying_seconds);
        let fails = fate.fails.as_ref().map(|(seconds, reason, _)| (after(now, *seconds), reason.clone()));
        let loaded = after(scheduled, settings.loading_seconds);
        Self { built, scheduled, loaded: (!fate.stuck).then_some(loaded), fails }
    }
}

impl Deployment {
    /// A deployment whose start begins at `now`.
    pub fn new(id: String, payload: Value, instance: String, start: Start, now: i64) -> Self {
        let replicas = |member: &str, default: u64| {
            let count = payload["autoscaling_settings"][member].as_u64().unwrap_or(default);
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let (min_replica, max_replica) = (replicas("min_replica", 0), replicas("max_replica", 1));
        let (state, running) = (State::Starting(start), (0, now));
        Self {
            id,
            created: now,
            payload,
            instance,
            state,
            min_replica,
            max_replica,
            running,
            billed: (0, now),
            visibility: Visibility::default(),
        }
    }

    /// True if the pushed deployment is for production.
    pub fn is_for_production(&self) -> bool {
        self.payload["environment_name"] == "production"
    }

    /// Replicas that it should have.
    pub fn wanted(&self) -> u32 {
        match self.state {
            State::Starting(_) | State::Active => self.min_replica,
            State::Failed(_) | State::Inactive | State::AtZero => 0,
        }
    }

    /// Replicas that run at `now`.
    pub fn ready(&self, now: i64) -> u32 {
        let (former, changed) = self.running;
        match self.state {
            State::Active if changed <= now => self.wanted(),
            State::Active => former.min(self.wanted()),
            _ => 0,
        }
    }

    /// The state as the service names it, at `now`.
    pub fn status(&self, now: i64) -> &'static str {
        match &self.state {
            State::Starting(start) if now < start.built => "BUILDING",
            State::Starting(start) if now < start.scheduled || start.fails.is_some() => "DEPLOYING",
            State::Starting(_) => "LOADING_MODEL",
            State::Active if self.min_replica == 0 => "SCALED_TO_ZERO",
            State::Active if self.running.1 > now => "UPDATING",
            State::Active => "ACTIVE",
            State::Failed(_) => "DEPLOY_FAILED",
            State::Inactive => "INACTIVE",
            State::AtZero => "SCALED_TO_ZERO",
        }
    }

    /// Replicas that are billed at `now` ([`super::rules::BILLED`]).
    pub fn billed_replicas(&self, now: i64) -> u32 {
        match &self.state {
            State::Starting(start) if now < start.scheduled || start.fails.is_some() => 0,
            _ => self.wanted(),
        }
    }

    /// Replica-milliseconds that were billed until `now`.
    pub fn billed_until(&mut self, now: i64) -> i64 {
        let (sum, mut since) = self.billed;
        if let State::Starting(start) = &self.state {
            since = since.max(start.scheduled.min(now));
        }
        let sum = sum + i64::from(self.billed_replicas(now)) * (now - since).max(0);
        self.billed = (sum, now.max(since));
        sum
    }

    /// Moves to a state at `now`.
    pub fn become_(&mut self, state: State, now: i64) {
        self.billed_until(now);
        self.state = state;
        self.running = (self.wanted(), now);
    }

    /// Changes the number of replicas, which follow after `seconds`; true if it is another one ([`super::rules::SCALE`]).
    pub fn scale(&mut self, min: u32, max: u32, seconds: u32, now: i64) -> bool {
        if (self.min_replica, self.max_replica) == (min, max) {
            return false;
        }
        self.billed_until(now);
        let former = self.ready(now);
        (self.min_replica, self.max_replica) = (min, max);
        self.running = (former, now + i64::from(seconds) * 1000);
        true
    }

    /// Ends a start that has ended by `now`.
    pub fn settle(&mut self, now: i64) {
        let State::Starting(Start { loaded, fails, .. }) = &self.state else { return };
        match (fails.clone(), *loaded) {
            (Some((end, reason)), _) if end <= now => self.become_(State::Failed(reason), end),
            (None, Some(end)) if end <= now => self.become_(State::Active, end),
            _ => {}
        }
    }

    /// The deployment as the service shows it.
    pub fn shown(&self, model: &str, status: Option<&str>, is_production: bool, now: i64) -> Value {
        let is_built = !matches!(&self.state, State::Starting(start) if now < start.built);
        let settings = json!({
            "min_replica": self.min_replica, "max_replica": self.max_replica, "autoscaling_window": 60,
            "scale_down_delay": 900, "concurrency_target": self.concurrency(), "target_utilization_percentage": 70,
        });
        let payload = &self.payload;
        let region = payload["region"].as_str().map(|slug| json!({"slug": slug, "display_name": slug}));
        let environment = is_production.then_some("production");
        json!({
            "id": self.id, "created_at": rfc3339(self.created), "name": payload["deployment_name"].as_str().unwrap_or(&self.id),
            "model_id": model, "is_production": is_production, "is_development": false,
            "status": status.unwrap_or(self.status(now)), "active_replica_count": self.ready(now),
            "autoscaling_settings": if is_built { settings } else { Value::Null },
            "instance_type_name": self.instance, "environment": environment, "labels": payload["labels"],
            "region": region, "request_backpressure_settings": {"policy": null},
        })
    }

    fn concurrency(&self) -> u64 {
        self.payload["autoscaling_settings"]["concurrency_target"].as_u64().unwrap_or(1)
    }

    /// Lines of its logs ([`super::rules::LOGS`], [`super::rules::CAPACITY`]).
    pub fn logs(&self) -> Value {
        let line = |level: &str, text: &str| json!({"timestamp": format!("{}000000", self.created), "message": text, "replica": null, "level": level});
        let mut lines = vec![line("INFO", "build started")];
        if let State::Failed(reason) = &self.state {
            lines.push(line("ERROR", reason));
        }
        json!({"logs": lines})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::AfterFailure;

    fn deployment(fate: &Fate) -> Deployment {
        let start = Start::new(&BasetenSettings::default(), fate, false, 0);
        let payload = json!({"autoscaling_settings": {"min_replica": 2, "max_replica": 2}});
        Deployment::new("d".to_owned(), payload, "L4x4x16".to_owned(), start, 0)
    }

    #[test]
    fn a_start_has_parts_and_is_billed_from_its_machine_on() {
        let mut deployment = deployment(&Fate::default());
        let states = [0, 60_000, 90_000].map(|now| deployment.status(now));
        assert_eq!(states, ["BUILDING", "DEPLOYING", "LOADING_MODEL"]);
        deployment.settle(210_000);
        assert_eq!((deployment.status(210_000), deployment.ready(210_000)), ("ACTIVE", 2));
        assert_eq!(deployment.billed_until(300_000), 2 * 210_000);
    }

    #[test]
    fn a_change_of_replicas_takes_its_time() {
        let mut deployment = deployment(&Fate::default());
        deployment.settle(210_000);
        assert!(deployment.scale(3, 3, 120, 300_000) && !deployment.scale(3, 3, 120, 300_000));
        assert_eq!((deployment.status(300_000), deployment.ready(300_000)), ("UPDATING", 2));
        assert_eq!((deployment.status(420_000), deployment.ready(420_000)), ("ACTIVE", 3));
    }

    #[test]
    fn a_failed_start_has_its_reason_in_the_logs_and_no_bill() {
        let fails = Some((600, "no machines".to_owned(), AfterFailure::Failed));
        let mut deployment = deployment(&Fate { fails, ..Fate::default() });
        deployment.settle(600_000);
        assert_eq!((deployment.status(600_000), deployment.billed_until(900_000)), ("DEPLOY_FAILED", 0));
        assert!(deployment.logs().to_string().contains("no machines"));
    }
}
