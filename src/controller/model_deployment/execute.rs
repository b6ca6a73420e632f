//! Carries a plan out, action by action. It chooses nothing; the first failure ends it, and the deployment is planned
//! again.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::DynamicObject;
use roadstead_model::{Action, Exhaust, Keep};
use serde_json::json;

use super::{Planned, adoption, build};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub::{Expect, WriteAnswer};
use crate::controller::serving_target::news;
use crate::controller::tell::tell;
use crate::controller::{find, refusals};
use roadstead_api::planning;
use roadstead_api::v1alpha1::{EndpointState, InferenceEndpoint};
use roadstead_runtime::cache::Key;
use roadstead_runtime::patch::merge_patch;

/// Carries out the actions of a plan in their order.
///
/// # Errors
/// [`ActError`] of the first write that failed; nothing after it was tried.
pub async fn execute(context: &Context, planned: &Planned) -> Result<(), ActError> {
    let mut execution = Execution { context, planned, confirmed: false };
    for action in &planned.plan.actions {
        execution.step(action).await?;
    }
    Ok(())
}

/// A plan that is being carried out.
struct Execution<'a> {
    context: &'a Context,
    planned: &'a Planned,
    /// The plan was seen to be that of the present.
    confirmed: bool,
}

impl Execution<'_> {
    async fn step(&mut self, action: &Action) -> Result<(), ActError> {
        let (context, planned) = (self.context, self.planned);
        match action {
            Action::Create { placement, replaces, stands_by, reason } => {
                build::check_offer(context, placement)?;
                let mut new = build::new(context, planned, placement, replaces.as_deref(), reason.as_str())?;
                if *stands_by {
                    new.spec.state = EndpointState::Standby;
                }
                self.create(new).await
            }
            Action::Adopt { found, state } => self.create(adoption::record(context, planned, found, *state)?).await,
            Action::Promote { endpoint, replaces, reason } => {
                let change = json!({"spec": {
                    "state": EndpointState::Active,
                    "replaces": replaces,
                    "promotedAt": planning::time(planned.plan.decided_at),
                    "reason": reason.as_str(),
                }});
                self.patch(endpoint, change).await
            }
            Action::Keep(keep) => self.keep_as(keep).await,
            Action::Drain { endpoint, deadline, reason } => {
                let change = json!({"spec": {
                    "state": EndpointState::Draining,
                    "deadline": planning::time(*deadline),
                    "reason": reason.as_str(),
                }});
                self.patch(endpoint, change).await
            }
            Action::Delete { endpoint, exhaust: refusal, .. } => {
                // The refusal is recorded first: after a crash in between the place would be tried again.
                if let Some(refusal) = refusal {
                    self.confirm().await?;
                    exhaust(context, planned, refusal).await?;
                }
                self.delete(endpoint).await
            }
        }
    }

    /// A quorum read before the first change: a plan from a cache that lags behind is not carried out.
    async fn confirm(&mut self) -> Result<(), ActError> {
        if !self.confirmed {
            self.confirmed = self.is_current().await?;
        }
        if self.confirmed {
            Ok(())
        } else {
            Err(ActError::Stale { object: Key::of(self.planned.object.as_ref()).to_string() })
        }
    }

    /// True if the deployment is still what was planned, and has no endpoint that the plan did not know.
    async fn is_current(&self) -> Result<bool, ActError> {
        let (hub, object) = (&self.context.hub, self.planned.object.as_ref());
        let same = hub.confirm(object, Expect::Unchanged).await?;
        // The first endpoint has a name of its own, and what changes one carries its version: neither can be mistaken.
        let (known, actions) = (&self.planned.known, &self.planned.plan.actions);
        let adds = !known.is_empty() && actions.iter().any(|action| matches!(action, Action::Create { .. }));
        if !same || !adds {
            return Ok(same);
        }
        let unknown = |endpoint: &DynamicObject| endpoint.uid().is_none_or(|uid| !known.contains(&uid));
        Ok(!find::has_endpoint_of(&self.context.client, object, unknown).await?)
    }

    fn existing(&self, name: &str) -> Option<Arc<InferenceEndpoint>> {
        self.context.caches.endpoints.get(&Key::new(&self.planned.request.id.namespace, name))
    }

    /// Takes in the answer to a write: from now on what is observed of the endpoint counts.
    fn took(&self, answer: WriteAnswer<InferenceEndpoint>) {
        let newest = self.context.took(answer);
        self.context.fleet.answered(&Key::of(newest.as_ref()));
    }

    async fn create(&mut self, endpoint: InferenceEndpoint) -> Result<(), ActError> {
        self.confirm().await?;
        let created = self.context.hub.create(&endpoint).await?;
        self.context.metrics.placed(self.planned.plan.decision.as_str());
        self.took(created);
        Ok(())
    }

    /// Brings an endpoint that stays to its replicas and, where the plan says so, to the deployment's pod fields.
    async fn keep_as(&mut self, keep: &Keep) -> Result<(), ActError> {
        let Some(endpoint) = self.existing(&keep.endpoint) else { return Ok(()) };
        let wanted = build::kept(self.planned, &endpoint, keep);
        let change = merge_patch(&serde_json::to_value(&endpoint.spec)?, &serde_json::to_value(&wanted)?);
        match change {
            Some(change) => self.patch(&keep.endpoint, json!({"spec": change})).await,
            None => Ok(()),
        }
    }

    async fn patch(&mut self, name: &str, change: serde_json::Value) -> Result<(), ActError> {
        let Some(endpoint) = self.existing(name) else { return Ok(()) };
        self.confirm().await?;
        let written = self.context.hub.patch(endpoint.as_ref(), change).await?;
        self.took(written);
        Ok(())
    }

    async fn delete(&mut self, name: &str) -> Result<(), ActError> {
        let Some(endpoint) = self.existing(name) else { return Ok(()) };
        self.confirm().await?;
        if let Some(deleting) = self.context.hub.delete(endpoint.as_ref()).await? {
            self.took(deleting);
        }
        Ok(())
    }
}

/// Records at the target that an offer refused a size, with a growing back-off.
async fn exhaust(context: &Context, planned: &Planned, refusal: &Exhaust) -> Result<(), ActError> {
    let Some(target) = context.caches.targets.get(&Key::cluster(&refusal.target)) else { return Ok(()) };
    let former = target.status.clone().unwrap_or_default();
    let mut status = former.clone();
    let endpoints = context.known_endpoints_on(&refusal.target);
    let in_a_row = refusals::in_a_row(&former.exhausted, endpoints.iter().map(AsRef::as_ref));
    status.exhausted = refusals::with(&in_a_row, refusal, planned.plan.decided_at);
    if let Some(written) = context.hub.record(target.as_ref(), &former, &status).await? {
        for news in news::news(&former, &status) {
            tell(context, target.as_ref(), &news);
        }
        context.took(written);
    }
    Ok(())
}
