//! The snapshot and the ledger: everything that a plan depends on, kept indexed as it changes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{
    Deployment, DeploymentId, Endpoint, EndpointKey, EndpointState, Facts, Found, Members, Node, Offer, QueueKey,
    ReplacementBudget, ReplacementLimits, Target, Timestamp,
};

use crate::capacity::{Load, Standing};
use crate::entry::Entry;

/// All targets, all endpoints and all that was found, in memory.
///
/// It is updated as facts arrive. What a plan decides is put in at once as an [`Endpoint`]
/// ([`Endpoint::planned`]), and the next plan counts it: there is no other ledger.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    limits: ReplacementLimits,
    targets: BTreeMap<String, Entry>,
    endpoints: BTreeMap<EndpointKey, Endpoint>,
    by_deployment: BTreeMap<DeploymentId, BTreeSet<String>>,
    by_target: BTreeMap<String, BTreeSet<EndpointKey>>,
    loads: BTreeMap<String, BTreeMap<String, Load>>,
    /// Until when each replacement of a deployment counts as under way.
    moving: BTreeMap<DeploymentId, Vec<Moving>>,
    /// Deployments that wait until they may be replaced, for which budget, and since when.
    waiting: BTreeMap<DeploymentId, (ReplacementBudget, Turn)>,
    /// Found endpoints, by target.
    found: BTreeMap<String, Vec<Found>>,
    /// The targets where something of a deployment was found.
    found_on: BTreeMap<DeploymentId, BTreeSet<String>>,
}

/// A replacement in progress. Several endpoints may take over from one: that is one replacement.
#[derive(Debug, Clone)]
struct Moving {
    /// The endpoint that is replaced.
    replaced: String,
    /// Target of what takes over.
    to: String,
    /// End of the time for which it counts.
    until: Timestamp,
}

/// Position of a deployment among those that wait to be replaced: by priority, then by the beginning of the wait.
type Turn = (Reverse<i32>, Timestamp, QueueKey);

/// Replacements that serve and whose predecessor still does count for so long: a suspended deployment keeps both.
const TAKEN_OVER_SECONDS: u32 = 60;

/// The end of what is not known to end.
const OPEN: Timestamp = Timestamp(i64::MAX);

impl Fleet {
    /// Nothing at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty fleet with these limits of replacements in progress.
    #[must_use]
    pub fn with_limits(limits: ReplacementLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Puts in a target, or replaces its state. Works out which nodes each offer may use.
    pub fn upsert_target(&mut self, target: Target) {
        let name = target.name.clone();
        self.targets.insert(name.clone(), Entry::new(target));
        self.refresh(&name);
    }

    /// Takes out a target, and what was found there. Its endpoints stay until they are taken out themselves.
    pub fn remove_target(&mut self, name: &str) -> Option<Target> {
        self.set_found(name, Vec::new());
        self.targets.remove(name).map(|entry| entry.target)
    }

    /// The target of this name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.get(name).map(|entry| &entry.target)
    }

    /// All targets by name.
    #[must_use]
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &Target> {
        self.targets.values().map(|entry| &entry.target)
    }

    /// Replaces what was found at a target under our installation id. What has an [`Endpoint`] of the same
    /// name may be among it: the planner leaves it out. What its tags place at another target is not kept, for an
    /// endpoint made of it would be looked for there.
    pub fn set_found(&mut self, target: &str, mut found: Vec<Found>) {
        found.retain(|one| one.target == target);
        found.sort();
        // Every pod that changes brings the listing of its target along; mostly it is the same as before.
        let known = self.found.get(target).map_or(&[][..], Vec::as_slice);
        if known == found {
            return;
        }
        // Mostly only counts of replicas changed: the index by deployment stays.
        if known.iter().map(|one| &one.deployment).eq(found.iter().map(|one| &one.deployment)) {
            self.found.insert(target.to_owned(), found);
            return;
        }
        self.forget_found(target);
        for one in &found {
            self.found_on.entry(one.deployment.clone()).or_default().insert(target.to_owned());
        }
        if !found.is_empty() {
            self.found.insert(target.to_owned(), found);
        }
    }

