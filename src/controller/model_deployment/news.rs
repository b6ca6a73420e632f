//! News about a deployment from the transition of its status. A pure function that publishes nothing.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use roadstead_explain::deployment::releasing;
use roadstead_explain::{self as explain, DeploymentEvent, PlaceSummary, per_hour};
use roadstead_model::{Action, Plan, Wait};

use crate::controller::news::{News, of_condition, of_ready, price};
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions;
use roadstead_api::v1alpha1::{
    InferenceEndpoint, ModelDeploymentStatus, PlacementRole, PlacementStatus, ReleasingStatus, reasons,
};

/// A deployment before and after one reconcile.
pub struct DeploymentTurn<'a> {
    /// Its former status.
    pub former: &'a ModelDeploymentStatus,
    /// Its new status.
    pub status: &'a ModelDeploymentStatus,
    /// The plan that was carried out in between, if one was made.
    pub plan: Option<&'a Plan>,
    /// Its endpoints, those that are going included.
    pub endpoints: &'a [Arc<InferenceEndpoint>],
}

impl DeploymentTurn<'_> {
    /// The news in the order in which it happened.
    #[must_use]
    pub fn news(&self) -> Vec<News> {
        let mut news: Vec<News> =
            self.status.placements.iter().filter_map(|placement| self.scaled(placement)).collect();
        news.extend(self.leavers().filter_map(|placement| self.left(placement)));
        news.extend(self.newcomers().map(|placement| self.placed(placement)));
        let planned = !news.is_empty() || self.is_moving();
        let (former, status) = (&self.former.conditions, &self.status.conditions);
        if let Some(turn) = of_ready(former, status, planned).and_then(|turn| self.in_context(turn)) {
            news.push(turn);
        }
        news.extend(hosted_turn(former, status));
        let budget = of_condition(former, status, conditions::WITHIN_BUDGET);
        let told = |reason: &str| news.iter().any(|known| known.reason == reason);
        if let Some(turn) = budget.filter(|turn| !self.is_moving() && !told(&turn.reason)) {
            news.push(turn);
        }
        news
    }

    fn endpoint(&self, name: &str) -> Option<&InferenceEndpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name_any() == name).map(AsRef::as_ref)
    }

    /// True if another endpoint is to take over.
    fn is_moving(&self) -> bool {
        self.status.placements.iter().any(|placement| placement.role == PlacementRole::Replacement)
    }

    fn newcomers(&self) -> impl Iterator<Item = &PlacementStatus> {
        let former = self.former;
        let known = |name: &str| {
            find(&former.placements, name).is_some() || former.releasing.iter().any(|known| known.endpoint == name)
        };
        self.status.placements.iter().filter(move |placement| !known(&placement.endpoint))
    }

    fn leavers(&self) -> impl Iterator<Item = &PlacementStatus> {
        self.former.placements.iter().filter(|former| find(&self.status.placements, &former.endpoint).is_none())
    }

    /// The placement that a new endpoint is to take over from, or has taken over from.
    fn replaced_by(&self, endpoint: &str) -> Option<&PlacementStatus> {
        let replaced = self.endpoint(endpoint)?.spec.replaces.as_deref()?;
        find(&self.former.placements, replaced)
    }

    fn placed(&self, placement: &PlacementStatus) -> News {
        let record = self.endpoint(&placement.endpoint);
        let decision = record.map(|record| record.spec.reason.clone()).unwrap_or_default();
        let former = self.replaced_by(&placement.endpoint);
        let why = match former.map_or_else(|| self.choice(), |former| self.fault(&former.endpoint)) {
            Some(why) => format!("{decision}: {why}"),
            None => decision.clone(),
        };
        let place = place(placement);
        let news = match former {
            Some(former) => {
                let (from, paid) = (&former.target, price(former.hourly_cost.as_ref()));
                let note = DeploymentEvent::Moving { from, paid, place, why: &why }.to_string();
                News { from: Some(from.clone()), ..News::new(reasons::MOVING, note) }
            }
            None if decision == reasons::ADOPTED => {
                News::new(reasons::ADOPTED, DeploymentEvent::Adopted(place).to_string())
            }
            None => News::new(reasons::PLACED, DeploymentEvent::Placed { place, why: &why }.to_string()),
        };
        News { to: Some(placement.target.clone()), why: Some(why), cost: Some(per_hour(place.cost)), ..news }
    }

    /// Reason for the chosen place, from the plan that chose it.
    fn choice(&self) -> Option<String> {
        let creates = |plan: &&Plan| plan.actions.iter().any(|action| matches!(action, Action::Create { .. }));
        let chosen =
            self.plan.filter(creates)?.report.candidates.iter().find(|candidate| candidate.verdict.is_chosen())?;
        Some(explain::verdict(chosen))
    }

    /// Problem of the place of an endpoint that stays for now.
    fn fault(&self, endpoint: &str) -> Option<String> {
        self.plan?.actions.iter().find_map(|action| match action {
            Action::Keep(keep) if keep.endpoint == endpoint => keep.findings.first().map(explain::finding),
            _ => None,
        })
    }

    /// An endpoint that stays has another number of replicas.
    fn scaled(&self, placement: &PlacementStatus) -> Option<News> {
        let former = find(&self.former.placements, &placement.endpoint)?;
        if former.replicas == placement.replicas {
            return None;
        }
        let (was, is) = (price(former.hourly_cost.as_ref()), price(placement.hourly_cost.as_ref()));
        let (from, to, target) = (number(former.replicas), number(placement.replicas), &placement.target);
        let note = DeploymentEvent::Scaled { from, to, target, was, is }.to_string();
        Some(News { to: Some(target.clone()), cost: Some(per_hour(is)), ..News::new(reasons::SCALED, note) })
    }

    /// An endpoint that was to stay does not any more: another has taken over, or it never served.
    fn left(&self, former: &PlacementStatus) -> Option<News> {
        let record = self.endpoint(&former.endpoint);
        let ready = |name: &str| {
            let status = self.endpoint(name).and_then(|endpoint| endpoint.status.as_ref());
            status.is_some_and(|status| status.first_ready_time.is_some())
        };
        let successor = self.status.placements.iter().find(|placement| {
            let replaces = self.endpoint(&placement.endpoint).and_then(|record| record.spec.replaces.as_deref());
            replaces == Some(&former.endpoint) && ready(&placement.endpoint) && !self.is_younger(record, placement)
        });
        if let Some(successor) = successor {
            return Some(moved(former, successor, record));
        }
        let mut withdrawn = withdrawals_by_name(self.plan?, self.endpoints);
        withdrawn.find(|(endpoint, _)| *endpoint == former.endpoint).map(|(_, news)| news)
    }

    /// True if an endpoint was created after the one at `placement`: it has the name of what that one replaced.
    fn is_younger(&self, endpoint: Option<&InferenceEndpoint>, placement: &PlacementStatus) -> bool {
        let created = |one: &InferenceEndpoint| one.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let began = |one: &InferenceEndpoint| one.spec.promoted_at.as_ref().map(|time| time.0).or_else(|| created(one));
        let other = self.endpoint(&placement.endpoint).and_then(began);
        endpoint.and_then(created).zip(other).is_some_and(|(created, began)| created > began)
    }

    /// The summary beside the other conditions.
    fn in_context(&self, turn: News) -> Option<News> {
        // The reason of a move was reported with it; no action is needed while it continues.
        let forces_a_move = ["PolicyViolated", "SpecChanged", reasons::OVER_BUDGET, reasons::INSUFFICIENT_CAPACITY];
        if self.is_moving() && forces_a_move.contains(&turn.reason.as_str()) {
            return None;
        }
        if turn.reason == reasons::DELETING {
            let named =
                |gone: &ReleasingStatus| releasing(&gone.endpoint, &gone.target, price(gone.hourly_cost.as_ref()));
            let all: Vec<String> = self.status.releasing.iter().map(named).collect();
            return Some(News { note: format!("{}: {}", turn.note, all.join(", ")), ..turn });
        }
        let queued = |wait: &Wait| matches!(wait, Wait::ReplacementLimit { .. });
        let waits_its_turn = self.plan.is_some_and(|plan| plan.waits.iter().any(queued));
        Some(if waits_its_turn { turn.harmless() } else { turn })
    }
}

