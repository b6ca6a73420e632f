//! One endpoint: its states, and what time does to it.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::faults::{AfterFailure, Fate};

/// A start or an update under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// End of the first part of a start, in milliseconds since 1970.
    pub scheduled: i64,
    /// End; absent if it never ends.
    pub until: Option<i64>,
    /// Text and remains of a failure.
    pub fails: Option<(String, AfterFailure)>,
}

/// State of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Pending, then initializing.
    Starting(Progress),
    Running,
    /// The former form, which is here, serves until the new one has started.
    Updating(Progress, Box<Value>),
    /// The former form, which is here, serves.
    UpdateFailed(Box<Value>),
    Failed,
    Paused,
    ScaledToZero,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct HubEndpoint {
    /// Id in its URL.
    pub id: String,
    /// The body that is wanted.
    pub form: Value,
    pub created: i64,
    pub updated: i64,
    pub state: State,
    pub message: String,
    /// Begin of the time without requests.
    pub idle_since: i64,
    /// Replica-milliseconds that were billed, and until when they are counted.
    billed: (i64, i64),
}

/// Durations in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Durations {
    pub pending: u32,
    pub initializing: u32,
}

impl Progress {
    /// A start that begins at `now`.
    pub fn start(durations: Durations, fate: &Fate, now: i64) -> Self {
        let after = |seconds: u32| now + i64::from(seconds) * 1000;
        let (until, fails) = match &fate.fails {
            Some((seconds, reason, leaves)) => (after(*seconds), Some((reason.clone(), *leaves))),
            None => (after(durations.pending + durations.initializing), None),
        };
        Self { scheduled: after(durations.pending), until: (!fate.stuck).then_some(until), fails }
    }
}

impl HubEndpoint {
    /// An endpoint whose first start begins at `now`.
    pub fn new(id: String, form: Value, progress: Progress, now: i64) -> Self {
        let (state, message) = (State::Starting(progress), String::new());
        Self { id, form, created: now, updated: now, state, message, idle_since: now, billed: (0, now) }
    }

