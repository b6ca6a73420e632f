//! Sends news: an event about the object that users know, and a line of the log.

use kube::{Resource, ResourceExt};

use super::context::Context;
use super::news::News;
use roadstead_api::v1alpha1::{InferenceEndpoint, reasons};
use roadstead_runtime::cache::Key;

/// Tells `news` of `object`.
pub fn tell<K>(context: &Context, object: &K, news: &News)
where
    K: Resource,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    tracing::info!(
        kind,
        object = %Key::of(object),
        reason = news.reason,
        from = news.from,
        to = news.to,
        why = news.why,
        cost = news.cost,
        "{}",
        news.note
    );
    context.events.publish(object, news.severity, &news.reason, action(&news.reason), &news.note);
}

/// Tells `news` of an endpoint as news of its deployment, which users know, while that exists.
pub fn tell_owner(context: &Context, endpoint: &InferenceEndpoint, news: &News) {
    let owner = context.deployment_of(endpoint);
    match owner.filter(|owner| owner.uid().as_ref() == Some(&endpoint.spec.deployment_ref.uid)) {
        Some(deployment) => tell(context, deployment.as_ref(), news),
        None => tell(context, endpoint, news),
    }
}

/// The action of an event: what the operator was doing.
fn action(reason: &str) -> &'static str {
    match reason {
        reasons::PLACED | reasons::ADOPTED | reasons::WITHDRAWN | reasons::EXHAUSTED => "Place",
        reasons::MOVING | reasons::MOVED => "Move",
        reasons::SCALED => "Scale",
        reasons::DELETING | reasons::REMOVED | reasons::REMOVAL_DELAYED | reasons::ABANDONED => "Remove",
        reasons::ORPHANS_FOUND | reasons::ORPHANS_GONE | reasons::ORPHAN_REMOVED => "Sweep",
        _ => "Observe",
    }
}
