//! One endpoint: its states, and what time does to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::faults::{AfterFailure, Fate};
use crate::kept::Visibility;

/// One variant of an endpoint: a model on so many machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    pub name: String,
    pub instance_type: String,
    pub current: u32,
    pub desired: u32,
    pub weight: f64,
    pub image: String,
    pub environment: BTreeMap<String, String>,
}

/// A configuration as an endpoint uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    pub config: String,
    pub variants: Vec<Variant>,
}

impl Fleet {
    /// Keeps what an endpoint's variants have in `former` ([`super::rules::RETAINED`]).
    pub fn retain(&mut self, former: &Self) {
        for variant in &mut self.variants {
            if let Some(known) = former.variants.iter().find(|known| known.name == variant.name) {
                (variant.desired, variant.weight) = (known.desired, known.weight);
            }
        }
    }
}

/// A creation or an update under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub since: i64,
    /// End in milliseconds since 1970; absent if it never ends.
    pub until: Option<i64>,
    pub fleet: Fleet,
    /// Kind of change: a new configuration, or other numbers of the one in force.
    pub rescales: bool,
    /// Text and remains of a failure.
    pub fails: Option<(String, AfterFailure)>,
}

/// State of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    Creating(Change),
    Updating(Change),
    InService,
    RollbackFailed,
    Failed,
    /// Until then; without an end if it hangs.
    Deleting(Option<i64>),
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub name: String,
    pub arn: String,
    pub tags: BTreeMap<String, String>,
    pub created: i64,
    pub modified: i64,
    /// The configuration in force; while it is created the coming one.
    pub fleet: Fleet,
    pub state: State,
    pub failure: Option<String>,
    pub visibility: Visibility,
    /// Text of the failure in which its deletion ends.
    deletion_fails: Option<String>,
    /// Instance-milliseconds that were billed, and until when they are counted.
    billed: (i64, i64),
}

impl Change {
    /// A change to `fleet` that begins at `now`.
    pub fn new(fleet: Fleet, seconds: u32, fate: &Fate, now: i64) -> Self {
        let until = |seconds: u32| now + i64::from(seconds) * 1000;
        let (end, fails) = match &fate.fails {
            Some((after, reason, leaves)) => (until(*after), Some((reason.clone(), *leaves))),
            None => (until(seconds), None),
        };
        Self { since: now, until: (!fate.stuck).then_some(end), fleet, rescales: false, fails }
    }
}

impl Endpoint {
    /// An endpoint whose creation begins at `now`.
    pub fn new(name: &str, arn: String, tags: BTreeMap<String, String>, change: Change, fate: &Fate) -> Self {
        let now = change.since;
        Self {
            name: name.to_owned(),
            arn,
            tags,
            created: now,
            modified: now,
            fleet: change.fleet.clone(),
            state: State::Creating(change),
            failure: None,
            visibility: Visibility::new(fate, now),
            deletion_fails: None,
            billed: (0, now),
        }
    }

