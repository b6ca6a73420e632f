//! Takes an endpoint away, and lets its record go only when the provider has confirmed that nothing is left.

use std::sync::Arc;

use kube::ResourceExt;
use roadstead_explain::{EndpointEvent, EndpointMessage};

use super::intent;
use super::memory::Memory;
use super::news;
use super::status;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub::{self, Expect};
use crate::controller::news::News;
use crate::controller::tell::{tell, tell_owner};
use crate::controller::throttle::Urgency;
use roadstead_api::v1alpha1::{InferenceEndpoint, names, reasons};
use roadstead_provider::{ErrorClass, Provider, ProviderError, Removal, remove_from};
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;

/// One step of the removal.
///
/// # Errors
/// [`ActError`] where the hub fails; a provider's failure is recorded in the endpoint's status first.
pub async fn remove(
    context: &Context,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
) -> Result<Outcome, ActError> {
    if !hub::has_finalizer(endpoint.as_ref(), names::FINALIZER_ENDPOINT) {
        return Ok(Outcome::Done);
    }
    if endpoint.annotations().get(names::ANNOTATION_ABANDON) == endpoint.uid().as_ref() {
        return abandon(context, endpoint).await;
    }
    // Where nothing was ever asked of a provider there is nothing to remove.
    if !intent::may_be_asked(context, memory, endpoint).await? {
        return release(context, endpoint).await;
    }
    let (provider, pinned) = match place(context, endpoint) {
        Ok(place) => place,
        Err(error) => {
            report(context, endpoint, &error, Delay::Failure).await?;
            return Ok(Outcome::Failed);
        }
    };
    // Nothing is destroyed on the word of a cache.
    if !context.hub.confirm(endpoint.as_ref(), Expect::Going).await? {
        return Ok(Outcome::Done);
    }
    match remove_from(provider.as_ref(), endpoint, &pinned).await {
        Ok(Removal::Gone) => {
            // Before the record is deleted, so that the removed endpoint is not found and adopted again.
            context.fleet.removed(&endpoint.spec.target, &endpoint.name_any());
            let outcome = release(context, endpoint).await?;
            tell_owner(context, endpoint, &news::removed(endpoint));
            Ok(outcome)
        }
        Ok(Removal::InProgress { message }) => {
            report(context, endpoint, &ProviderError::new(ErrorClass::Transient, message), Delay::Progress).await?;
            Ok(Outcome::Again(context.looks.in_vain(&Key::of(endpoint.as_ref()), None)))
        }
        Err(error) => {
            report(context, endpoint, &error, Delay::Failure).await?;
            Ok(match error.class {
                ErrorClass::Throttled { after: Some(after) } => Outcome::Hold(after),
                _ => Outcome::Failed,
            })
        }
    }
}

/// A driver, and the identity of the place where the endpoint was made.
type PinnedProvider = (Arc<dyn Provider>, String);

/// The place to ask.
fn place(context: &Context, endpoint: &InferenceEndpoint) -> Result<PinnedProvider, ProviderError> {
    let status = endpoint.status.clone().unwrap_or_default();
    let target = &endpoint.spec.target;
    let connection = context.connections.get(target);
    let pinned = match &status.external_id {
        Some(id) => Some(id.site().to_owned()),
        None => context.pinned_identity(target),
    };
    let place = connection.zip(pinned).and_then(|(connection, pinned)| Some((connection.at(&pinned)?.clone(), pinned)));
    place.ok_or_else(|| ProviderError::new(ErrorClass::Transient, EndpointMessage::NotConnected(target).to_string()))
}

async fn release(context: &Context, endpoint: &InferenceEndpoint) -> Result<Outcome, ActError> {
    context.hub.release(endpoint, names::FINALIZER_ENDPOINT).await?;
    Ok(Outcome::Done)
}

/// An administrator declares the target permanently gone.
async fn abandon(context: &Context, endpoint: &InferenceEndpoint) -> Result<Outcome, ActError> {
    let target = &endpoint.spec.target;
    let note = EndpointEvent::Abandoned { annotation: names::ANNOTATION_ABANDON, target }.to_string();
    let outcome = release(context, endpoint).await?;
    tell(context, endpoint, &News { from: Some(endpoint.spec.target.clone()), ..News::new(reasons::ABANDONED, note) });
    context.metrics.abandoned();
    Ok(outcome)
}

/// Why a removal is not through.
#[derive(PartialEq)]
enum Delay {
    /// The provider is at work on it.
    Progress,
    /// The provider refused or did not answer.
    Failure,
}

async fn report(
    context: &Context,
    endpoint: &Arc<InferenceEndpoint>,
    error: &ProviderError,
    delay: Delay,
) -> Result<(), ActError> {
    let former = endpoint.status.clone().unwrap_or_default();
    let status = status::removing(&former, error, context.clock.wall());
    let told = context.hub.tell(endpoint.as_ref(), &former, &status, Urgency::Now).await?;
    if let Some(written) = told.written() {
        if delay == Delay::Failure
            && let Some(news) = news::removal_delayed(endpoint, &former, &status)
        {
            tell_owner(context, endpoint, &news);
        }
        context.took(written);
    }
    Ok(())
}
