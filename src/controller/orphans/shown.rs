//! Reports of orphans: the target's status, its events, the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use roadstead_explain::orphans::orphan as named;
use roadstead_explain::{OrphanEvent, OrphanMessage, SweepMessage};
use roadstead_model::MicroDollars;
use tokio::time::Instant;

use super::judge::{Fate, Orphan};
use crate::controller::news::{News, price};
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use roadstead_api::v1alpha1::{Dollars, OrphanState, OrphanStatus, ServingTargetStatus, limits, reasons};
use roadstead_runtime::clock::Clock;

/// Intervals and time without a sweep after which a target's result is stale.
const MISSED: (u32, Duration) = (3, Duration::from_mins(1));

/// The orphans of each target, as of the last time that it could be judged.
pub struct Shown {
    started: Instant,
    by_target: Mutex<BTreeMap<String, SweepResult>>,
    clock: Clock,
}

/// Result of the last judgement of a target.
struct SweepResult {
    orphans: Arc<Vec<Orphan>>,
    at: Instant,
}

/// Age of a target's list of orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// It was judged a short while ago.
    Current,
    /// It was not judged since this process began to lead, a short while ago.
    NotYet,
    /// It was not judged for a while.
    Missed,
}

impl Shown {
    /// Nothing yet, in a process that begins to lead.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { started: clock.now(), by_target: Mutex::default(), clock }
    }

    /// The orphans of a target; `None` if it was not judged since the start.
    #[must_use]
    pub fn get(&self, target: &str) -> Option<Arc<Vec<Orphan>>> {
        let by_target = self.by_target.lock().unwrap_or_else(PoisonError::into_inner);
        by_target.get(target).map(|judged| Arc::clone(&judged.orphans))
    }

    /// Age of a target's list of orphans, with a sweep every `interval`.
    #[must_use]
    pub fn sweep(&self, target: &str, interval: Duration) -> Sweep {
        let limit = interval.saturating_mul(MISSED.0).saturating_add(MISSED.1);
        let judged = self.by_target.lock().unwrap_or_else(PoisonError::into_inner).get(target).map(|judged| judged.at);
        let since = |moment| self.clock.now().saturating_duration_since(moment);
        match judged {
            Some(at) if since(at) <= limit => Sweep::Current,
            None if since(self.started) <= limit => Sweep::NotYet,
            Some(_) | None => Sweep::Missed,
        }
    }

    /// Replaces the shown orphans of a target; returns true if they changed.
    pub fn set(&self, target: &str, orphans: Vec<Orphan>) -> bool {
        let mut by_target = self.by_target.lock().unwrap_or_else(PoisonError::into_inner);
        let news = by_target.get(target).is_none_or(|former| *former.orphans != orphans);
        by_target.insert(target.to_owned(), SweepResult { orphans: Arc::new(orphans), at: self.clock.now() });
        news
    }

    /// Forgets a target.
    pub fn forget(&self, target: &str) {
        self.by_target.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
    }
}

/// Tells how current a target's orphans are: no orphans in a status mean something only once a sweep has come there.
///
/// A former process' report is kept until this one has had time for a sweep. `obstacle` is the reason why the target is
/// not ready, if it is not.
pub fn tell_sweep(set: &mut Conditions<'_>, former: &[Condition], sweep: Sweep, obstacle: Option<&str>) {
    let told = conditions::find(former, conditions::SWEPT).map(|told| told.status.as_str());
    match (sweep, told) {
        (Sweep::Current, _) => set.set(conditions::SWEPT, TRUE, reasons::SWEPT, ""),
        (Sweep::NotYet, Some(TRUE | UNKNOWN)) => set.keep(conditions::SWEPT),
        (_, None | Some(FALSE)) => {
            let message = match obstacle {
                Some(reason) => SweepMessage::NeverUnready(reason),
                None => SweepMessage::Never,
            };
            set.set(conditions::SWEPT, FALSE, reasons::SWEEP_PENDING, message.to_string())
        }
        (Sweep::NotYet | Sweep::Missed, Some(_)) => {
            let message = match obstacle {
                Some(reason) => SweepMessage::StaleUnready(reason),
                None => SweepMessage::Stale,
            };
            set.set(conditions::SWEPT, UNKNOWN, reasons::SWEEP_STALE, message.to_string())
        }
    };
}

