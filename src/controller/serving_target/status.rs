//! A target's status: conditions at once, capacity at most once a minute.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_explain::TargetMessage;

use super::attention::attention;
use super::news;
use crate::controller::connections::{ConnectionState, TargetConnection};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::orphans::shown::{self, Sweep};
use crate::controller::refusals;
use crate::controller::tell::tell;
use crate::controller::throttle::Urgency;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use roadstead_api::v1alpha1::validate;
use roadstead_api::v1alpha1::{
    Dollars, Offer, OfferCapacity, OfferTerms, ServingTarget, ServingTargetStatus, TaintStatus, reasons,
};
use roadstead_provider::CHECK_INTERVAL;
use roadstead_runtime::cache::Key;
use roadstead_runtime::kept::Kept;
use roadstead_runtime::rate::{RateLimit, Spent};

/// Writes of a target's capacity: it changes with every pod of a member, and planning uses memory.
const CAPACITY: RateLimit = RateLimit { burst: 1, interval: Duration::from_mins(1) };

/// The writes of each target's capacity.
pub type CapacityWrites = Kept<Key, Spent>;

/// Writes the target's status if it says something new.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn report(context: &Context, writes: &CapacityWrites, target: &ServingTarget) -> Result<(), ActError> {
    let name = target.name_any();
    let Some(connection) = context.connections.get(&name) else { return Ok(()) };
    let former = target.status.clone().unwrap_or_default();
    let now = context.clock.wall();
    if lists_briefly(&connection, &former, now) {
        return Ok(());
    }
    let key = Key::cluster(&name);
    let is_due = || writes.see(&key, |spent| spent.wait(CAPACITY, context.clock.now())).flatten().is_none();
    let capacity = context.fleet.capacity(&name);
    let due = capacity != former.capacity && !capacity.is_empty() && is_due();
    let capacity = if due { capacity } else { former.capacity.clone() };
    let sweep = context.orphans.sweep(&name, context.settings.orphans.interval);
    let mut status = status(target, &former, &connection, capacity, &context.users_of(&name), sweep, now);
    let orphans = context.orphans.get(&name);
    shown::put_into(&mut status, &former, orphans.as_ref().map(|orphans| orphans.as_slice()), now);
    if !former.exhausted.is_empty() {
        let endpoints = context.known_endpoints_on(&name);
        status.exhausted = refusals::in_a_row(&former.exhausted, endpoints.iter().map(AsRef::as_ref));
    }
    if let Some(written) = context.hub.tell(target, &former, &status, Urgency::Now).await?.written() {
        if due {
            writes.change(&key, |spent| spent.spend(CAPACITY, context.clock.now()));
        }
        for news in news::news(&former, &status) {
            tell(context, target, &news);
        }
        if let Some(news) = shown::news(&former, &status) {
            tell(context, target, &news);
        }
        context.took(written);
    }
    Ok(())
}

/// Every start of the operator begins with a short listing: meanwhile the former report stays.
fn lists_briefly(connection: &TargetConnection, former: &ServingTargetStatus, now: Timestamp) -> bool {
    let told = !former.conditions.is_empty();
    matches!(&connection.state, ConnectionState::NotReady { reason, since, .. }
        if told && *reason == reasons::LISTING && now.duration_since(*since).unsigned_abs() < CHECK_INTERVAL)
}

/// The status that follows from what is known.
fn status(
    target: &ServingTarget,
    former: &ServingTargetStatus,
    connection: &TargetConnection,
    capacity: Vec<OfferCapacity>,
    users: &[String],
    sweep: Sweep,
    now: Timestamp,
) -> ServingTargetStatus {
    let generation = target.metadata.generation;
    let mut set = Conditions::new(&former.conditions, generation, now);
    ready(&mut set, target, connection, users);
    reachable(&mut set, connection);
    let cut = connection.inventory().and_then(|inventory| inventory.cut.clone());
    let refusal = connection.provider.as_ref().and_then(|provider| provider.refusal());
    if let Some((reason, message)) = attention(target, &capacity, cut.as_deref(), refusal.as_deref()) {
        set.set(conditions::NEEDS_ATTENTION, TRUE, reason, message);
    }
    let obstacle = match &connection.state {
        ConnectionState::Ready => None,
        ConnectionState::NotReady { reason, .. } => Some(*reason),
    };
    shown::tell_sweep(&mut set, &former.conditions, sweep, obstacle);
    let failing_since = match &connection.state {
        ConnectionState::NotReady { since, reason, .. } if *reason != reasons::LISTING => {
            former.failing_since.clone().or_else(|| Some(planning::api_time(*since)))
        }
        _ => None,
    };
    ServingTargetStatus {
        observed_generation: generation.unwrap_or(-1),
        conditions: set.finish(),
        cluster_uid: pinned(former, connection, users),
        failing_since,
        taints: taints(target, former, now),
        capacity,
        terms: terms(target, former, connection, now),
        request_limits: target.spec.type_.request_limits(),
        exhausted: former.exhausted.clone(),
        ..ServingTargetStatus::default()
    }
}

