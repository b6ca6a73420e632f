//! Takes an endpoint away, and lets its record go only when the provider has confirmed that nothing is left.

use std::sync::Arc;

use kube::ResourceExt;
use roadstead_explain::{EndpointEvent, EndpointMessage};

use super::intent;
use super::memory::Memory;
use super::news;
use super::status;
use crate::controller::connections::ConnectionState;
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
        // The target's first check wakes this endpoint.
        Err(Unplaced::NotTried) => return Ok(Outcome::Done),
        Err(Unplaced::Unusable(message)) => {
            report(context, endpoint, &ProviderError::new(ErrorClass::Transient, message), Delay::Failure).await?;
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
            let pause = context.looks.in_vain(&Key::of(endpoint.as_ref()), Some(&message));
            report(context, endpoint, &ProviderError::new(ErrorClass::Transient, message), Delay::Progress).await?;
            Ok(Outcome::Again(pause))
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

/// Why no place can be asked.
enum Unplaced {
    /// The target has not been checked since this process started.
    NotTried,
    /// It cannot be used, for this reason.
    Unusable(String),
}

/// The place to ask: the one where the endpoint was made.
fn place(context: &Context, endpoint: &InferenceEndpoint) -> Result<PinnedProvider, Unplaced> {
    let target = &endpoint.spec.target;
    let unusable = |message: EndpointMessage<'_>| Err(Unplaced::Unusable(message.to_string()));
    if context.caches.targets.get(&Key::cluster(target)).is_none() {
        return unusable(EndpointMessage::TargetMissing(target));
    }
    let Some(connection) = context.connections.get(target) else { return Err(Unplaced::NotTried) };
    let recorded = endpoint.external_id().map(|id| id.site().to_owned());
    if let Some(pinned) = recorded.or_else(|| context.pinned_identity(target))
        && let Some(provider) = connection.at(&pinned)
    {
        return Ok((Arc::clone(provider), pinned));
    }
    match &connection.state {
        ConnectionState::NotReady { reason, .. } if connection.identity.is_none() => {
            unusable(EndpointMessage::TargetUnusable { target, reason })
        }
        _ => unusable(EndpointMessage::OtherCluster(target)),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::connections::TargetConnection;
    use crate::controller::inference_endpoint::first_creation::tests::record;
    use crate::controller::test_context::context;
    use roadstead_api::v1alpha1::ServingTarget;

    fn target(name: &str) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name, "uid": "t"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": []},
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn a_removal_waits_for_the_first_check_of_its_target_and_names_what_is_wrong_afterwards() {
        let context = context();
        let endpoint = record("a", None, &json!({"externalID": {"clusterUID": "c", "namespace": "n", "uid": "u"}}));
        let refusal = |context: &Context| match place(context, &endpoint) {
            Ok(_) => "none".to_owned(),
            Err(Unplaced::NotTried) => "not tried".to_owned(),
            Err(Unplaced::Unusable(message)) => message,
        };
        let name = &endpoint.spec.target;
        assert_eq!(refusal(&context), EndpointMessage::TargetMissing(name).to_string());
        context.caches.targets.apply(target(name));
        assert_eq!(refusal(&context), "not tried");
        let unreachable = ConnectionState::NotReady {
            reason: reasons::UNREACHABLE,
            message: "no answer".to_owned(),
            since: context.clock.wall(),
        };
        let connection = |identity: Option<&str>, state: &ConnectionState| TargetConnection {
            provider: None,
            identity: identity.map(ToOwned::to_owned),
            state: state.clone(),
            fingerprint: String::new(),
        };
        context.connections.set(name, connection(None, &unreachable));
        let unusable = EndpointMessage::TargetUnusable { target: name, reason: reasons::UNREACHABLE };
        assert_eq!(refusal(&context), unusable.to_string());
        context.connections.set(name, connection(Some("other"), &ConnectionState::Ready));
        assert_eq!(refusal(&context), EndpointMessage::OtherCluster(name).to_string());
    }
}
