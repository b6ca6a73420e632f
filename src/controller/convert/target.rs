//! A `ServingTarget` as the planner's target.

use k8s_openapi::jiff;
use kube::ResourceExt;
use roadstead_api::planning::{now, offer, selector, timestamp};
use roadstead_api::v1alpha1::{
    Offer, ServingTarget, ServingTargetStatus, Taint, TaintEffect, TargetType, conditions, reasons, validate,
};
use roadstead_explain as explain;
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::Inventory;

use super::refusal::exhausted;
use crate::controller::connections::{ConnectionState, TargetConnection};

/// Seconds for which the price and the availability that a service states are known after they were read.
const TERMS_SECONDS: i64 = 2 * 60 * 60;

/// A target with what its connection and its inventory say at this time.
#[must_use]
pub fn target(
    target: &ServingTarget,
    connection: Option<&TargetConnection>,
    inventory: Option<&Inventory>,
    at: jiff::Timestamp,
) -> model::Target {
    let spec = &target.spec;
    let status = target.status.clone().unwrap_or_default();
    model::Target {
        name: target.name_any(),
        cloud: spec.cloud.clone(),
        region: spec.region.clone(),
        location: spec.location.as_ref().map(|location| model::Location {
            country: location.country.clone(),
            jurisdictions: location.jurisdictions.iter().cloned().collect(),
        }),
        labels: target.labels().clone(),
        state: target_state(target, connection, now(at)),
        ready_since: ready_since(&status),
        contact: connection.map_or(model::Contact::Pending, |connection| connection.state.contact()),
        in_cluster: spec.kubernetes.as_ref().is_some_and(|cluster| cluster.connection.in_cluster.is_some()),
        allowed_namespaces: spec.allowed_namespaces.as_ref().map(selector),
        taints: target.taints().into_iter().map(taint).collect(),
        offers: spec.offers.iter().map(|declared| offer_there(declared, inventory, now(at))).collect(),
        nodes: inventory.map_or_else(|| Some(Vec::new()), |inventory| inventory.nodes.clone()),
        exhausted: status.exhausted.iter().map(exhausted).collect(),
        inventory: match inventory {
            // Nothing is placed at a hosted vendor, so no plan waits for what it lists.
            _ if spec.type_ == TargetType::OpenAICompatible => model::Inventory::Answered,
            Some(known) if known.cut.is_none() && !is_listing(connection) => model::Inventory::Answered,
            _ => model::Inventory::Pending { since: timestamp(target.metadata.creation_timestamp.as_ref()) },
        },
        capabilities: capabilities(target, connection),
    }
}

/// Abilities of the place. A hosted vendor holds no endpoint, whether it answers or not.
fn capabilities(target: &ServingTarget, connection: Option<&TargetConnection>) -> model::Capabilities {
    if target.spec.type_ == TargetType::OpenAICompatible {
        return model::Capabilities::of_vendor();
    }
    let provider = connection.and_then(|connection| connection.provider.as_ref());
    provider.map_or_else(model::Capabilities::default, |provider| provider.capabilities())
}

/// An offer with the terms that the service itself states at this time, where the target's spec has none.
#[must_use]
pub fn offer_there(declared: &Offer, inventory: Option<&Inventory>, at: Timestamp) -> model::Offer {
    let mut offer = offer(declared);
    let Some(terms) = inventory.and_then(|inventory| inventory.terms.get(&offer.instance_type)) else { return offer };
    let until = Timestamp(terms.observed.0.saturating_add(TERMS_SECONDS));
    if offer.price.is_none() && offer.capacity_type == model::CapacityType::OnDemand {
        offer.price = terms.hourly.map(|hourly| model::Price::of_service(hourly, terms.observed, until));
    }
    offer.max_instances = offer.max_instances.or(terms.most_instances);
    offer.sold_out = terms.available == Some(false) && at < until;
    offer
}

fn taint(taint: Taint) -> model::Taint {
    let effect = match taint.effect {
        TaintEffect::NoPlacement => model::Effect::NoPlacement,
        TaintEffect::Evict => model::Effect::Evict,
    };
    model::Taint { key: taint.key, value: taint.value, effect }
}

/// An inventory comes a moment before the check that finds the target usable; until then it would count as a place that has
/// answered and cannot be used, and a dearer one would be chosen.
fn is_listing(connection: Option<&TargetConnection>) -> bool {
    matches!(connection.map(|connection| &connection.state),
        Some(ConnectionState::NotReady { reason, .. }) if *reason == reasons::LISTING)
}

/// Time of the transition of the condition Ready to True.
fn ready_since(status: &ServingTargetStatus) -> Option<Timestamp> {
    let ready = conditions::find(&status.conditions, conditions::READY)?;
    (ready.status == conditions::TRUE).then(|| now(ready.last_transition_time.0))
}