    /// Removes a found endpoint of this name at a target: it is no longer adopted.
    pub fn remove_found(&mut self, target: &str, name: &str) {
        let Some(here) = self.found.get_mut(target) else { return };
        let Some(at) = here.iter().position(|one| one.name == name) else { return };
        let gone = here.remove(at);
        if here.iter().any(|one| one.deployment == gone.deployment) {
            return;
        }
        if let Some(targets) = self.found_on.get_mut(&gone.deployment) {
            targets.remove(target);
            if targets.is_empty() {
                self.found_on.remove(&gone.deployment);
            }
        }
    }

    fn forget_found(&mut self, target: &str) {
        for one in self.found.remove(target).unwrap_or_default() {
            if let Some(targets) = self.found_on.get_mut(&one.deployment) {
                targets.remove(target);
                if targets.is_empty() {
                    self.found_on.remove(&one.deployment);
                }
            }
        }
    }

    /// Found endpoints of a deployment without a record, in a fixed order.
    #[must_use]
    pub fn found_of(&self, deployment: &DeploymentId) -> Vec<&Found> {
        let recorded = self.by_deployment.get(deployment);
        let targets = self.found_on.get(deployment).into_iter().flatten();
        let mut found: Vec<_> = targets
            .filter_map(|target| self.found.get(target))
            .flatten()
            .filter(|one| one.deployment == *deployment)
            .filter(|one| !recorded.is_some_and(|names| names.contains(&one.name)))
            .collect();
        found.sort();
        found.dedup_by(|later, kept| later.name == kept.name);
        found
    }

    /// Puts in an endpoint, or replaces its state.
    pub fn upsert_endpoint(&mut self, endpoint: Endpoint) {
        let key = endpoint.key();
        if self.endpoints.get(&key) == Some(&endpoint) {
            return;
        }
        self.remove_endpoint(&key);
        let deployment = endpoint.deployment.clone();
        self.by_deployment.entry(deployment.clone()).or_default().insert(endpoint.name.clone());
        self.by_target.entry(endpoint.target.clone()).or_default().insert(key.clone());
        let loads = self.loads.entry(endpoint.target.clone()).or_default();
        loads.entry(endpoint.offer.clone()).or_default().add(&endpoint);
        let target = endpoint.target.clone();
        self.endpoints.insert(key, endpoint);
        self.refresh(&target);
        self.count_moves(&deployment);
    }

