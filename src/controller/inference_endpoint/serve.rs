//! Drives the provider until the endpoint is what it should be and answers.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use roadstead_explain::EndpointMessage;

use super::heard::Heard;
use super::hold;
use super::inputs::{self, Missing};
use super::intent;
use super::interruption::{self, UpdateStep};
use super::memory::{self, Memory};
use super::news;
use super::seen::Seen;
use super::status;
use super::witness;
use crate::controller::connections::ConnectionState;
use crate::controller::context::Context;
use crate::controller::convert;
use crate::controller::error::ActError;
use crate::controller::hub::Told;
use crate::controller::looks::LONGEST_PAUSE;
use crate::controller::tell::{tell, tell_owner};
use crate::controller::traffic::witness::GatewayWord;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{EndpointState, ExternalId, Health, InferenceEndpoint, InferenceEndpointStatus, reasons};
use roadstead_provider::probe::ProbeAnswer;
use roadstead_provider::{ErrorClass, Observation, Present, Progress, Provider, ProviderError, Wanted};
use roadstead_runtime::aside::aside;
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;

/// Interval of probes of an endpoint that answers.
const ASK_AGAIN: Duration = LONGEST_PAUSE;
/// Interval of probes of an endpoint that was ready and does not answer, or whose target does not.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Interval of looks at an endpoint that drains before its update; the report of a gateway wakes it at once.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Interval of checks of an object with a conflict.
const CONFLICT_AGAIN: Duration = Duration::from_mins(1);

/// One observation of an endpoint, and the due steps.
///
/// # Errors
/// [`ActError`] where the hub fails; a provider's failure is recorded in the endpoint's status first.
pub async fn serve(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
) -> Result<Outcome, ActError> {
    memory.begin_look(&Key::of(endpoint.as_ref()), planning::now(context.clock.wall()));
    let target = &endpoint.spec.target;
    if context.caches.targets.get(&Key::cluster(target)).is_none() {
        return report(context, memory, endpoint, &Seen::TargetGone).await;
    }
    let Some(connection) = context.connections.get(target) else {
        // Not tried yet: its first check wakes this endpoint.
        return Ok(Outcome::Done);
    };
    let provider = match (&connection.state, connection.usable()) {
        (ConnectionState::NotReady { reason, .. }, _) if *reason == reasons::LISTING => return Ok(Outcome::Done),
        (ConnectionState::NotReady { reason, .. }, _) => {
            return cut_off(context, memory, endpoint, reason).await;
        }
        (ConnectionState::Ready, Some(provider)) => Arc::clone(provider),
        (ConnectionState::Ready, None) => return Ok(Outcome::Done),
    };
    if let Some(rest) = memory.throttled(&Key::of(endpoint.as_ref()), context.clock.now()) {
        return Ok(Outcome::Again(rest));
    }
    match look(context, memory, endpoint, provider.as_ref()).await {
        Ok(outcome) => Ok(outcome),
        Err(ActError::Provider(error)) => failed(context, memory, endpoint, error.into()).await,
        Err(error) => Err(error),
    }
}

/// The target cannot be asked: the endpoint itself says whether it serves.
async fn cut_off(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    reason: &'static str,
) -> Result<Outcome, ActError> {
    let answer = witness::ask(context, memory, endpoint).await;
    let hub_isolated = context.fleet.is_hub_isolated();
    let told = report(context, memory, endpoint, &Seen::TargetNotReady { reason, answer, hub_isolated }).await?;
    Ok(match close_look(context, endpoint) {
        Some(pause) => again_at(pause, &told),
        // A change of the target wakes it.
        None => told,
    })
}

/// Pause before the next probe of an endpoint that was ready and may have to be replaced. One of them begins at the end of the
/// toleration, when none is under way.
fn close_look(context: &Context, endpoint: &Arc<InferenceEndpoint>) -> Option<Duration> {
    let newest = context.caches.endpoints.get(&Key::of(endpoint.as_ref()));
    let newest = newest.as_ref().unwrap_or(endpoint);
    if health_of(newest)? == Health::Healthy {
        return None;
    }
    let now = planning::now(context.clock.wall());
    let left =
        context.tolerated_until(newest).filter(|until| *until > now).map(|until| Duration::from_secs(until.since(now)));
    Some(left.filter(|left| *left <= PROBE_INTERVAL * 2).unwrap_or(PROBE_INTERVAL))
}