fn target_state(target: &ServingTarget, connection: Option<&TargetConnection>, at: Timestamp) -> model::TargetState {
    let not_ready = |reason: &str, message: String, since: Timestamp| model::TargetState::NotReady {
        reason: reason.to_owned(),
        message,
        since,
    };
    if let Some(deleted) = &target.metadata.deletion_timestamp {
        return not_ready(reasons::DELETING, explain::TargetMessage::Deleting(&[]).to_string(), now(deleted.0));
    }
    let problems = validate::serving_target(target);
    if !problems.is_empty() {
        let conditions = target.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let told = conditions::find(conditions, conditions::STALLED).map(|told| told.last_transition_time.0);
        let since = told.map_or(at, now);
        let message = validate::sentence(&problems);
        // What starts at a place that does not answer either is not left to wait for an edit.
        return match connection.filter(|_| !is_listing(connection)).and_then(|seen| seen.state.not_ready_since()) {
            Some(failing) => not_ready(reasons::INVALID_SPEC, message, now(failing)),
            None => model::TargetState::Invalid { reason: reasons::INVALID_SPEC.to_owned(), message, since },
        };
    }
    match connection.map(|connection| &connection.state) {
        None => not_ready(reasons::UNKNOWN, explain::TargetMessage::Unchecked.to_string(), at),
        Some(ConnectionState::Ready) => model::TargetState::Ready,
        Some(ConnectionState::NotReady { reason, message, since }) => not_ready(reason, message.clone(), now(*since)),
    }
}

#[cfg(test)]
mod tests {
    use roadstead_provider::ServiceTerms;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_whose_spec_is_invalid_is_left_for_that_only_if_it_does_not_answer_either() {
        let declared: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Kubernetes",
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "MI999X", "count": 8},
                            "capacityType": "Reserved"}],
            },
        }))
        .unwrap();
        let failing = jiff::Timestamp::UNIX_EPOCH;
        let seen = |reason| {
            let state = match reason {
                None => ConnectionState::Ready,
                Some(reason) => ConnectionState::NotReady { reason, message: String::new(), since: failing },
            };
            let connection = TargetConnection { provider: None, identity: None, state, fingerprint: String::new() };
            target(&declared, Some(&connection), None, jiff::Timestamp::UNIX_EPOCH).state
        };
        let is_invalid = |state| matches!(state, model::TargetState::Invalid { .. });
        assert!(is_invalid(seen(None)) && is_invalid(seen(Some(reasons::LISTING))));
        assert!(
            is_invalid(target(&declared, None, None, jiff::Timestamp::UNIX_EPOCH).state),
            "the target has not been checked"
        );
        let model::TargetState::NotReady { reason, since, .. } = seen(Some(reasons::UNREACHABLE)) else {
            panic!("it would be waited for")
        };
        assert_eq!((reason.as_str(), since), (reasons::INVALID_SPEC, now(failing)));
    }

    #[test]
    fn terms_of_a_service_count_where_the_spec_has_none_and_only_for_a_while() {
        let observed = Timestamp(1_000);
        let terms = ServiceTerms {
            hourly: Some(model::MicroDollars(800_000)),
            most_instances: Some(3),
            available: Some(false),
            observed,
        };
        let inventory = Inventory { terms: [("l4".to_owned(), terms)].into(), ..Inventory::default() };
        let seen_at = |fields: &serde_json::Value, at: Timestamp| {
            let mut declared = json!({"name": "o", "instanceType": "l4", "accelerator": {"type": "L4", "count": 1},
                                      "capacityType": "OnDemand"});
            declared.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            offer_there(&serde_json::from_value(declared).unwrap(), Some(&inventory), at)
        };
        let seen = |fields: &serde_json::Value| seen_at(fields, Timestamp(8_199));
        let plain = seen(&json!({}));
        let price = plain.price.unwrap();
        assert_eq!((price.source, price.observed), (model::PriceSource::Service, Some(observed)));
        assert_eq!(price.at(Timestamp(8_199)), Ok(model::Rate::PerInstanceHour(model::MicroDollars(800_000))));
        assert!(price.at(Timestamp(8_200)).is_err(), "two hours without another reading");
        assert_eq!((plain.max_instances, plain.sold_out), (Some(3), true));
        assert!(!seen_at(&json!({}), Timestamp(8_200)).sold_out, "two hours without another reading");

        let own = seen(&json!({"hourlyPrice": "0.70", "maxInstances": 5}));
        assert_eq!(own.price, Some(model::Price::per_instance_hour(model::MicroDollars(700_000))));
        assert_eq!(own.max_instances, Some(5));
        assert_eq!(seen(&json!({"instanceType": "a100"})).price, None);
        assert_eq!(seen(&json!({"capacityType": "Reserved"})).price, None, "it is paid already");
    }

    #[test]
    fn a_target_has_answered_once_it_was_listed_and_found_usable() {
        let declared: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": []},
        }))
        .unwrap();
        let seen = |state, inventory| {
            let connection = TargetConnection { provider: None, identity: None, state, fingerprint: String::new() };
            target(&declared, Some(&connection), inventory, jiff::Timestamp::UNIX_EPOCH).inventory
                == model::Inventory::Answered
        };
        let not_ready =
            |reason| ConnectionState::NotReady { reason, message: String::new(), since: jiff::Timestamp::UNIX_EPOCH };
        let inventory = Inventory::default();
        assert!(!seen(not_ready(reasons::LISTING), None));
        assert!(!seen(not_ready(reasons::LISTING), Some(&inventory)), "its next check finds it usable");
        assert!(seen(ConnectionState::Ready, Some(&inventory)));
        assert!(seen(not_ready(reasons::UNREACHABLE), Some(&inventory)), "what ran there was said before");
        let cut = Inventory { cut: Some("too much".to_owned()), ..Inventory::default() };
        assert!(!seen(ConnectionState::Ready, Some(&cut)), "what was left out may be anything");
    }
}
