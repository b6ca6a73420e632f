//! Deployments: observed, validated, planned, carried out, reported.
//!
//! `decide` (in queue order, without any call) uses `validate` and the planner; `act` uses `execute` and `status`.
//! `retire` handles a deployment that is being deleted, and comes first.

mod adoption;
#[cfg(test)]
mod adoption_tests;
mod build;
mod burst;
mod candidates;
#[cfg(test)]
mod candidates_tests;
mod cost;
#[cfg(test)]
mod current_tests;
#[cfg(test)]
mod decide_tests;
mod execute;
mod home;
mod hosted;
#[cfg(test)]
mod kstatus;
mod last_move;
mod moves;
mod news;
#[cfg(test)]
mod news_tests;
mod place;
mod progress;
mod requested_move;
mod retire;
mod roles;
mod standby;
mod status;
#[cfg(test)]
mod status_tests;
mod status_write;
pub mod template;
#[cfg(test)]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use roadstead_model::{self as model, Plan};

use super::context::Context;
use super::convert;
use super::error::ActError;
use super::trouble;
use super::watches::LIST_AGAIN;
use roadstead_api::planning;
use roadstead_api::v1alpha1::ModelDeployment;
use roadstead_api::v1alpha1::validate::{self, Problem};
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

/// The longest that a deployment which waits is left unlooked at, whatever its plan says.
const RECHECK_LIMIT: Duration = Duration::from_mins(5);

/// The controller of `ModelDeployment`s.
pub struct DeploymentController {
    context: Arc<Context>,
}

/// Decision about a deployment.
pub enum DeploymentDecision {
    /// It is not there: nothing.
    Gone,
    /// Not everything in its namespace is known yet: nothing is decided.
    Unknown,
    /// Another installation has endpoints of it: it is that installation's to plan.
    Foreign,
    /// It is being deleted.
    Retire(Arc<ModelDeployment>),
    /// Its spec says something that cannot be.
    Invalid(Arc<ModelDeployment>, Vec<Problem>),
    /// A plan was made, and is assumed.
    Planned(Box<Planned>),
    /// A plan was made that must not be carried out.
    Refused(ActError),
}

/// A deployment and its plan.
pub struct Planned {
    /// As it was planned.
    pub object: Arc<ModelDeployment>,
    /// As the planner saw it.
    pub request: model::Deployment,
    /// The plan.
    pub plan: Plan,
    /// A fact in the written candidates has changed.
    pub outdated: bool,
    /// The UIDs of its endpoints that were known then.
    pub known: BTreeSet<String>,
}

impl DeploymentController {
    /// The controller over `context`.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// The planner's form of the deployment, or the problems of its spec.
    fn request(&self, object: &ModelDeployment) -> Result<model::Deployment, Vec<Problem>> {
        let mut problems = validate::model_deployment(object);
        // Deployments that already use this image were accepted by an older release: their moves and drains continue.
        if self.runs_with_its_image(object) {
            problems.retain(|problem| !problem.is_of_image());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let request =
            convert::deployment(object, self.context.namespace_labels(object)).map_err(|problem| vec![problem])?;
        // Only a gateway makes one address of several places.
        let divisible = self.context.settings.gateway.is_some() && !request.removes_first;
        Ok(model::Deployment { divisible, ..request })
    }

    fn runs_with_its_image(&self, object: &ModelDeployment) -> bool {
        let endpoints = self.context.endpoints_of(object);
        endpoints.iter().any(|endpoint| endpoint.spec.template.image == object.spec.serving.image)
    }

    /// The deployment under `key` is not planned; the turn of others may have come with that.
    fn forget(&self, key: &Key) {
        let again = self.context.fleet.forget_deployment(key);
        self.context.enqueue_deployments(again);
    }

    fn plan(&self, object: Arc<ModelDeployment>) -> DeploymentDecision {
        let request = match self.request(&object) {
            Ok(request) => request,
            Err(problems) => {
                self.forget(&Key::of(object.as_ref()));
                return DeploymentDecision::Invalid(object, problems);
            }
        };
        let install_id = &self.context.settings.install_id;
        let name = |placement: &model::Placement| build::name(install_id, &request.id, placement);
        let now = planning::now(self.context.clock.wall());
        // Before the plan is made: what comes in meanwhile is not counted as known.
        let known = self.context.endpoints_of(&object).iter().filter_map(|endpoint| endpoint.uid()).collect();
        let started = self.context.clock.now();
        let plan = self.context.fleet.plan(&request, now, name);
        self.context.metrics.planned(self.context.clock.now() - started);
        match plan {
            Ok((plan, again)) => {
                self.context.enqueue_deployments(again);
                let outdated = object.status.as_ref().is_some_and(|told| {
                    self.context.fleet.see(|fleet| candidates::outdated(fleet, &request, &plan, told))
                });
                DeploymentDecision::Planned(Box::new(Planned { object, request, plan, outdated, known }))
            }
            Err(error) => DeploymentDecision::Refused(error),
        }
    }
}

impl Reconcile<Key> for DeploymentController {
    const NAME: &'static str = "modeldeployment";
    type Decision = DeploymentDecision;
    type Error = ActError;