async fn look(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    provider: &dyn Provider,
) -> Result<Outcome, ActError> {
    let Some(target) = context.caches.targets.get(&Key::cluster(&endpoint.spec.target)) else {
        return Ok(Outcome::Done);
    };
    // Of what may not be made not even the key is. An intent proves nothing here: it is also written in doubt.
    if !intent::is_made(endpoint)
        && let Some(message) = forbidden(context, endpoint)
    {
        return report(context, memory, endpoint, &Seen::Forbidden { message }).await;
    }
    if let Some(not_yet) = hold::deployment(context, memory, endpoint).await? {
        return Ok(not_yet);
    }
    let inputs = match inputs::gather(context, memory, endpoint, provider).await? {
        Ok(inputs) => inputs,
        Err(Missing { reason, message }) => {
            let told = report(context, memory, endpoint, &Seen::InputMissing { reason, message }).await?;
            return Ok(again_at(CONFLICT_AGAIN, &told));
        }
    };
    let wanted = Wanted { endpoint: Arc::clone(endpoint), target, api_key: inputs.api_key, secrets: inputs.secrets };
    let key = Key::of(endpoint.as_ref());
    let basis = (endpoint.metadata.generation, inputs.good_until);
    if let Some(present) = context.looks.fresh(&key, basis, context.clock.now()) {
        return judge(context, memory, endpoint, provider, present).await;
    }
    let news = context.looks.begin(&key);
    let present = match provider.observe(&wanted).await? {
        Observation::Foreign { message } => {
            let told = report(context, memory, endpoint, &Seen::Foreign { message }).await?;
            return Ok(again_at(CONFLICT_AGAIN, &told));
        }
        Observation::Present(present) if present.in_sync => present,
        Observation::Present(there) => {
            if let Some(pause) = interrupt(context, endpoint, &there).await? {
                return Ok(Outcome::Again(pause));
            }
            intent::confirm(context, endpoint).await?;
            match ensure(provider, &wanted).await {
                Ok(present) => present,
                Err(failure) => {
                    let seen = ProviderFailure { there: Some(there), ..failure };
                    return failed(context, memory, endpoint, seen).await;
                }
            }
        }
        Observation::Absent => return create(context, memory, endpoint, provider, wanted).await,
    };
    if is_to_answer(endpoint, &present) && present.url.is_some() && present.in_sync {
        context.looks.keep(&key, news, basis, &present, context.clock.now());
    }
    judge(context, memory, endpoint, provider, present).await
}

/// Has gateways stop using an endpoint before its update, if that ends its last replica; returns the pause before the next look,
/// if the update has to wait.
async fn interrupt(
    context: &Context,
    endpoint: &Arc<InferenceEndpoint>,
    there: &Present,
) -> Result<Option<Duration>, ActError> {
    let former = endpoint.status.clone().unwrap_or_default();
    let now = context.clock.wall();
    match interruption::step(endpoint, &former, there, context.at_route(endpoint), now) {
        UpdateStep::Write => return Ok(None),
        UpdateStep::Await => {}
        UpdateStep::Announce(interruption) => {
            context.drained.forget(&Key::of(endpoint.as_ref()));
            let status = status::interrupting(endpoint, &former, interruption, now);
            if let Some(answer) = context.hub.record(endpoint.as_ref(), &former, &status).await? {
                context.took(answer);
            }
        }
    }
    Ok(Some(DRAIN_INTERVAL))
}

/// Creates what does not exist yet, if it may be there. What drains and is gone is not made again, only to be removed.
async fn create(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    provider: &dyn Provider,
    wanted: Wanted,
) -> Result<Outcome, ActError> {
    let is_gone = endpoint.spec.state == EndpointState::Draining;
    let gone = || EndpointMessage::GoneWhileDraining(&endpoint.spec.target).to_string();
    if let Some(message) = is_gone.then(gone).or_else(|| forbidden(context, endpoint)) {
        return report(context, memory, endpoint, &Seen::Forbidden { message }).await;
    }
    let endpoint = &intent::announce(context, memory, endpoint).await?;
    let wanted = Wanted { endpoint: Arc::clone(endpoint), ..wanted };
    match ensure(provider, &wanted).await {
        Ok(present) => judge(context, memory, endpoint, provider, present).await,
        Err(failure) => {
            let there = left_by(provider, &wanted, &failure.error).await;
            failed(context, memory, endpoint, ProviderFailure { there, ..failure }).await
        }
    }
}

/// Remains of a failed creation, which run and are billed. A throttled provider is not asked at once.
async fn left_by(provider: &dyn Provider, wanted: &Wanted, error: &ProviderError) -> Option<Box<Present>> {
    if matches!(error.class, ErrorClass::Throttled { .. }) {
        return None;
    }
    match provider.observe(wanted).await {
        Ok(Observation::Present(there)) => Some(there),
        _ => None,
    }
}