    /// The state as the service names it.
    pub fn status(&self) -> &'static str {
        match self.state {
            State::Creating(_) => "Creating",
            State::Updating(_) => "Updating",
            State::InService => "InService",
            State::RollbackFailed => "UpdateRollbackFailed",
            State::Failed => "Failed",
            State::Deleting(_) => "Deleting",
        }
    }

    /// True if something is under way that neither an update nor a deletion may disturb.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Creating(_) | State::Updating(_) | State::Deleting(_))
    }

    /// True if requests reach the model.
    pub fn serves(&self) -> bool {
        matches!(self.state, State::InService | State::Updating(_) | State::RollbackFailed)
    }

    /// Instances of each type that it holds or waits for; those that it failed to get are not among them.
    pub fn instances(&self) -> BTreeMap<&str, u32> {
        let fleets: &[&Fleet] = match &self.state {
            State::Failed => &[],
            State::Updating(change) => &[&self.fleet, &change.fleet],
            _ => &[&self.fleet],
        };
        let mut all: BTreeMap<&str, u32> = BTreeMap::new();
        for fleet in fleets {
            let mut of_fleet: BTreeMap<&str, u32> = BTreeMap::new();
            for variant in &fleet.variants {
                *of_fleet.entry(&variant.instance_type).or_default() += variant.desired.max(variant.current);
            }
            for (kind, count) in of_fleet {
                let known = all.entry(kind).or_default();
                *known = count.max(*known);
            }
        }
        all
    }

    /// Number of instances that are billed ([`super::rules::BILLED`]).
    pub fn billed_instances(&self) -> u32 {
        match &self.state {
            State::Creating(change) if change.lacks_machines() => 0,
            State::Updating(change) if change.lacks_machines() => {
                self.fleet.variants.iter().map(|variant| variant.current).sum()
            }
            _ => self.instances().values().sum(),
        }
    }

    /// Instance-milliseconds that were billed until `now`.
    pub fn billed_until(&mut self, now: i64) -> i64 {
        let (sum, since) = self.billed;
        let billed = if self.visibility.is_gone() { 0 } else { self.billed_instances() };
        self.billed = (sum + i64::from(billed) * (now - since).max(0), now.max(since));
        self.billed.0
    }

    /// Begins a deletion that ends at `until`, or never, by success or with this text ([`super::rules::DELETE_FAILED`]). One that has failed
    /// has no machines to give back.
    pub fn delete(&mut self, until: Option<i64>, fails: Option<String>) {
        if matches!(self.state, State::Failed) {
            self.fleet.variants.clear();
        }
        self.state = State::Deleting(until);
        self.deletion_fails = fails;
    }

    /// Ends what has ended by `now`.
    pub fn settle(&mut self, now: i64) {
        let end = match &self.state {
            State::Creating(change) | State::Updating(change) => change.until,
            State::Deleting(until) => *until,
            _ => None,
        };
        let Some(end) = end.filter(|end| *end <= now && !self.visibility.is_gone()) else { return };
        self.billed_until(end);
        self.modified = end;
        match std::mem::replace(&mut self.state, State::InService) {
            State::Creating(change) | State::Updating(change) if change.fails.is_none() => self.take(change.fleet),
            State::Creating(change) => self.fail(change, AfterFailure::Failed),
            State::Updating(change) => {
                let leaves = change.fails.as_ref().map_or_else(AfterFailure::default, |(_, leaves)| *leaves);
                self.fail(change, leaves);
            }
            State::Deleting(_) if self.deletion_fails.is_some() => {
                self.failure = self.deletion_fails.take();
                self.state = State::Failed;
            }
            State::Deleting(until) => {
                self.state = State::Deleting(until);
                self.visibility.gone(end);
            }
            state => self.state = state,
        }
    }

    fn take(&mut self, mut fleet: Fleet) {
        for variant in &mut fleet.variants {
            variant.current = variant.desired;
        }
        self.fleet = fleet;
        self.failure = None;
    }

    /// Ends a change that fails ([`super::rules::ROLLBACK_FAILED`]).
    fn fail(&mut self, change: Change, leaves: AfterFailure) {
        self.failure = change.fails.map(|(reason, _)| reason);
        match leaves {
            AfterFailure::Failed => self.state = State::Failed,
            AfterFailure::RolledBack => {}
            AfterFailure::RollbackFailed => self.state = State::RollbackFailed,
        }
    }

    /// The answer of `DescribeEndpoint` ([`super::rules::PENDING_SUMMARY`]).
    pub fn described(&self) -> Value {
        let mut described = json!({
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.fleet.config,
            "EndpointStatus": self.status(),
            "CreationTime": seconds(self.created),
            "LastModifiedTime": seconds(self.modified),
        });
        // An endpoint that failed at first never had machines, also while it is deleted.
        let has_variants = !self.fleet.variants.is_empty();
        if has_variants && !matches!(self.state, State::Creating(_) | State::Failed) {
            let desired = match &self.state {
                State::Updating(change) if change.rescales => &change.fleet,
                _ => &self.fleet,
            };
            let variants = self.fleet.variants.iter().zip(&desired.variants);
            described["ProductionVariants"] = variants.map(|(now, then)| now.described(then)).collect();
        }
        if let State::Creating(change) | State::Updating(change) = &self.state
            && !change.rescales
        {
            described["PendingDeploymentSummary"] = change.described();
        }
        if let Some(reason) = &self.failure {
            described["FailureReason"] = json!(reason);
        }
        described
    }
}

impl Change {
    fn lacks_machines(&self) -> bool {
        self.fails.as_ref().is_some_and(|(reason, _)| reason.contains("capacity"))
    }

