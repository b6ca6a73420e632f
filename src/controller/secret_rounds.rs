//! The rounds in which the Secrets that endpoints use are looked at: see [`named_secrets`](super::named_secrets).

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, GetParams};

use super::context::Context;
use super::named_secrets::{NamedSecrets, Version, version_of};
use roadstead_runtime::cache::Key;
use roadstead_runtime::client::{CallError, call_opt};
use roadstead_runtime::queue::Queue;

/// Interval between two looks at Secrets.
const TICK: Duration = Duration::from_millis(200);
/// Time after a crowd of work during which existing Secrets are not polled.
const LULL: Duration = Duration::from_secs(1);

/// Looks at the Secrets in use, for ever.
pub async fn follow(context: Arc<Context>) {
    loop {
        tokio::time::sleep(TICK).await;
        let now = context.clock.now();
        let calm = !context.newcomers.were_a_crowd(LULL, now) && !context.queues.endpoints.was_crowded(LULL);
        let due = context.named_secrets.due(now, calm);
        let (secrets, queue) = (&context.named_secrets, &context.queues.endpoints);
        join_all(due.iter().map(|secret| look(&context, secrets, queue, secret))).await;
    }
}

/// Looks at the Secrets with callers' keys, for ever.
pub async fn follow_callers(context: Arc<Context>) {
    loop {
        tokio::time::sleep(TICK).await;
        let (secrets, queue) = (&context.caller_secrets, &context.queues.traffic);
        let due = secrets.due(context.clock.now(), true);
        join_all(due.iter().map(|secret| look(&context, secrets, queue, secret))).await;
    }
}

/// Looks at one Secret, and wakes those in `queue` that have read another version of it.
async fn look(context: &Context, secrets: &NamedSecrets, queue: &Queue<Key, ()>, secret: &Key) {
    match version(context, secret).await {
        Ok(version) => {
            for user in secrets.saw(secret, &version, context.clock.now()) {
                tracing::debug!(%secret, %user, "a Secret in use changed");
                queue.add(user, ());
            }
        }
        Err(error) => {
            tracing::debug!(%error, %secret, "cannot read a Secret; retrying");
            secrets.postpone(secret, context.clock.now());
        }
    }
}

/// Version of a Secret. The server's cache is sufficient: a changed Secret is read again, with a quorum read.
async fn version(context: &Context, secret: &Key) -> Result<Version, CallError> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &secret.namespace);
    let found = call_opt("get secret's metadata", api.get_metadata_with(&secret.name, &GetParams::any())).await?;
    Ok(found.as_ref().and_then(version_of))
}
