//! What a target's status says: conditions at once, capacity at most once a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::Api;

use crate::api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use crate::api::v1alpha1::{OfferCapacity, ServingTarget, ServingTargetStatus, TaintStatus, reasons};
use crate::controller::connections::{Connection, ConnectionState};
use crate::controller::context::Context;
use crate::controller::convert;
use crate::controller::error::ActError;
use crate::controller::hub;
use crate::controller::orphans::shown;
use crate::kube_ext::cache::Key;
use crate::kube_ext::events::Severity;

/// Capacity is written at most this often; planning uses memory.
const CAPACITY_INTERVAL: Duration = Duration::from_mins(1);
/// Endpoints that a message names.
const MAX_NAMED: usize = 5;

/// When each target's capacity was last written.
#[derive(Default)]
pub struct CapacityClock {
    written: Mutex<HashMap<String, Instant>>,
}

impl CapacityClock {
    fn is_due(&self, target: &str) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(target).is_none_or(|written| written.elapsed() >= CAPACITY_INTERVAL)
    }

    fn wrote(&self, target: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned(), Instant::now());
    }

    /// Forgets a target.
    pub fn forget(&self, target: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
    }
}

/// Writes the target's status if it says something new.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn report(context: &Context, clock: &CapacityClock, target: &ServingTarget) -> Result<(), ActError> {
    let name = target.name_any();
    let Some(connection) = context.connections.get(&name) else { return Ok(()) };
    let former = target.status.clone().unwrap_or_default();
    let capacity = context.fleet.capacity(&name);
    let due = capacity != former.capacity && !capacity.is_empty() && clock.is_due(&name);
    let capacity = if due { capacity } else { former.capacity.clone() };
    let now = Timestamp::now();
    let mut status = status(target, &former, &connection, capacity, &context.endpoints_on(&name), now);
    let orphans = context.orphans.get(&name);
    shown::put_into(&mut status, &former, orphans.as_ref().map(|orphans| orphans.as_slice()), now);
    let api: Api<ServingTarget> = Api::all(context.client.clone());
    if let Some(written) = hub::patch_status(&api, target, &former, &status).await? {
        if due {
            clock.wrote(&name);
        }
        announce(context, target, &former, &status);
        shown::announce(context, target, &former, &status);
        context.took_target(written);
    }
    Ok(())
}

fn announce(context: &Context, target: &ServingTarget, former: &ServingTargetStatus, status: &ServingTargetStatus) {
    let was = conditions::find(&former.conditions, conditions::READY);
    let Some(is) = conditions::find(&status.conditions, conditions::READY) else { return };
    context.metrics.target_ready(&target.name_any(), is.status == TRUE);
    if was.is_some_and(|was| was.reason == is.reason) || is.reason == reasons::LISTING {
        return;
    }
    let severity = if is.status == TRUE { Severity::Normal } else { Severity::Warning };
    context.events.publish(target, severity, &is.reason, "Check", &is.message);
}

/// The status that follows from what is known.
fn status(
    target: &ServingTarget,
    former: &ServingTargetStatus,
    connection: &Connection,
    capacity: Vec<OfferCapacity>,
    endpoints: &[Key],
    now: Timestamp,
) -> ServingTargetStatus {
    let generation = target.metadata.generation;
    let mut set = Conditions::new(&former.conditions, generation, now);
    ready(&mut set, target, connection, endpoints);
    reachable(&mut set, connection);
    let failing_since = match &connection.state {
        ConnectionState::NotReady { since, reason, .. } if *reason != reasons::LISTING => {
            former.failing_since.clone().or_else(|| Some(convert::api_time(*since)))
        }
        _ => None,
    };
    ServingTargetStatus {
        observed_generation: generation.unwrap_or(-1),
        conditions: set.finish(),
        cluster_uid: pinned(former, connection, endpoints),
        failing_since,
        taints: taints(target, former, now),
        capacity,
        exhausted: former.exhausted.clone(),
        ..ServingTargetStatus::default()
    }
}

fn ready(set: &mut Conditions<'_>, target: &ServingTarget, connection: &Connection, endpoints: &[Key]) {
    if target.metadata.deletion_timestamp.is_some() {
        let named: Vec<String> = endpoints.iter().take(MAX_NAMED).map(ToString::to_string).collect();
        let more = endpoints.len().saturating_sub(MAX_NAMED);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!("it is being deleted and waits for its endpoints: {}{tail}", named.join(", "));
        set.set(conditions::READY, FALSE, reasons::IN_USE, text);
        return;
    }
    match &connection.state {
        ConnectionState::Ready => set.set(conditions::READY, TRUE, reasons::READY, "it can be used"),
        ConnectionState::NotReady { reason, message, .. } => set.set(conditions::READY, FALSE, reason, message),
    };
}

/// Reachability and credentials, as far as the check came.
fn reachable(set: &mut Conditions<'_>, connection: &Connection) {
    let (reason, message) = match &connection.state {
        ConnectionState::Ready => (reasons::REACHABLE, String::new()),
        ConnectionState::NotReady { reason, message, .. } => (*reason, message.clone()),
    };
    let credentials =
        [reasons::CREDENTIALS_MISSING, reasons::KUBECONFIG_INVALID, reasons::KUBECONFIG_REFUSED, reasons::INVALID_SPEC];
    if credentials.contains(&reason) {
        set.set(conditions::REACHABLE, UNKNOWN, reason, "");
        set.set(conditions::CREDENTIALS_VALID, FALSE, reason, message);
    } else if reason == reasons::UNREACHABLE {
        set.set(conditions::REACHABLE, FALSE, reason, message);
        set.set(conditions::CREDENTIALS_VALID, UNKNOWN, reason, "");
    } else if reason == reasons::UNAUTHORIZED {
        set.set(conditions::REACHABLE, TRUE, reasons::REACHABLE, "");
        set.set(conditions::CREDENTIALS_VALID, FALSE, reason, message);
    } else {
        set.set(conditions::REACHABLE, TRUE, reasons::REACHABLE, "");
        set.set(conditions::CREDENTIALS_VALID, TRUE, reasons::ACCEPTED, "");
    }
}

/// The identity is pinned at first contact, and anew once no endpoint is left.
fn pinned(former: &ServingTargetStatus, connection: &Connection, endpoints: &[Key]) -> Option<String> {
    match (&former.cluster_uid, &connection.identity) {
        (Some(pinned), _) if !endpoints.is_empty() => Some(pinned.clone()),
        (pinned, None) => pinned.clone(),
        (_, Some(identity)) => Some(identity.clone()),
    }
}

fn taints(target: &ServingTarget, former: &ServingTargetStatus, now: Timestamp) -> Vec<TaintStatus> {
    target
        .spec
        .taints
        .iter()
        .map(|taint| {
            let known = former
                .taints
                .iter()
                .find(|known| known.key == taint.key && known.effect == taint.effect && known.value == taint.value);
            TaintStatus {
                key: taint.key.clone(),
                value: taint.value.clone(),
                effect: taint.effect,
                since: known.map_or_else(|| convert::api_time(now), |known| known.since.clone()),
            }
        })
        .collect()
}
