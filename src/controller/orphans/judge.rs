//! The orphans at targets, and those that may be deleted now. Pure: from found endpoints, known objects and former
//! observations to a verdict for each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roadstead_explain::Hold;
use roadstead_model::{DeploymentId, EndpointKey, Found, MicroDollars, Offer, Timestamp, cost_of_found};

use crate::controller::settings::OrphanPolicy;

/// Maximum number of orphans deleted in one cycle.
pub const PER_CYCLE: usize = 3;
/// Number of consecutive cycles in which an orphan must be seen before its deletion.
const CYCLES: u32 = 2;
/// Time after which a number of deployments that fell by more than half is accepted.
const SETTLE: Duration = Duration::from_hours(1);

/// Time of a cycle.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the wall clock, which the times of providers are compared with.
    pub now: Timestamp,
    /// Time of this process' leadership by a monotonic clock.
    pub leading: Duration,
}

/// Deployments and endpoints of the hub: they are no orphans.
#[derive(Debug, Clone, Default)]
pub struct HubObjects {
    /// Number of deployments in the newest listing.
    pub listed: usize,
    /// All deployments, those that are being deleted included.
    pub deployments: BTreeSet<DeploymentId>,
    /// The records of all endpoints.
    pub endpoints: BTreeSet<EndpointKey>,
}

impl HubObjects {
    /// True if a record or a deployment answers for what was found at `target`.
    ///
    /// A deployment takes over what it finds (or drains it) by itself.
    #[must_use]
    pub fn covers(&self, target: &str, found: &Found) -> bool {
        let key = EndpointKey { namespace: found.deployment.namespace.clone(), name: found.name.clone() };
        found.target == target && (self.endpoints.contains(&key) || self.deployments.contains(&found.deployment))
    }
}

/// A target that answers, is the one it was, and is ours: only there anything is judged.
#[derive(Debug, Clone)]
pub struct SweptTarget {
    /// The target.
    pub target: String,
    /// Everything there that carries our install id and tags.
    pub found: Vec<Found>,
    /// The target's offers, for the cost.
    pub offers: Vec<Offer>,
    /// Every replica there is a whole instance of its offer.
    pub whole_instances: bool,
}

/// Planned treatment of an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is only reported.
    Reported,
    /// It is deleted once it is old enough and its turn has come.
    Waiting,
    /// Nothing is deleted now.
    Held(Hold),
    /// Its tags name another target, so its owner is unknown.
    Misplaced,
    /// It was asked to go, and is not confirmed gone.
    Removing,
}

/// An endpoint at a target without a record or a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The found endpoint.
    pub found: Found,
    /// Hourly cost, if its offer and price are known.
    pub hourly_cost: Option<MicroDollars>,
    /// Planned treatment.
    pub fate: Fate,
    /// Why it could not be deleted when that was last tried.
    pub refusal: Option<String>,
}

/// Something that is to be deleted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its target.
    pub target: String,
    /// The orphan.
    pub orphan: Orphan,
}

/// Result of a cycle.
#[derive(Debug, Clone, Default)]
pub struct SweepJudgement {
    /// The orphans of every target that could be judged, by name.
    pub orphans: BTreeMap<String, Vec<Orphan>>,
    /// Orphans to delete, and deletions to confirm.
    pub due: Vec<Due>,
}

/// One found endpoint: target, name, and the identity that distinguishes it from a later one of that name.
type Id = (String, String, String);

fn id(target: &str, found: &Found) -> Id {
    (target.to_owned(), found.name.clone(), found.id.clone())
}

/// Since when and how often a thing was seen as an orphan, in an unbroken row of cycles.
#[derive(Debug, Clone, Copy)]
struct OrphanSighting {
    first: Duration,
    cycles: u32,
}

/// Memory between cycles. A new process has none, and waits again.
#[derive(Debug, Clone, Default)]
pub struct SweepMemory {
    sightings: BTreeMap<Id, OrphanSighting>,
    removing: BTreeMap<Id, Orphan>,
    refusals: BTreeMap<Id, String>,
    baseline: Baseline,
}

impl SweepMemory {
    /// A cycle could not be judged: what was seen before does not count as in a row any more.
    pub fn break_off(&mut self) {
        self.sightings.clear();
    }

    /// An orphan was asked to go, and is not gone yet.
    pub fn asked(&mut self, due: &Due) {
        let id = id(&due.target, &due.orphan.found);
        self.refusals.remove(&id);
        self.removing.insert(id, Orphan { fate: Fate::Removing, refusal: None, ..due.orphan.clone() });
    }

    /// An orphan could not be asked to go, for this reason; it is tried again in the next cycle.
    pub fn refused(&mut self, due: &Due, reason: String) {
        self.refusals.insert(id(&due.target, &due.orphan.found), reason);
    }

    /// An orphan is confirmed gone.
    pub fn gone(&mut self, due: &Due) {
        self.removing.remove(&id(&due.target, &due.orphan.found));
    }
}

/// Expected number of deployments.
#[derive(Debug, Clone, Copy, Default)]
struct Baseline {
    count: usize,
    low_since: Option<Duration>,
}