/// The turn of hosted models. That they take requests is a warning: each request is billed, and another model answers.
fn hosted_turn(former: &[Condition], new: &[Condition]) -> Option<News> {
    let is = conditions::find(new, conditions::HOSTED_FALLBACK)?;
    let was = conditions::find(former, conditions::HOSTED_FALLBACK);
    let turned = was.map_or(is.reason != reasons::HOSTED_STANDS_BY, |was| was.reason != is.reason);
    turned.then(|| News::new(&is.reason, is.message.clone()))
}

/// The news of endpoints that a plan deletes before they served, by their names.
fn withdrawals_by_name<'a>(
    plan: &'a Plan,
    endpoints: &'a [Arc<InferenceEndpoint>],
) -> impl Iterator<Item = (&'a str, News)> {
    plan.actions.iter().filter_map(|action| {
        let Action::Delete { endpoint, reason, .. } = action else { return None };
        let record = endpoints.iter().find(|record| record.name_any() == *endpoint)?;
        let status = record.status.clone().unwrap_or_default();
        if status.first_ready_time.is_some() {
            return None;
        }
        let last = conditions::find(&status.conditions, conditions::READY);
        let why =
            last.map_or_else(|| reason.as_str().to_owned(), |last| format!("{}: {}", reason.as_str(), last.message));
        let target = &record.spec.target;
        let note = DeploymentEvent::Withdrawn { endpoint, target, why: &why }.to_string();
        let from = Some(target.clone());
        Some((endpoint.as_str(), News { from, why: Some(why), ..News::new(reasons::WITHDRAWN, note) }))
    })
}

