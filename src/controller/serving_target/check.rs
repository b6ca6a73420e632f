//! Asks a place whether it is there, whether it is the one it was, and whether it is ours.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_explain::TargetMessage;

use super::connect::{self, ConnectError};
use crate::controller::connections::{ConnectionState, TargetConnection};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{ServingTarget, names, reasons};
use roadstead_provider::{Claim, ErrorClass, Provider, ProviderError};
use roadstead_runtime::text::bounded;

/// Obstacle to the use of a target.
struct Obstacle {
    reason: &'static str,
    message: String,
}

impl Obstacle {
    fn new(reason: &'static str, message: TargetMessage<'_>) -> Self {
        Self { reason, message: message.to_string() }
    }
}

impl From<ConnectError> for Obstacle {
    fn from(error: ConnectError) -> Self {
        Self { reason: error.reason, message: error.message }
    }
}

impl From<ProviderError> for Obstacle {
    fn from(error: ProviderError) -> Self {
        let reason = match error.class {
            ErrorClass::Unauthorized => reasons::UNAUTHORIZED,
            ErrorClass::NotFound => reasons::NOT_PREPARED,
            _ => reasons::UNREACHABLE,
        };
        Self { reason, message: error.message }
    }
}

/// Checks the target once and says what its connection is now.
pub async fn check(context: &Arc<Context>, target: &ServingTarget) -> TargetConnection {
    let former = context.connections.get(&target.name_any());
    let mut connection = TargetConnection {
        provider: former.as_ref().and_then(|former| former.provider.clone()),
        identity: former.as_ref().and_then(|former| former.identity.clone()),
        state: ConnectionState::Ready,
        fingerprint: former.as_ref().map(|former| former.fingerprint.clone()).unwrap_or_default(),
    };
    if let Err(obstacle) = walk(context, target, &mut connection).await {
        connection.state = ConnectionState::NotReady {
            reason: obstacle.reason,
            since: failing_since(target, former.as_deref(), context.clock.wall()),
            message: steady(obstacle, former.as_deref()),
        };
    }
    connection
}

/// Each failed try words the network's failure a little differently: the first wording of a run stays.
fn steady(obstacle: Obstacle, former: Option<&TargetConnection>) -> String {
    match former.map(|former| &former.state) {
        Some(ConnectionState::NotReady { reason, message, .. })
            if *reason == obstacle.reason && obstacle.reason == reasons::UNREACHABLE =>
        {
            message.clone()
        }
        _ => obstacle.message,
    }
}

/// The steps from credentials to a usable place; stops at the first obstacle.
async fn walk(
    context: &Arc<Context>,
    target: &ServingTarget,
    connection: &mut TargetConnection,
) -> Result<(), Obstacle> {
    let source = connect::source(context, target)?;
    let fingerprint = source.fingerprint();
    if connection.provider.is_none() || connection.fingerprint != fingerprint {
        let provider = source.connect(context, target).await?;
        // New credentials are tried out before the ones that worked are given up.
        let identity = identity(provider.as_ref()).await?;
        same_place(context, target, &identity)?;
        connection.provider = Some(provider);
        connection.fingerprint = fingerprint;
    }
    let Some(provider) = connection.provider.clone() else {
        return Err(Obstacle::new(reasons::CREDENTIALS_MISSING, TargetMessage::NoCredentials));
    };
    let identity = match identity(provider.as_ref()).await {
        Err(obstacle) if obstacle.reason == reasons::UNAUTHORIZED => {
            return Err(source.unfit(context).await.map_or(obstacle, Into::into));
        }
        identity => identity?,
    };
    connection.identity = Some(identity.clone());
    same_place(context, target, &identity)?;
    sole_target(context, target, &identity)?;
    ours(context, provider.as_ref()).await?;
    // Only now: what runs at a place that is not ours is not read as ours.
    provider.watch(connect::listener(context, target));
    if provider.inventory().is_none() {
        return Err(Obstacle::new(reasons::LISTING, TargetMessage::Listing));
    }
    Ok(())
}

/// Identity that the place reports. It appears in statuses and messages, so a place cannot choose arbitrary text.
async fn identity(provider: &dyn Provider) -> Result<String, Obstacle> {
    let identity = provider.identity().await?;
    if names::is_uid(&identity) {
        return Ok(identity);
    }
    Err(Obstacle::new(reasons::UNREACHABLE, TargetMessage::IdentityMalformed))
}

/// The place must be the one that was pinned at first contact, as long as an endpoint of ours is on it.
fn same_place(context: &Context, target: &ServingTarget, identity: &str) -> Result<(), Obstacle> {
    let pinned = target.status.as_ref().and_then(|status| status.cluster_uid.as_deref());
    let users = context.users_of(&target.name_any());
    match pinned {
        Some(pinned) if pinned != identity && !users.is_empty() => Err(Obstacle::new(
            reasons::IDENTITY_CHANGED,
            TargetMessage::IdentityChanged { found: identity, pinned, users: &users },
        )),
        _ => Ok(()),
    }
}

/// Two targets on one place would count its capacity twice: the younger one is not used.
fn sole_target(context: &Context, target: &ServingTarget, identity: &str) -> Result<(), Obstacle> {
    let age = |target: &ServingTarget| (target.metadata.creation_timestamp.clone(), target.name_any());
    // One that cannot be asked now is where it was when it could.
    let place = |other: &ServingTarget| {
        let connection = context.connections.get(&other.name_any());
        let pinned = || other.status.as_ref().and_then(|status| status.cluster_uid.clone());
        connection.and_then(|connection| connection.identity.clone()).or_else(pinned)
    };
    let twin = context.caches.targets.list().into_iter().find(|other| {
        other.uid() != target.uid() && place(other).as_deref() == Some(identity) && age(other) < age(target)
    });
    match twin {
        Some(twin) => Err(Obstacle::new(
            reasons::DUPLICATE_TARGET,
            TargetMessage::Duplicate { identity, older: &twin.name_any() },
        )),
        None => Ok(()),
    }
}

async fn ours(context: &Context, provider: &dyn Provider) -> Result<(), Obstacle> {
    let settings = &context.settings;
    match provider.claim(&settings.hub_uid, settings.takeover.as_deref()).await? {
        Claim::Ours => Ok(()),
        Claim::Other { hub_uid } => Err(Obstacle::new(
            reasons::INSTALLATION_CONFLICT,
            TargetMessage::ClaimedByOtherHub { hub: &bounded(&hub_uid), install_id: &settings.install_id },
        )),
    }
}

/// The start of the unbroken run of failures: from the status, so that a restart does not shorten it.
fn failing_since(target: &ServingTarget, former: Option<&TargetConnection>, now: Timestamp) -> Timestamp {
    if let Some(since) = former.and_then(|former| former.state.not_ready_since()) {
        return since;
    }
    let recorded = target.status.as_ref().and_then(|status| status.failing_since.as_ref());
    recorded.map_or(now, |since| since.0)
}