/// The terms of offers that the service itself states. Their time changes with them alone, so that each reading is no write.
fn terms(
    target: &ServingTarget,
    former: &ServingTargetStatus,
    connection: &TargetConnection,
    now: Timestamp,
) -> Vec<OfferTerms> {
    let Some(inventory) = connection.inventory() else { return former.terms.clone() };
    let stated = |offer: &Offer| {
        let terms = inventory.terms.get(&offer.instance_type)?;
        let mut stated = OfferTerms {
            offer: offer.name.clone(),
            hourly_price: terms.hourly.map(Dollars::from),
            quota: terms.most_instances.map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
            available: terms.available,
            source: target.spec.type_,
            since: planning::api_time(now),
        };
        let known = former.terms.iter().find(|known| known.offer == offer.name);
        if let Some(known) =
            known.filter(|known| OfferTerms { since: stated.since.clone(), ..(*known).clone() } == stated)
        {
            stated.since = known.since.clone();
        }
        Some(stated)
    };
    target.spec.offers.iter().filter_map(stated).collect()
}

fn ready(set: &mut Conditions<'_>, target: &ServingTarget, connection: &TargetConnection, users: &[String]) {
    if target.metadata.deletion_timestamp.is_some() {
        set.set(conditions::READY, FALSE, reasons::IN_USE, TargetMessage::Deleting(users).to_string());
        return;
    }
    let problems = validate::serving_target(target);
    if !problems.is_empty() {
        return invalid(set, &validate::sentence(&problems));
    }
    match &connection.state {
        ConnectionState::Ready => {
            set.set(conditions::READY, TRUE, reasons::READY, TargetMessage::Connected.to_string());
        }
        ConnectionState::NotReady { reason, message, .. } if *reason == reasons::INVALID_SPEC => invalid(set, message),
        ConnectionState::NotReady { reason, message, .. } if *reason == reasons::INTERNAL_ERROR => {
            set.set(conditions::READY, UNKNOWN, reason, message);
        }
        ConnectionState::NotReady { reason, message, .. } => {
            set.set(conditions::READY, FALSE, reason, message);
        }
    }
}

/// Only an edit can help. Its endpoints stay; it gets no new placements.
fn invalid(set: &mut Conditions<'_>, message: &str) {
    set.set(conditions::READY, FALSE, reasons::INVALID_SPEC, message);
    set.set(conditions::STALLED, TRUE, reasons::INVALID_SPEC, message);
}