/// A provider's failure, with what is known of the endpoint all the same.
struct ProviderFailure {
    error: ProviderError,
    /// Identity of an endpoint that was made before the failure.
    made: Option<ExternalId>,
    /// The endpoint as its place shows it.
    there: Option<Box<Present>>,
}

impl From<ProviderError> for ProviderFailure {
    fn from(error: ProviderError) -> Self {
        Self { error, made: None, there: None }
    }
}

/// Creates or puts right what the hub has just confirmed to be wanted in this form; then looks again. What was made goes
/// on record with the report of this look, whatever the look shows, and nothing is waited for before that.
async fn ensure(provider: &dyn Provider, wanted: &Wanted) -> Result<Box<Present>, ProviderFailure> {
    let made = provider.ensure(wanted).await?;
    let unseen = |error| ProviderFailure { made: Some(made.clone()), ..ProviderFailure::from(error) };
    match provider.observe(&wanted.made_as(&made)).await.map_err(unseen)? {
        Observation::Present(present) => Ok(present),
        Observation::Absent | Observation::Foreign { .. } => {
            Err(unseen(ProviderError::new(ErrorClass::Transient, EndpointMessage::NotListed.to_string())))
        }
    }
}

/// Before anything is created: is the deployment still there and to stay, may its namespace use the target, and is the
/// target where the deployment may be?
fn forbidden(context: &Context, endpoint: &InferenceEndpoint) -> Option<String> {
    let reference = &endpoint.spec.deployment_ref;
    let deployment = context.deployment_of(endpoint).filter(|owner| owner.uid().as_ref() == Some(&reference.uid));
    let Some(deployment) = deployment else {
        let missing = EndpointMessage::DeploymentMissing { name: &reference.name, uid: &reference.uid };
        return Some(missing.to_string());
    };
    if deployment.metadata.deletion_timestamp.is_some() {
        return Some(EndpointMessage::DeploymentDeleting(&reference.name).to_string());
    }
    let labels = context.namespace_labels(&deployment);
    let request = convert::deployment(&deployment, labels).ok()?;
    let reason = context.fleet.rule_against(&request, &endpoint.spec.target)?;
    Some(EndpointMessage::TargetForbidden { target: &endpoint.spec.target, rule: reason.as_str() }.to_string())
}

fn health_of(endpoint: &InferenceEndpoint) -> Option<Health> {
    endpoint.status.as_ref()?.health
}

fn was_ready(endpoint: &InferenceEndpoint) -> bool {
    endpoint.status.as_ref().is_some_and(|status| status.first_ready_time.is_some())
}

/// True if the provider has done its part, so that only the address may be missing, or its answer.
fn is_to_answer(endpoint: &InferenceEndpoint, present: &Present) -> bool {
    present.progress == Progress::Serving && endpoint.spec.replicas > 0
}

/// Asks the endpoint itself, where it should answer, and reports what was seen.
async fn judge(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    provider: &dyn Provider,
    present: Box<Present>,
) -> Result<Outcome, ActError> {
    let key = Key::of(endpoint.as_ref());
    let serving = is_to_answer(endpoint, &present);
    let rolls_out = was_ready(endpoint) && endpoint.spec.replicas > 0 && present.ready_replicas > 0;
    let probe = match &present.probe {
        Some(probe) if (serving || rolls_out) && !present.is_asked_by_gateways() => {
            Some(aside(provider.ask(probe)).await)
        }
        _ => None,
    };
    let answer = Heard { probe, gateways: context.word_of_gateways(endpoint) };
    let answers = present.url.is_some()
        && match &answer.probe {
            None if present.is_asked_by_gateways() => answer.gateways == GatewayWord::Reached,
            probe => probe.as_ref().is_none_or(ProbeAnswer::is_healthy),
        };
    let shown = present.clone();
    let told = report(context, memory, endpoint, &Seen::Present { present, answer }).await?;
    tell_if_overdue(context, memory, endpoint);
    let again = if serving && !answers {
        context.looks.in_vain(&key, shown.url.as_deref())
    } else {
        context.looks.paid_off(&key);
        if serving || was_ready(endpoint) { ASK_AGAIN } else { memory::resync_of(&key) }
    };
    let again = close_look(context, endpoint).map_or(again, |pause| pause.min(again));
    // With the start as just reported.
    let newest = context.caches.endpoints.get(&key).unwrap_or_else(|| Arc::clone(endpoint));
    let limit = status::next_limit(&newest, &shown, context.clock.wall());
    Ok(again_at(limit.map_or(again, |limit| limit.min(again)), &told))
}