/// Hourly cost of all orphans, as far as prices are known.
#[must_use]
pub fn cost(orphans: &[Orphan]) -> MicroDollars {
    orphans.iter().filter_map(|orphan| orphan.hourly_cost).fold(MicroDollars::ZERO, MicroDollars::saturating_add)
}

/// Writes a target's orphans into its status; before the first sweep, the former list stays.
pub fn put_into(
    status: &mut ServingTargetStatus,
    former: &ServingTargetStatus,
    orphans: Option<&[Orphan]>,
    now: Timestamp,
) {
    let Some(orphans) = orphans else {
        status.orphans.clone_from(&former.orphans);
        status.omitted_orphans = former.omitted_orphans;
        return;
    };
    status.orphans = orphans.iter().take(limits::ORPHANS).map(|orphan| line(orphan, &former.orphans, now)).collect();
    let omitted = orphans.len().saturating_sub(limits::ORPHANS);
    status.omitted_orphans = i32::try_from(omitted).ok().filter(|omitted| *omitted > 0);
}

fn line(orphan: &Orphan, former: &[OrphanStatus], now: Timestamp) -> OrphanStatus {
    let found = &orphan.found;
    let since = planning::time(found.created_at);
    let known = former.iter().find(|known| known.name == found.name && known.since == since);
    let (state, message) = state(orphan);
    OrphanStatus {
        name: found.name.clone(),
        namespace: found.deployment.namespace.clone(),
        deployment: found.deployment.name.clone(),
        offer: found.offer.clone(),
        replicas: i32::try_from(found.replicas).unwrap_or(i32::MAX),
        hourly_cost: orphan.hourly_cost.map(Dollars::from),
        since,
        first_seen: known.map_or_else(|| planning::api_time(now), |known| Time(known.first_seen.0)),
        state,
        message: message.map(|message| limits::message(&message.to_string())),
    }
}

fn state(orphan: &Orphan) -> (OrphanState, Option<OrphanMessage<'_>>) {
    let refused = orphan.refusal.as_deref().map(OrphanMessage::DeletionFailed);
    match orphan.fate {
        Fate::Reported => (OrphanState::Reported, None),
        Fate::Waiting => (OrphanState::Waiting, refused),
        Fate::Removing => (OrphanState::Removing, refused),
        Fate::Held(hold) => (OrphanState::Held, Some(OrphanMessage::Held(hold))),
        Fate::Misplaced => (OrphanState::Misplaced, Some(OrphanMessage::Misplaced(&orphan.found.target))),
    }
}

/// News in a target's status: new orphans, or the end of the last one.
#[must_use]
pub fn news(former: &ServingTargetStatus, status: &ServingTargetStatus) -> Option<News> {
    let before: BTreeSet<&str> = former.orphans.iter().map(|orphan| orphan.name.as_str()).collect();
    let new: Vec<&OrphanStatus> =
        status.orphans.iter().filter(|orphan| !before.contains(orphan.name.as_str())).collect();
    if !new.is_empty() {
        return Some(News::new(reasons::ORPHANS_FOUND, appeared(&new)));
    }
    let gone = status.orphans.is_empty() && !before.is_empty();
    gone.then(|| News::new(reasons::ORPHANS_GONE, OrphanEvent::Gone.to_string()))
}

fn appeared(new: &[&OrphanStatus]) -> String {
    let one = |orphan: &&OrphanStatus| {
        let deployment = format!("{}/{}", orphan.namespace, orphan.deployment);
        named(&orphan.name, &deployment, price(orphan.hourly_cost.as_ref()))
    };
    OrphanEvent::Appeared(&new.iter().map(one).collect::<Vec<_>>()).to_string()
}