/// The news of the endpoints that a plan deletes before they served.
#[must_use]
pub fn withdrawals(plan: &Plan, endpoints: &[Arc<InferenceEndpoint>]) -> Vec<News> {
    withdrawals_by_name(plan, endpoints).map(|(_, news)| news).collect()
}

fn moved(former: &PlacementStatus, successor: &PlacementStatus, record: Option<&InferenceEndpoint>) -> News {
    let (was, is) = (price(former.hourly_cost.as_ref()), price(successor.hourly_cost.as_ref()));
    let deadline = record.and_then(|record| record.spec.deadline.as_ref());
    let until = deadline.map(|until| until.0.to_string());
    let drains = until.as_deref().map(|until| (former.endpoint.as_str(), until));
    let note = DeploymentEvent::Moved { from: &former.target, to: &successor.target, was, is, drains }.to_string();
    News {
        from: Some(former.target.clone()),
        to: Some(successor.target.clone()),
        why: record.map(|record| record.spec.reason.clone()),
        cost: Some(per_hour(is)),
        ..News::new(reasons::MOVED, note)
    }
}

fn find<'a>(placements: &'a [PlacementStatus], endpoint: &str) -> Option<&'a PlacementStatus> {
    placements.iter().find(|placement| placement.endpoint == endpoint)
}

fn number(replicas: i32) -> u32 {
    u32::try_from(replicas).unwrap_or(0)
}

fn place(placement: &PlacementStatus) -> PlaceSummary<'_> {
    PlaceSummary {
        replicas: number(placement.replicas),
        shape: &placement.shape,
        target: &placement.target,
        cloud: &placement.cloud,
        region: &placement.region,
        offer: &placement.offer,
        capacity_type: planning::planner_capacity_type(placement.capacity_type),
        cost: price(placement.hourly_cost.as_ref()),
    }
}