/// After `delay`, or sooner where the report of this look was put off.
fn again_at(delay: Duration, told: &Outcome) -> Outcome {
    match told {
        Outcome::Again(put_off) => Outcome::Again(delay.min(*put_off)),
        Outcome::Done | Outcome::Hold(_) | Outcome::Failed => Outcome::Again(delay),
    }
}

/// Tells once of what the endpoint waits for unusually long.
fn tell_if_overdue(context: &Context, memory: &Memory, endpoint: &InferenceEndpoint) {
    let key = Key::of(endpoint);
    let Some(newest) = context.caches.endpoints.get(&key) else { return };
    let news = newest.status.as_ref().and_then(|status| news::overdue(status, context.clock.wall()));
    let is_new = memory.is_newly_overdue(&key, news.as_ref().map(|news| news.reason.as_str()));
    if let Some(news) = news.filter(|_| is_new) {
        tell_owner(context, &newest, &news);
    }
}

/// Reports a provider's failure.
async fn failed(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    failure: ProviderFailure,
) -> Result<Outcome, ActError> {
    let ProviderFailure { error, made, there } = failure;
    let class = error.class;
    let key = Key::of(endpoint.as_ref());
    if let ErrorClass::Throttled { after: Some(after) } = class {
        // Also where the report fails, the spec was edited, or something else is new.
        memory.throttle(&key, context.clock.now() + after);
    }
    let newest = context.caches.endpoints.get(&key).unwrap_or_else(|| Arc::clone(endpoint));
    let answer = witness::ask(context, memory, &newest).await;
    let told = report(context, memory, &newest, &Seen::Failed { error, made, there, answer }).await?;
    let edited = newest.metadata.generation != endpoint.metadata.generation;
    match class {
        // It was asked for something that is not wanted any more.
        _ if edited => Ok(Outcome::Again(Duration::ZERO)),
        ErrorClass::Throttled { after: Some(after) } => Ok(Outcome::Hold(after)),
        _ if let Some(pause) = close_look(context, endpoint) => Ok(again_at(pause, &told)),
        ErrorClass::Invalid | ErrorClass::Conflict | ErrorClass::Refused => Ok(Outcome::Hold(CONFLICT_AGAIN)),
        _ => Ok(Outcome::Failed),
    }
}

/// Writes what was seen, if it says something new. The planner learns of a failed probe.
async fn report(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    seen: &Seen,
) -> Result<Outcome, ActError> {
    let (told, health) = write(context, memory, endpoint, seen).await?;
    let key = Key::of(endpoint.as_ref());
    let newest = context.caches.endpoints.get(&key).filter(|newest| health_of(newest) == health);
    if let Some((newest, began)) = newest.zip(memory.look_began(&key)) {
        context.probe_failed(&newest, began);
    }
    Ok(told)
}

async fn write(
    context: &Arc<Context>,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
    seen: &Seen,
) -> Result<(Outcome, Option<Health>), ActError> {
    let former = endpoint.status.clone().unwrap_or_default();
    let create_intent = former.create_intent.clone().or_else(|| intent::untold(memory, endpoint));
    let known = InferenceEndpointStatus { create_intent, ..former.clone() };
    let mut status = status::status(endpoint, &known, seen, context.clock.wall());
    let health = status.health;
    intent::tell(context, memory, endpoint, &mut status).await?;
    let answer = if status::names_new_operation(&former, &status) {
        // Only this record leads back to the operation.
        let written = context.hub.record(endpoint.as_ref(), &former, &status).await?;
        let Some(answer) = written else { return Ok((Outcome::Done, health)) };
        answer
    } else {
        let urgency = status::urgency(&former, &status, endpoint.spec.replicas);
        match context.hub.tell(endpoint.as_ref(), &former, &status, urgency).await? {
            Told::Written(answer) => answer,
            Told::Same => return Ok((Outcome::Done, health)),
            Told::HeldBack(wait) => return Ok((Outcome::Again(wait), health)),
        }
    };
    if let Some(news) = news::changed_by_admission(&former, &status) {
        tell_owner(context, endpoint, &news);
    }
    if let Some(after) = news::time_to_ready(endpoint, &former, &status) {
        context.metrics.became_ready(after);
    }
    let others = context.deployment_of(endpoint).map(|owner| context.endpoints_of(&owner)).unwrap_or_default();
    let others = others.iter().map(AsRef::as_ref);
    if let Some(news) = news::of_predecessor(endpoint, others, &former, &status) {
        tell(context, endpoint.as_ref(), &news);
    }
    context.took(answer);
    Ok((Outcome::Done, health))
}
