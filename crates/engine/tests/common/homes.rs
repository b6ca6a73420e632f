//! Homes of the world: the targets that failovers left, and the returns to them.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::*;

use super::world::{TARGETS, World};

/// Time for which a home must have been usable.
pub const STABILIZATION: u32 = 600;

/// Deployments that return, and what the hub knows of homes.
#[derive(Debug, Default)]
pub struct Homes {
    /// Deployments that return.
    pub returning: BTreeSet<String>,
    /// Returns: the deployment, its home, and the time of the decision.
    pub returns: Vec<(String, String, Timestamp)>,
    /// Why each record was created, and the target of the endpoint that it replaces.
    origins: BTreeMap<String, (Decision, Option<String>)>,
    /// Home of each deployment that is away, and the time of its first failover.
    away: BTreeMap<String, (String, Timestamp)>,
    /// Last time when a check saw each target lost or back.
    disturbed: [Timestamp; TARGETS.len()],
}

impl World {
    /// A record was created.
    pub fn originates(&mut self, record: &str, reason: Decision, replaced: Option<&str>) {
        let from = replaced.and_then(|name| self.endpoint(name)).map(|one| one.target);
        self.homes.origins.insert(record.to_owned(), (reason, from));
    }

    /// A check saw a target lost or back.
    pub fn disturbs(&mut self, index: usize) {
        self.homes.disturbed[index] = self.now;
    }

    /// The return that a deployment wants, as its status and spec say: home is what the first of its latest failovers left.
    pub fn failback(&mut self, deployment: &str) -> Option<Failback> {
        let records = self.records_of(deployment);
        let published: Vec<Endpoint> = records
            .iter()
            .filter_map(|name| self.endpoint(name))
            .filter(|one| one.is_active() && one.published_at.is_some())
            .collect();
        if let [one] = published.as_slice() {
            let origin = self.homes.origins.get(&one.name).cloned();
            match origin {
                Some((Decision::TargetLost | Decision::EndpointFailing, Some(from))) => {
                    let now = self.now;
                    self.homes.away.entry(deployment.to_owned()).or_insert((from, now));
                }
                _ => drop(self.homes.away.remove(deployment)),
            }
            if self.homes.away.get(deployment).is_some_and(|(home, _)| *home == one.target) {
                self.homes.away.remove(deployment);
            }
        }
        let (home, left_at) = self.homes.away.get(deployment).filter(|_| self.homes.returning.contains(deployment))?;
        Some(Failback {
            home: home.clone(),
            left_at: *left_at,
            stabilization_seconds: STABILIZATION,
            only_if_cheaper: false,
        })
    }

    /// Fails if a deployment returns to a home that was disturbed within the stabilization.
    pub fn returns(&mut self, deployment: &str, plan: &Plan) {
        for action in &plan.actions {
            let Action::Create { placement, reason: Decision::FailedBack, .. } = action else { continue };
            let index = self.places.iter().position(|place| place.name == placement.target).unwrap();
            let (home, left_at) = self.homes.away[deployment].clone();
            let stable = left_at.max(self.homes.disturbed[index]).plus(STABILIZATION);
            assert!(
                home == placement.target && stable <= self.now,
                "{deployment} returns to {} at {}, which is stable at {stable}; home is {home}",
                placement.target,
                self.now
            );
            self.homes.returns.push((deployment.to_owned(), home, self.now));
        }
    }
}