    /// Takes out an endpoint.
    pub fn remove_endpoint(&mut self, key: &EndpointKey) -> Option<Endpoint> {
        let endpoint = self.endpoints.remove(key)?;
        if let Some(names) = self.by_deployment.get_mut(&endpoint.deployment) {
            names.remove(&endpoint.name);
            if names.is_empty() {
                self.by_deployment.remove(&endpoint.deployment);
            }
        }
        if let Some(keys) = self.by_target.get_mut(&endpoint.target) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_target.remove(&endpoint.target);
            }
        }
        if let Some(loads) = self.loads.get_mut(&endpoint.target) {
            if let Some(load) = loads.get_mut(&endpoint.offer) {
                load.subtract(&endpoint);
                if load.is_empty() {
                    loads.remove(&endpoint.offer);
                }
            }
            if loads.is_empty() {
                self.loads.remove(&endpoint.target);
            }
        }
        self.refresh(&endpoint.target);
        self.count_moves(&endpoint.deployment);
        Some(endpoint)
    }

    /// The endpoint of this key.
    #[must_use]
    pub fn endpoint(&self, key: &EndpointKey) -> Option<&Endpoint> {
        self.endpoints.get(key)
    }

    /// All endpoints by key.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.values()
    }

    /// The endpoints of a deployment by name, whatever their state.
    pub fn endpoints_of(&self, deployment: &DeploymentId) -> impl Iterator<Item = &Endpoint> {
        let namespace = &deployment.namespace;
        self.by_deployment.get(deployment).into_iter().flatten().filter_map(move |name| {
            self.endpoints.get(&EndpointKey { namespace: namespace.clone(), name: name.clone() })
        })
    }

    /// The endpoints on a target by key, whatever their state.
    pub fn endpoints_on(&self, target: &str) -> impl Iterator<Item = &Endpoint> {
        self.by_target.get(target).into_iter().flatten().filter_map(|key| self.endpoints.get(key))
    }

    /// Number of replacements in progress: active endpoints whose predecessor still serves or drains.
    ///
    /// None counts for ever: not one whose deletion is requested, for a lost cluster may never confirm it, not one that
    /// is past the time in which it was to answer, and not one whose predecessor was to be gone by now.
    #[must_use]
    pub fn replacements_under_way(&self, now: Timestamp) -> u32 {
        self.in_progress(&ReplacementBudget::Fleet, now, None)
    }

    /// Number of replacements in progress that count against a budget, without that of one endpoint.
    pub(crate) fn in_progress(&self, budget: &ReplacementBudget, now: Timestamp, without: Option<&Endpoint>) -> u32 {
        let counts = |id: &DeploymentId, to: &str| match budget {
            ReplacementBudget::Fleet => true,
            ReplacementBudget::Namespace { namespace } => id.namespace == *namespace,
            ReplacementBudget::Destination { target } => to == target,
        };
        let of = |(id, moves): (&DeploymentId, &Vec<Moving>)| {
            let is_left_out =
                |one: &Moving| without.is_some_and(|without| without.deployment == *id && without.name == one.replaced);
            let counted = moves.iter().filter(|one| one.until > now && counts(id, &one.to) && !is_left_out(one));
            match moves.len() {
                1 => counted.count(),
                _ => counted.map(|one| one.replaced.as_str()).collect::<BTreeSet<_>>().len(),
            }
        };
        u32::try_from(self.moving.iter().map(of).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// Time when the next replacement stops counting, if time alone causes that.
    pub(crate) fn next_turn_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.moving.values().flatten().map(|one| one.until);
        ends.filter(|until| *until > now && *until < OPEN).min()
    }

    /// Number of deployments whose turn for a budget comes before that of this one.
    pub(crate) fn before_in_turn(&self, deployment: &Deployment, budget: &ReplacementBudget, now: Timestamp) -> u32 {
        let own = self.turn_of(deployment, now);
        let is_before = |id: &DeploymentId, turn: &Turn| *id != deployment.id && *turn < own;
        let before = self.waiting.iter().filter(|(id, (of, turn))| of == budget && is_before(id, turn));
        u32::try_from(before.count()).unwrap_or(u32::MAX)
    }

    fn turn_of(&self, deployment: &Deployment, now: Timestamp) -> Turn {
        let since = self.waiting.get(&deployment.id).map_or(now, |(_, (_, since, _))| *since);
        (Reverse(deployment.priority), since, deployment.queue_key())
    }

    /// Has a deployment wait for a budget, since `now` unless it waits already.
    pub(crate) fn wait_for_turn(&mut self, deployment: &Deployment, budget: &ReplacementBudget, now: Timestamp) {
        let turn = self.turn_of(deployment, now);
        self.waiting.insert(deployment.id.clone(), (budget.clone(), turn));
    }

    /// True if a deployment waits until it may be replaced.
    #[must_use]
    pub fn waits_for_turn(&self, deployment: &DeploymentId) -> bool {
        self.turn_for(deployment).is_some()
    }

    /// The budget for which a deployment waits until it may be replaced.
    #[must_use]
    pub fn turn_for(&self, deployment: &DeploymentId) -> Option<&ReplacementBudget> {
        self.waiting.get(deployment).map(|(budget, _)| budget)
    }

    /// The deployments whose turn may have come: of those that wait for a budget, as many as it has room for, and one more,
    /// because a deployment does not count the replacement that it has itself. For everybody else nothing changes before
    /// these have left.
    #[must_use]
    pub fn next_in_turn(&self, now: Timestamp) -> BTreeSet<DeploymentId> {
        let mut queues: BTreeMap<&ReplacementBudget, BTreeSet<(&Turn, &DeploymentId)>> = BTreeMap::new();
        for (id, (budget, turn)) in &self.waiting {
            queues.entry(budget).or_default().insert((turn, id));
        }
        let first = queues.into_iter().flat_map(|(budget, queue)| {
            let room = self.limit_of(budget).saturating_sub(self.in_progress(budget, now, None));
            queue.into_iter().take(usize::try_from(room).unwrap_or(usize::MAX).saturating_add(1))
        });
        first.map(|(_, id)| id.clone()).collect()
    }

    fn limit_of(&self, budget: &ReplacementBudget) -> u32 {
        let limit = match budget {
            ReplacementBudget::Fleet => Some(self.limits.fleet),
            ReplacementBudget::Namespace { .. } => self.limits.namespace,
            ReplacementBudget::Destination { .. } => self.limits.destination,
        };
        limit.unwrap_or(u32::MAX)
    }

    /// A deployment does not wait for its replacement any more.
    pub fn leave_turn(&mut self, deployment: &DeploymentId) {
        self.waiting.remove(deployment);
    }

    /// The offers of a target with their nodes, by name; nothing where there is no such thing as nodes.
    pub fn members_of(&self, target: &str) -> impl Iterator<Item = (&Offer, &Members, Vec<&Node>)> {
        self.entry(target).into_iter().flat_map(|entry| {
            let nodes = entry.target.nodes.as_deref().unwrap_or_default();
            entry.target.offers.iter().zip(&entry.offer_nodes).filter_map(|(offer, known)| {
                let members = known.members.as_ref()?;
                let usable = members.usable.iter().filter_map(|index| nodes.get(*index)).collect();
                Some((offer, members, usable))
            })
        })
    }

    /// The target of this name with what was worked out about it.
    pub(crate) fn entry(&self, target: &str) -> Option<&Entry> {
        self.targets.get(target)
    }

    /// All targets by name, with what was worked out about them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.targets.values()
    }

    /// Works out again what endpoints hold on a target.
    fn refresh(&mut self, target: &str) {
        if let Some(entry) = self.targets.get_mut(target) {
            let loads = self.loads.get(target);
            entry.standing = loads.map_or_else(Standing::default, |loads| Standing::of(&entry.target, loads));
        }
    }

    fn count_moves(&mut self, deployment: &DeploymentId) {
        let moves: Vec<Moving> = self.endpoints_of(deployment).filter_map(|endpoint| self.moving(endpoint)).collect();
        if moves.is_empty() {
            self.moving.remove(deployment);
        } else {
            self.moving.insert(deployment.clone(), moves);
        }
    }

    /// The replacement in progress by an endpoint; nothing where it is none.
    fn moving(&self, endpoint: &Endpoint) -> Option<Moving> {
        let replaced = endpoint.replaces.as_ref().filter(|_| endpoint.is_active())?;
        let key = EndpointKey { namespace: endpoint.deployment.namespace.clone(), name: replaced.clone() };
        let replaced = self.endpoints.get(&key).filter(|replaced| endpoint.takes_over_from(replaced))?;
        let until = match replaced.state {
            EndpointState::Deleting => return None,
            EndpointState::Draining { deadline } => Some(deadline),
            EndpointState::Active | EndpointState::Standby if endpoint.ready => {
                endpoint.published_at.map(|published| published.plus(TAKEN_OVER_SECONDS))
            }
            EndpointState::Active | EndpointState::Standby => endpoint.answer_by,
        };
        Some(Moving { replaced: replaced.name.clone(), to: endpoint.target.clone(), until: until.unwrap_or(OPEN) })
    }
}

impl Facts for Fleet {
    fn replacement_limits(&self) -> ReplacementLimits {
        self.limits
    }

    fn target(&self, name: &str) -> Option<&Target> {
        self.target(name)
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets()
    }

    fn endpoint(&self, key: &EndpointKey) -> Option<&Endpoint> {
        self.endpoint(key)
    }

    fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints()
    }

    fn endpoints_of(&self, deployment: &DeploymentId) -> impl Iterator<Item = &Endpoint> {
        self.endpoints_of(deployment)
    }

    fn endpoints_on(&self, target: &str) -> impl Iterator<Item = &Endpoint> {
        self.endpoints_on(target)
    }

    fn found_of(&self, deployment: &DeploymentId) -> Vec<&Found> {
        self.found_of(deployment)
    }
}