    fn described(&self) -> Value {
        let variants = self.fleet.variants.iter().map(|variant| {
            json!({"VariantName": variant.name, "InstanceType": variant.instance_type, "CurrentInstanceCount": 0,
                   "DesiredInstanceCount": variant.desired, "DesiredWeight": variant.weight,
                   "VariantStatus": [{"Status": "Creating", "StartTime": seconds(self.since)}]})
        });
        json!({"EndpointConfigName": self.fleet.config, "StartTime": seconds(self.since),
               "ProductionVariants": variants.collect::<Vec<_>>()})
    }
}

impl Variant {
    fn described(&self, then: &Self) -> Value {
        json!({
            "VariantName": self.name,
            "DeployedImages": [{"SpecifiedImage": self.image}],
            "CurrentWeight": self.weight, "DesiredWeight": then.weight,
            "CurrentInstanceCount": self.current, "DesiredInstanceCount": then.desired,
        })
    }
}

/// A time as the service's JSON has it.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in an f64")]
pub fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(count: u32) -> Fleet {
        let variant = Variant {
            name: "main".to_owned(),
            instance_type: "ml.p5.48xlarge".to_owned(),
            current: 0,
            desired: count,
            weight: 1.0,
            image: "vllm".to_owned(),
            environment: BTreeMap::new(),
        };
        Fleet { config: format!("config-{count}"), variants: vec![variant] }
    }

    fn created(fate: &Fate) -> Endpoint {
        Endpoint::new("e", "arn".to_owned(), BTreeMap::new(), Change::new(fleet(2), 300, fate, 0), fate)
    }

    fn late(reason: &str, leaves: AfterFailure) -> Fate {
        Fate { fails: Some((60, reason.to_owned(), leaves)), ..Fate::default() }
    }

    #[test]
    fn a_creation_ends_in_service_and_is_billed_from_its_begin() {
        let mut endpoint = created(&Fate::default());
        endpoint.settle(299_999);
        assert_eq!((endpoint.status(), endpoint.serves()), ("Creating", false));
        endpoint.settle(300_000);
        assert_eq!((endpoint.status(), endpoint.modified), ("InService", 300_000));
        assert_eq!(endpoint.billed_until(400_000), 2 * 400_000);
    }

    #[test]
    fn a_lack_of_machines_shows_late_and_is_not_billed() {
        let mut endpoint = created(&late("no capacity", AfterFailure::Failed));
        endpoint.settle(60_000);
        assert_eq!((endpoint.status(), endpoint.failure.as_deref()), ("Failed", Some("no capacity")));
        assert_eq!((endpoint.billed_until(90_000), endpoint.instances().len()), (0, 0));
        endpoint.delete(Some(120_000), None);
        endpoint.settle(120_000);
        assert_eq!(endpoint.billed_until(120_000), 0, "its deletion has no instances either");
    }

    #[test]
    fn a_stuck_creation_never_ends() {
        let mut endpoint = created(&Fate { stuck: true, ..Fate::default() });
        endpoint.settle(i64::MAX);
        assert_eq!(endpoint.status(), "Creating");
    }

    #[test]
    fn a_failed_update_leaves_what_the_script_says() {
        for (leaves, status, config) in [
            (AfterFailure::Failed, "Failed", "config-2"),
            (AfterFailure::RolledBack, "InService", "config-2"),
            (AfterFailure::RollbackFailed, "UpdateRollbackFailed", "config-2"),
        ] {
            let mut endpoint = created(&Fate::default());
            endpoint.settle(300_000);
            endpoint.state = State::Updating(Change::new(fleet(3), 300, &late("broken", leaves), 300_000));
            assert_eq!(endpoint.described()["PendingDeploymentSummary"]["EndpointConfigName"], "config-3");
            endpoint.settle(360_000);
            assert_eq!((endpoint.status(), endpoint.fleet.config.as_str()), (status, config));
        }
    }

    #[test]
    fn a_deleted_endpoint_is_billed_until_it_is_gone() {
        let mut endpoint = created(&Fate::default());
        endpoint.settle(300_000);
        endpoint.delete(Some(360_000), None);
        endpoint.settle(900_000);
        assert!(endpoint.visibility.is_gone());
        assert_eq!(endpoint.billed_until(900_000), 2 * 360_000);
    }
}