    /// The state as the service names it, at `now` ([`super::rules::STATES`]).
    pub fn status(&self, now: i64) -> &'static str {
        match &self.state {
            State::Starting(progress) if now < progress.scheduled => "pending",
            State::Starting(_) => "initializing",
            State::Updating(..) => "updating",
            State::Running => "running",
            State::UpdateFailed(_) => "updateFailed",
            State::Failed => "failed",
            State::Paused => "paused",
            State::ScaledToZero => "scaledToZero",
        }
    }

    /// True if requests reach the model ([`super::rules::UPDATING_SERVES`]).
    pub fn serves(&self) -> bool {
        matches!(self.state, State::Running | State::Updating(..) | State::UpdateFailed(_))
    }

    fn scaling(&self, member: &str) -> Option<u64> {
        self.form["compute"]["scaling"][member].as_u64()
    }

    /// Replicas that it should have.
    pub fn target(&self) -> u32 {
        let wanted = self.scaling("minReplica").unwrap_or(1).max(1);
        match self.state {
            State::Paused | State::ScaledToZero | State::Failed => 0,
            _ => u32::try_from(wanted).unwrap_or(u32::MAX),
        }
    }

    /// The body that serves.
    pub fn serving(&self) -> &Value {
        match &self.state {
            State::Updating(_, former) | State::UpdateFailed(former) => former,
            _ => &self.form,
        }
    }

    /// Replicas that answer.
    pub fn ready(&self) -> u32 {
        let serving = self.serving()["compute"]["scaling"]["minReplica"].as_u64().unwrap_or(1).max(1);
        if self.serves() { u32::try_from(serving).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Replicas that count against the quota: as many as it may have, even at zero, unless it is paused
    /// ([`super::rules::QUOTA_COUNTS`]).
    pub fn reserved(&self) -> u32 {
        let most = u32::try_from(self.scaling("maxReplica").unwrap_or(1)).unwrap_or(u32::MAX);
        if matches!(self.state, State::Paused | State::Failed) { 0 } else { most }
    }

    /// Replicas that are billed at `now` ([`super::rules::BILLED`]).
    pub fn billed_replicas(&self, now: i64) -> u32 {
        match &self.state {
            State::Starting(progress) if now < progress.scheduled || progress.fails.is_some() => 0,
            _ => self.target(),
        }
    }

    /// Replica-milliseconds that were billed until `now`.
    pub fn billed_until(&mut self, now: i64) -> i64 {
        let (mut sum, mut since) = self.billed;
        if let State::Starting(progress) = &self.state
            && since < progress.scheduled
        {
            since = progress.scheduled.min(now).max(since);
        }
        sum += i64::from(self.billed_replicas(now)) * (now - since).max(0);
        self.billed = (sum, now.max(since));
        sum
    }

    /// Moves to a state at `now`.
    pub fn become_(&mut self, state: State, now: i64) {
        self.billed_until(now);
        self.state = state;
        self.updated = now;
        self.message = String::new();
    }

    /// Ends what has ended by `now`.
    pub fn settle(&mut self, now: i64) {
        let (State::Starting(progress) | State::Updating(progress, _)) = &self.state else {
            return self.fall_asleep(now);
        };
        let Some(end) = progress.until.filter(|end| *end <= now) else { return };
        let failure = progress.fails.clone();
        let next = match (&self.state, &failure) {
            (_, None) => State::Running,
            (State::Updating(_, former), Some((_, AfterFailure::RolledBack | AfterFailure::RollbackFailed))) => {
                State::UpdateFailed(former.clone())
            }
            (_, Some(_)) => State::Failed,
        };
        self.become_(next, end);
        self.message = failure.map_or_else(String::new, |(reason, _)| reason);
        self.idle_since = end;
        self.fall_asleep(now);
    }

    /// Scales an idle endpoint to zero, if its scaling says so ([`super::rules::ZERO`]).
    fn fall_asleep(&mut self, now: i64) {
        let idle = self.scaling("scaleToZeroTimeout").filter(|minutes| *minutes > 0);
        let (State::Running, Some(0), Some(minutes)) = (&self.state, self.scaling("minReplica"), idle) else { return };
        let end = self.idle_since + i64::try_from(minutes).unwrap_or(i64::MAX / 60_000) * 60_000;
        if end <= now {
            self.become_(State::ScaledToZero, end);
        }
    }

    /// The endpoint as the service shows it.
    pub fn shown(&self, base: &str, status: Option<&str>, now: i64) -> Value {
        let mut shown = self.form.clone();
        redact(&mut shown["model"]["secrets"]);
        for image in shown["model"]["image"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
            if image["credentials"].is_object() {
                image["credentials"]["password"] = json!("***");
            }
        }
        if shown["model"]["task"].is_null() {
            shown["model"]["task"] = json!("text-generation");
        }
        // The client reads it, with or without a value.
        let revision = shown["model"]["revision"].take();
        shown["model"]["revision"] = revision;
        shown["healthRoute"] = json!(self.health_route());
        let url = self.serves().then(|| format!("{base}/serve/{}", self.id));
        shown["status"] = json!({
            "state": status.unwrap_or(self.status(now)), "message": self.message, "url": url,
            "createdAt": rfc3339(self.created), "updatedAt": rfc3339(self.updated),
            "readyReplica": self.ready(), "targetReplica": self.target(), "private": null,
        });
        shown
    }

    /// Path of the health check.
    pub fn health_route(&self) -> &str {
        let custom = &self.form["model"]["image"]["custom"];
        ["healthRoute", "health_route"].iter().find_map(|name| custom[*name].as_str()).unwrap_or("/health")
    }
}

/// Hides every value of an object ([`super::rules::REDACTED`]).
fn redact(values: &mut Value) {
    for value in values.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        *value = json!("***");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn endpoint(scaling: &Value, fate: &Fate) -> HubEndpoint {
        let form = json!({"name": "e", "compute": {"scaling": scaling},
                          "model": {"secrets": {"HF_TOKEN": "word"}, "image": {"vLLM": {"url": "u"}}}});
        let durations = Durations { pending: 30, initializing: 240 };
        HubEndpoint::new("id".to_owned(), form, Progress::start(durations, fate, 0), 0)
    }

    #[test]
    fn a_start_is_billed_from_its_initialization() {
        let mut endpoint = endpoint(&json!({"minReplica": 2, "maxReplica": 2}), &Fate::default());
        assert_eq!((endpoint.status(29_999), endpoint.status(30_000)), ("pending", "initializing"));
        endpoint.settle(270_000);
        assert_eq!((endpoint.status(270_000), endpoint.ready()), ("running", 2));
        assert_eq!(endpoint.billed_until(300_000), 2 * 270_000);
    }

    #[test]
    fn an_idle_endpoint_falls_asleep_and_costs_nothing() {
        let scaling = json!({"minReplica": 0, "maxReplica": 1, "scaleToZeroTimeout": 15});
        let mut endpoint = endpoint(&scaling, &Fate::default());
        endpoint.settle(60 * MINUTE);
        assert_eq!((endpoint.status(0), endpoint.target(), endpoint.reserved()), ("scaledToZero", 0, 1));
        assert_eq!(endpoint.updated, 270_000 + 15 * MINUTE);
        assert_eq!(endpoint.billed_until(60 * MINUTE), 240_000 + 15 * MINUTE);
    }

    #[test]
    fn a_failed_start_has_its_reason_and_no_bill() {
        let fails = Some((600, "no hardware".to_owned(), AfterFailure::Failed));
        let mut endpoint = endpoint(&json!({"minReplica": 1, "maxReplica": 1}), &Fate { fails, ..Fate::default() });
        endpoint.settle(600_000);
        assert_eq!((endpoint.status(0), endpoint.message.as_str()), ("failed", "no hardware"));
        assert_eq!((endpoint.billed_until(900_000), endpoint.reserved()), (0, 0));
    }

    #[test]
    fn secrets_do_not_come_back() {
        let endpoint = endpoint(&json!({}), &Fate::default());
        assert!(!endpoint.shown("http://h", None, 0).to_string().contains("word"));
    }
}
