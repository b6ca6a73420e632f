//! Asks a place whether it is there, whether it is the one it was, and whether it is ours.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::connect::{self, ConnectError};
use crate::controller::connections::{Connection, ConnectionState};
use crate::controller::context::Context;
use roadstead_api::v1alpha1::{ServingTarget, names, reasons};
use roadstead_provider::{Claim, ErrorClass, Provider, ProviderError};
use roadstead_runtime::text::bounded;

/// Obstacle to the use of a target.
struct Obstacle {
    reason: &'static str,
    message: String,
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
pub async fn check(context: &Arc<Context>, target: &ServingTarget) -> Connection {
    let former = context.connections.get(&target.name_any());
    let mut connection = Connection {
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
fn steady(obstacle: Obstacle, former: Option<&Connection>) -> String {
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
async fn walk(context: &Arc<Context>, target: &ServingTarget, connection: &mut Connection) -> Result<(), Obstacle> {
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
        return Err(Obstacle { reason: reasons::CREDENTIALS_MISSING, message: "credentials are missing".to_owned() });
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
        return Err(Obstacle {
            reason: reasons::LISTING,
            message: "connected; its capacity and endpoints are being listed".to_owned(),
        });
    }
    Ok(())
}

/// Identity that the place reports. It appears in statuses and messages, so a place cannot choose arbitrary text.
async fn identity(provider: &dyn Provider) -> Result<String, Obstacle> {
    let identity = provider.identity().await?;
    if names::is_uid(&identity) {
        return Ok(identity);
    }
    let message = "the identity of the place is not a UID; check the server at its address";
    Err(Obstacle { reason: reasons::UNREACHABLE, message: message.to_owned() })
}

/// The place must be the one that was pinned at first contact, as long as an endpoint of ours is on it.
fn same_place(context: &Context, target: &ServingTarget, identity: &str) -> Result<(), Obstacle> {
    let pinned = target.status.as_ref().and_then(|status| status.cluster_uid.as_deref());
    let users = context.users_of(&target.name_any());
    match pinned {
        Some(pinned) if pinned != identity && !users.is_empty() => Err(Obstacle {
            reason: reasons::IDENTITY_CHANGED,
            message: format!(
                "the credentials lead to {identity}, but {pinned} is used by {}; nothing counts as deleted: restore the former \
                 credentials",
                super::some_of(&users)
            ),
        }),
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
        Some(twin) => Err(Obstacle {
            reason: reasons::DUPLICATE_TARGET,
            message: format!(
                "it is the same place ({identity}) as target {}, which is older; delete one of them",
                twin.name_any()
            ),
        }),
        None => Ok(()),
    }
}

async fn ours(context: &Context, provider: &dyn Provider) -> Result<(), Obstacle> {
    let settings = &context.settings;
    match provider.claim(&settings.hub_uid, settings.takeover.as_deref()).await? {
        Claim::Ours => Ok(()),
        Claim::Other { hub_uid } => Err(Obstacle {
            reason: reasons::INSTALLATION_CONFLICT,
            message: format!(
                "the hub {hub} uses this place with the same install id {:?}; give this installation another id, \
                 or set the chart value takeover={hub} if that hub is gone for good",
                settings.install_id,
                hub = bounded(&hub_uid)
            ),
        }),
    }
}

/// The start of the unbroken run of failures: from the status, so that a restart does not shorten it.
fn failing_since(target: &ServingTarget, former: Option<&Connection>, now: Timestamp) -> Timestamp {
    if let Some(since) = former.and_then(|former| former.state.not_ready_since()) {
        return since;
    }
    let recorded = target.status.as_ref().and_then(|status| status.failing_since.as_ref());
    recorded.map_or(now, |since| since.0)
}