impl Baseline {
    /// Follows the number of deployments, but one that fell by more than half at once only after a while.
    fn follow(&mut self, count: usize, leading: Duration) {
        let low = count.saturating_mul(2) < self.count;
        let since = *self.low_since.get_or_insert(leading);
        if !low || leading.saturating_sub(since) >= SETTLE {
            *self = Self { count, low_since: None };
        }
    }
}

/// Judges everything that was found at the targets that can be judged, and moves `memory` on by one cycle.
#[must_use]
pub fn judge(
    policy: &OrphanPolicy,
    moment: Moment,
    known: &HubObjects,
    places: &[SweptTarget],
    memory: &mut SweepMemory,
) -> SweepJudgement {
    memory.baseline.follow(known.listed, moment.leading);
    let hold = hold(known, places, memory.baseline);
    let mut judgement = SweepJudgement::default();
    let mut sightings = BTreeMap::new();
    let mut due = Vec::new();
    for place in places {
        let mut orphans: Vec<Orphan> = Vec::new();
        for found in place.found.iter().filter(|found| !known.covers(&place.target, found)) {
            let id = id(&place.target, found);
            memory.removing.remove(&id);
            let former = memory.sightings.get(&id);
            let sighting = OrphanSighting {
                first: former.map_or(moment.leading, |former| former.first),
                cycles: former.map_or(0, |former| former.cycles).saturating_add(1),
            };
            let orphan = Orphan {
                hourly_cost: cost(place, found, moment.now),
                fate: fate(policy, hold, &place.target, found),
                refusal: memory.refusals.get(&id).cloned(),
                found: found.clone(),
            };
            if orphan.fate == Fate::Waiting && is_ripe(policy, moment, sighting, found) {
                due.push((sighting.first, Due { target: place.target.clone(), orphan: orphan.clone() }));
            }
            sightings.insert(id, sighting);
            orphans.push(orphan);
        }
        orphans.sort_by(|a, b| a.found.cmp(&b.found));
        judgement.orphans.insert(place.target.clone(), orphans);
    }
    memory.refusals.retain(|id, _| sightings.contains_key(id) || memory.removing.contains_key(id));
    memory.sightings = sightings;
    due.sort_by(|(first, a), (other, b)| (first, &a.target, &a.orphan.found).cmp(&(other, &b.target, &b.orphan.found)));
    judgement.due = due.into_iter().map(|(_, due)| due).take(PER_CYCLE).collect();
    follow_up(hold, known, memory, &mut judgement);
    judgement
}

/// Reports a requested deletion that is no longer listed, and requests it again, until it is confirmed.
fn follow_up(hold: Option<Hold>, known: &HubObjects, memory: &mut SweepMemory, judgement: &mut SweepJudgement) {
    memory.removing.retain(|(target, _, _), orphan| !known.covers(target, &orphan.found));
    for ((target, _, _), orphan) in &memory.removing {
        let Some(orphans) = judgement.orphans.get_mut(target) else { continue };
        let refusal = memory.refusals.get(&id(target, &orphan.found)).cloned();
        let orphan = Orphan { refusal, ..orphan.clone() };
        if hold.is_none() {
            judgement.due.push(Due { target: target.clone(), orphan: orphan.clone() });
        }
        orphans.push(orphan);
    }
}

/// Why nothing may be deleted in this cycle, whatever was found.
fn hold(known: &HubObjects, places: &[SweptTarget], baseline: Baseline) -> Option<Hold> {
    if known.listed == 0 {
        return Some(Hold::NoDeployments);
    }
    if baseline.low_since.is_some() {
        return Some(Hold::FewDeployments);
    }
    let here = || places.iter().flat_map(|place| place.found.iter().map(move |found| (place.target.as_str(), found)));
    let all = here().filter(|(target, found)| found.target == *target).count();
    let unknown = here().filter(|(target, found)| found.target == *target && !known.covers(target, found)).count();
    (unknown.saturating_mul(2) > all).then_some(Hold::MostlyUnknown)
}

fn fate(policy: &OrphanPolicy, hold: Option<Hold>, target: &str, found: &Found) -> Fate {
    match hold {
        _ if found.target != target => Fate::Misplaced,
        _ if !policy.delete => Fate::Reported,
        Some(hold) => Fate::Held(hold),
        None => Fate::Waiting,
    }
}

/// True if an orphan has been one for long enough, by everybody's account.
fn is_ripe(policy: &OrphanPolicy, moment: Moment, sighting: OrphanSighting, found: &Found) -> bool {
    // A provider that does not say when it made a thing has not said that it is old.
    let made = found.created_at != Timestamp::default();
    made && moment.now.since(found.created_at) >= policy.min_age.as_secs()
        && sighting.cycles >= CYCLES
        // Nothing was seen before this process led, so this is also how long it has led at least.
        && moment.leading.saturating_sub(sighting.first) >= policy.min_age
}

fn cost(place: &SweptTarget, found: &Found, now: Timestamp) -> Option<MicroDollars> {
    let offer = place.offers.iter().find(|offer| offer.name == found.offer)?;
    let mut found = found.clone();
    // A place that keeps no record does not list them.
    if found.accelerators == 0 && place.whole_instances {
        found.accelerators = offer.accelerators();
    }
    cost_of_found(&found, offer, now)
}