/// Reachability and credentials, as far as the check came.
fn reachable(set: &mut Conditions<'_>, connection: &TargetConnection) {
    let (reason, message) = match &connection.state {
        ConnectionState::Ready => (reasons::REACHABLE, String::new()),
        ConnectionState::NotReady { reason, message, .. } => (*reason, message.clone()),
    };
    let credentials = [
        reasons::CREDENTIALS_MISSING,
        reasons::KUBECONFIG_INVALID,
        reasons::KUBECONFIG_REFUSED,
        reasons::INVALID_SPEC,
        reasons::SIMULATION_DISABLED,
        reasons::DRIVER_MISSING,
    ];
    if credentials.contains(&reason) {
        set.set(conditions::REACHABLE, UNKNOWN, reason, "");
        set.set(conditions::CREDENTIALS_VALID, FALSE, reason, message);
    } else if reason == reasons::INTERNAL_ERROR {
        set.set(conditions::REACHABLE, UNKNOWN, reason, message.clone());
        set.set(conditions::CREDENTIALS_VALID, UNKNOWN, reason, message);
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

/// The identity is pinned at first contact, and again once no endpoint is left.
fn pinned(former: &ServingTargetStatus, connection: &TargetConnection, users: &[String]) -> Option<String> {
    match (&former.cluster_uid, &connection.identity) {
        (Some(pinned), _) if !users.is_empty() => Some(pinned.clone()),
        (pinned, None) => pinned.clone(),
        (_, Some(identity)) => Some(identity.clone()),
    }
}

fn taints(target: &ServingTarget, former: &ServingTargetStatus, now: Timestamp) -> Vec<TaintStatus> {
    target
        .taints()
        .into_iter()
        .map(|taint| {
            let known = former
                .taints
                .iter()
                .find(|known| known.key == taint.key && known.effect == taint.effect && known.value == taint.value);
            TaintStatus {
                since: known.map_or_else(|| planning::api_time(now), |known| known.since.clone()),
                key: taint.key,
                value: taint.value,
                effect: taint.effect,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use roadstead_model as model;
    use serde_json::json;

    use super::*;
    use crate::controller::convert;

    fn target(price: &str) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east", "generation": 1},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "allowedNamespaces": {},
                "kubernetes": {"connection": {"inCluster": {}}, "expose": {"type": "ClusterIP"}},
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                            "capacityType": "OnDemand", "hourlyPrice": price}],
            },
        }))
        .unwrap()
    }

    fn connection() -> TargetConnection {
        TargetConnection { provider: None, identity: None, state: ConnectionState::Ready, fingerprint: String::new() }
    }

    fn told(target: &ServingTarget) -> ServingTargetStatus {
        let now = Timestamp::from_second(1_000).unwrap();
        status(target, &ServingTargetStatus::default(), &connection(), Vec::new(), &[], Sweep::NotYet, now)
    }

    #[test]
    fn a_spec_that_only_the_operator_can_see_through_is_stalled_with_its_field() {
        let invalid = target("9999999");
        let status = told(&invalid);
        for type_ in [conditions::READY, conditions::STALLED] {
            let condition = conditions::find(&status.conditions, type_).unwrap();
            assert_eq!(condition.reason, reasons::INVALID_SPEC);
            assert!(condition.message.contains("spec.offers[0].hourlyPrice"), "{}", condition.message);
        }
        let seen = convert::target(&invalid, Some(&connection()), None, Timestamp::UNIX_EPOCH);
        assert!(matches!(seen.state, model::TargetState::Invalid { reason, .. } if reason == reasons::INVALID_SPEC));

        let status = told(&target("40.00"));
        assert!(conditions::is_true(&status.conditions, conditions::READY));
        assert_eq!(conditions::find(&status.conditions, conditions::STALLED), None);
    }

    #[test]
    fn what_needs_attention_is_told_beside_ready_and_goes_with_its_cause() {
        let mut slip = target("40.00");
        slip.spec.region = "us-east-1a".to_owned();
        let status = told(&slip);
        assert!(conditions::is_true(&status.conditions, conditions::READY));
        let condition = conditions::find(&status.conditions, conditions::NEEDS_ATTENTION).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (TRUE, reasons::SPELLING_DIFFERS));
        let status = self::status(
            &target("40.00"),
            &status,
            &connection(),
            Vec::new(),
            &[],
            Sweep::NotYet,
            Timestamp::from_second(2_000).unwrap(),
        );
        assert_eq!(conditions::find(&status.conditions, conditions::NEEDS_ATTENTION), None);
    }

    fn listing(since: i64) -> TargetConnection {
        let since = Timestamp::from_second(since).unwrap();
        let state = ConnectionState::NotReady { reason: reasons::LISTING, message: String::new(), since };
        TargetConnection { provider: None, identity: None, state, fingerprint: String::new() }
    }

    #[test]
    fn a_listing_is_told_at_first_contact_and_when_it_takes_long_but_not_at_every_start() {
        let new = ServingTargetStatus::default();
        let mut set = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
        set.set(conditions::READY, TRUE, reasons::READY, "");
        let told = ServingTargetStatus { conditions: set.finish(), ..ServingTargetStatus::default() };
        let now = Timestamp::from_second(100).unwrap();
        assert!(!lists_briefly(&listing(100), &new, now));
        assert!(lists_briefly(&listing(91), &told, now));
        assert!(!lists_briefly(&listing(90), &told, now));
    }
}