    fn is_ordinary(error: &ActError) -> bool {
        error.is_ordinary()
    }

    fn decide(&self, key: &Key) -> DeploymentDecision {
        let Some(object) = self.context.caches.deployments.get(key) else {
            self.forget(key);
            return DeploymentDecision::Gone;
        };
        if !self.context.knows(&key.namespace) {
            return DeploymentDecision::Unknown;
        }
        if object.metadata.deletion_timestamp.is_some() {
            self.forget(key);
            return DeploymentDecision::Retire(object);
        }
        if self.context.endpoints_of(&object).iter().any(|endpoint| self.context.is_foreign(endpoint)) {
            self.forget(key);
            return DeploymentDecision::Foreign;
        }
        self.plan(object)
    }

    async fn act(&self, key: &Key, decision: DeploymentDecision) -> Result<Outcome, ActError> {
        let result = self.carry_out(key, decision).await;
        self.context.newcomers.planned(key, self.context.clock.now());
        if let Err(error) = &result {
            trouble::failed::<ModelDeployment>(&self.context, key, error).await;
        }
        result
    }

    async fn panicked(&self, key: &Key) {
        trouble::panicked::<ModelDeployment>(&self.context, key).await;
    }
}

impl DeploymentController {
    async fn carry_out(&self, key: &Key, decision: DeploymentDecision) -> Result<Outcome, ActError> {
        let context = &self.context;
        match decision {
            DeploymentDecision::Gone => {
                context.hub.forget::<ModelDeployment>(key);
                Ok(Outcome::Done)
            }
            DeploymentDecision::Unknown => Ok(Outcome::Again(LIST_AGAIN)),
            DeploymentDecision::Foreign => {
                tracing::warn!(
                    deployment = %key,
                    "another installation has InferenceEndpoints of this deployment; it is not planned here. Run one \
                     operator for a hub: see installId in the chart's values"
                );
                Ok(Outcome::Done)
            }
            DeploymentDecision::Retire(object) => retire::retire(context, &object).await,
            DeploymentDecision::Invalid(object, problems) => status_write::invalid(context, &object, &problems).await,
            DeploymentDecision::Refused(error) => Err(error),
            DeploymentDecision::Planned(planned) => {
                let executed = execute::execute(context, &planned).await;
                // What is not answered may have happened: its room stays promised until this is decided again.
                if !executed.as_ref().is_err_and(ActError::is_unanswered) {
                    context.fleet.ended(key);
                }
                executed?;
                let again = status_write::planned(context, &planned).await?;
                requested_move::end(context, &planned).await?;
                Ok(next(&planned.plan, again))
            }
        }
    }
}

/// Time of the next reconcile: that of the plan, or that of the status.
fn next(plan: &Plan, status: Option<Duration>) -> Outcome {
    let by_plan = plan.recheck_at.map(|at| Duration::from_secs(at.since(plan.decided_at).max(1)));
    let wait = if plan.waits.is_empty() { None } else { Some(RECHECK_LIMIT) };
    match [by_plan, status, wait].into_iter().flatten().min() {
        Some(delay) => Outcome::Again(delay),
        None => Outcome::Done,
    }
}
