//! Puts decisions into the fleet at once: the next plan counts them.

use std::collections::BTreeMap;

use roadstead_model::{
    Accelerator, Action, Deployment, Endpoint, EndpointKey, EndpointState, Found, Health, Placement, Plan, PodFields,
    Wait,
};

use crate::fleet::Fleet;

impl Fleet {
    /// Puts the actions of a plan in, as if they were carried out; `name` gives the name of the endpoint that a
    /// placement makes. Facts that come later replace what is put in here.
    pub fn assume(&mut self, deployment: &Deployment, plan: &Plan, name: impl Fn(&Placement) -> String) {
        let waits_for = plan.waits.iter().find_map(|wait| match wait {
            Wait::ReplacementLimit { budget, .. } => Some(budget),
            _ => None,
        });
        match waits_for {
            Some(budget) => self.wait_for_turn(deployment, budget, plan.decided_at),
            None => self.leave_turn(&deployment.id),
        }
        for action in &plan.actions {
            match action {
                Action::Create { placement, replaces, stands_by, .. } => {
                    let (name, now) = (name(placement), plan.decided_at);
                    let new = Endpoint::planned(name, deployment, placement, replaces.clone(), now);
                    let state = if *stands_by { EndpointState::Standby } else { EndpointState::Active };
                    self.upsert_endpoint(Endpoint { state, ..new });
                }
                Action::Adopt { found, state } => {
                    let endpoint = self.adopted(deployment, found, *state);
                    self.upsert_endpoint(endpoint);
                }
                Action::Promote { endpoint, replaces, .. } => self.change(deployment, endpoint, |endpoint| {
                    endpoint.state = EndpointState::Active;
                    endpoint.replaces = Some(replaces.clone());
                    endpoint.promoted_at = Some(plan.decided_at);
                }),
                Action::Keep(keep) => self.change(deployment, &keep.endpoint, |endpoint| {
                    // A new spec is not served before an observation confirms it.
                    endpoint.ready &= !keep.tells_anew(endpoint, deployment);
                    endpoint.replicas = keep.replicas;
                    endpoint.priority = deployment.priority;
                    if keep.pods == PodFields::FollowSpec {
                        endpoint.resources = deployment.resources;
                    }
                }),
                Action::Drain { endpoint, deadline, .. } => {
                    let state = EndpointState::Draining { deadline: *deadline };
                    self.change(deployment, endpoint, |endpoint| endpoint.state = state);
                }
                Action::Delete { endpoint, .. } => {
                    self.change(deployment, endpoint, |endpoint| {
                        endpoint.state = EndpointState::Deleting;
                    });
                }
            }
        }
    }

    fn change(&mut self, deployment: &Deployment, name: &str, change: impl FnOnce(&mut Endpoint)) {
        let key = EndpointKey { namespace: deployment.id.namespace.clone(), name: name.to_owned() };
        if let Some(mut endpoint) = self.endpoint(&key).cloned() {
            change(&mut endpoint);
            self.upsert_endpoint(endpoint);
        }
    }

    /// A found endpoint as a record; fields that its tags lack come from the spec until facts replace them.
    fn adopted(&self, deployment: &Deployment, found: &Found, state: EndpointState) -> Endpoint {
        let offer = self.entry(&found.target).and_then(|entry| entry.offer(&found.offer));
        let runs = found.runs.as_ref();
        let by_spec = || deployment.shape(&found.shape).map(|shape| shape.accelerator.clone());
        let accelerator = runs
            .map(|runs| runs.accelerator.clone())
            .or_else(by_spec)
            .or_else(|| offer.and_then(|offer| offer.accelerator.clone()))
            .unwrap_or_else(|| Accelerator { kind: String::new(), count: 1 });
        Endpoint {
            name: found.name.clone(),
            deployment: deployment.id.clone(),
            priority: deployment.priority,
            target: found.target.clone(),
            offer: found.offer.clone(),
            shape: found.shape.clone(),
            accelerator,
            engine: runs.map_or_else(|| deployment.engine.clone(), |runs| runs.engine.clone()),
            capacity_type: found.capacity_type,
            slot: found.slot,
            replicas: found.replicas,
            resources: deployment.resources,
            outdated: false,
            bound: BTreeMap::new(),
            state,
            ever_ready: found.ready_replicas > 0,
            ready: false,
            unverified: false,
            shifting: None,
            published_at: None,
            failure: None,
            answer_by: None,
            health: Health::Unknown,
            failing_since: None,
            failed_at: None,
            unschedulable: false,
            last_replica_cost: None,
            replaces: None,
            created_at: found.created_at,
            promoted_at: None,
        }
    }
}
