//! The refusals that a target remembers: for how long an offer is left out for a size. Pure.

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use roadstead_model::{Exhaust, Resources, Size, Timestamp};

use super::convert;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{ExhaustedStatus, InferenceEndpoint, limits};

/// The time that an offer is left out after a first refusal: an autoscaler adds a node in less, and a cloud that is out of a
/// type of machine seldom has it back sooner. It doubles with each further refusal.
const FIRST_SECONDS: u32 = 300;
/// The longest time: a size that is still refused is tried six times a day, at no cost.
const LAST_SECONDS: u32 = 4 * 3600;
/// Refusals that ended so long ago are forgotten: what comes later is another row.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The refusals that no success has followed: an endpoint of at least that size, ready for the first time after the refusal
/// had passed, ends the row.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "callers pass an iterator, which is cloned for each refusal")]
pub fn in_a_row<'a>(
    refusals: &[ExhaustedStatus],
    endpoints: impl IntoIterator<Item = &'a InferenceEndpoint> + Clone,
) -> Vec<ExhaustedStatus> {
    let stands = |refusal: &&ExhaustedStatus| !endpoints.clone().into_iter().any(|one| succeeded(refusal, one));
    refusals.iter().filter(stands).cloned().collect()
}

fn succeeded(refusal: &ExhaustedStatus, endpoint: &InferenceEndpoint) -> bool {
    let spec = &endpoint.spec;
    let size = Size {
        accelerators: u32::try_from(spec.accelerator.count).unwrap_or(0),
        resources: planning::resources(&spec.template.resources),
    };
    let owner = format!("{}/{}", endpoint.namespace().unwrap_or_default(), spec.deployment_ref.name);
    let ready = endpoint.status.as_ref().and_then(|status| status.first_ready_time.as_ref());
    spec.offer == refusal.offer
        && ready.is_some_and(|ready| ready.0 >= refusal.until.0)
        && refusal.only_for.as_ref().is_none_or(|only_for| *only_for == owner)
        && convert::exhausted(refusal).size.within(&size)
}

/// The target's refusals with one more; the time doubles with every refusal in a row.
///
/// The newest is always kept. At the limit, all refusals of its offer are merged into one for all deployments: a
/// forgotten refusal would be retried at once, and refused, for ever.
#[must_use]
pub fn with(former: &[ExhaustedStatus], refusal: &Exhaust, now: Timestamp) -> Vec<ExhaustedStatus> {
    let new = convert::exhausted_status(refusal, now, 0);
    let same = |entry: &ExhaustedStatus| {
        entry.offer == new.offer
            && entry.accelerator_count == new.accelerator_count
            && entry.only_for == new.only_for
            && entry.cpu == new.cpu
            && entry.memory == new.memory
            && entry.ephemeral_storage == new.ephemeral_storage
    };
    let holds = |entry: &ExhaustedStatus| entry.until.0.as_second() > now.0;
    let is_full = former.iter().filter(|entry| !same(entry) && holds(entry)).count() >= limits::EXHAUSTED;
    let goes_in = |entry: &ExhaustedStatus| same(entry) || (is_full && holds(entry) && entry.offer == new.offer);
    let (within, mut all): (Vec<_>, Vec<_>) = former.iter().cloned().partition(goes_in);
    let refusal = if is_full { for_all(refusal, &within) } else { refusal.clone() };
    // An edited spec has not been refused yet.
    let in_a_row = within.iter().filter(|entry| !same(entry) || entry.generation == new.generation);
    let attempts = in_a_row.map(|entry| entry.attempts).max().unwrap_or(0).saturating_add(1);
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    let seconds = FIRST_SECONDS.saturating_mul(2_u32.pow(doublings)).min(LAST_SECONDS);
    let keep_until = now.0 - KEPT.as_secs();
    all.retain(|entry| entry.until.0.as_second() > keep_until);
    // More than the schema holds would be refused whole: those that hold longest are kept.
    all.sort_by_key(|entry| std::cmp::Reverse(entry.until.0));
    all.truncate(limits::EXHAUSTED - 1);
    all.push(convert::exhausted_status(&refusal, now.plus(seconds), attempts));
    all.sort_by_key(|entry| std::cmp::Reverse(entry.until.0));
    all
}

/// One refusal for all deployments, in place of this one and of those `within` it.
fn for_all(refusal: &Exhaust, within: &[ExhaustedStatus]) -> Exhaust {
    let sizes = within.iter().map(|entry| convert::exhausted(entry).size);
    let size = sizes.fold(refusal.size, |one, other| Size {
        accelerators: one.accelerators.min(other.accelerators),
        resources: Resources {
            cpu_millis: one.resources.cpu_millis.min(other.resources.cpu_millis),
            memory_bytes: one.resources.memory_bytes.min(other.resources.memory_bytes),
            ephemeral_storage_bytes: one.resources.ephemeral_storage_bytes.min(other.resources.ephemeral_storage_bytes),
        },
    });
    Exhaust { size, only_for: None, generation: 0, ..refusal.clone() }
}

#[cfg(test)]
mod tests {
    use roadstead_model::DeploymentId;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn refusal(offer: &str, deployment: usize, accelerators: u32) -> Exhaust {
        Exhaust {
            target: "east".to_owned(),
            offer: offer.to_owned(),
            size: Size { accelerators, resources: Resources { cpu_millis: 1_000, ..Resources::default() } },
            only_for: Some(DeploymentId { namespace: "team".to_owned(), name: format!("d{deployment}") }),
            generation: 1,
            reason: "AdmissionRefused".to_owned(),
        }
    }

    /// Refusals of the numbered deployments, each the seventh in a row, which hold for `seconds` more.
    fn former(offer: &str, deployments: std::ops::Range<usize>, seconds: u32) -> Vec<ExhaustedStatus> {
        let entry = |deployment| convert::exhausted_status(&refusal(offer, deployment, 1), NOW.plus(seconds), 7);
        deployments.map(entry).collect()
    }

    fn holds_for(entries: &[ExhaustedStatus], offer: &str, deployment: usize, now: Timestamp) -> bool {
        let id = format!("team/d{deployment}");
        entries.iter().any(|entry| {
            entry.offer == offer
                && entry.until.0.as_second() > now.0
                && entry.only_for.as_ref().is_none_or(|only_for| *only_for == id)
        })
    }

    #[test]
    fn an_edited_spec_has_not_been_refused_in_a_row() {
        let edited = Exhaust { generation: 2, ..refusal("o", 1, 1) };
        let often = former("o", 1..2, 3_600);
        let now = with(&often, &edited, NOW);
        assert_eq!((now.len(), now[0].attempts, now[0].generation), (1, 1, Some(2)));
        assert_eq!(now[0].until.0.as_second(), NOW.plus(300).0);
        let again = with(&now, &edited, NOW);
        assert_eq!(again[0].attempts, 2);
    }

    #[test]
    fn a_refusal_is_recorded_for_its_deployment_and_grows() {
        let once = with(&[], &refusal("o", 1, 1), NOW);
        assert_eq!((once[0].only_for.as_deref(), once[0].attempts), (Some("team/d1"), 1));
        assert_eq!(once[0].until.0.as_second(), NOW.plus(300).0);
        let twice = with(&once, &refusal("o", 1, 1), NOW.plus(300));
        assert_eq!((twice.len(), twice[0].attempts, twice[0].until.0.as_second()), (1, 2, NOW.plus(900).0));
        let other = with(&twice, &refusal("o", 2, 1), NOW.plus(300));
        assert_eq!(other.len(), 2);
        assert!(!holds_for(&other, "o", 3, NOW.plus(300)), "others may go there");
    }

    /// An endpoint of the numbered deployment at an offer, ready for the first time at `ready`.
    fn endpoint(offer: &str, deployment: usize, accelerators: u32, ready: Timestamp) -> InferenceEndpoint {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": format!("d{deployment}-x"), "namespace": "team"},
            "spec": {
                "deploymentRef": {"name": format!("d{deployment}"), "uid": "u"}, "target": "east", "cloud": "c",
                "region": "r", "offer": offer, "shape": "s", "capacityType": "OnDemand", "slot": 0, "replicas": 1,
                "accelerator": {"type": "H100", "count": accelerators, "resourceName": "nvidia.com/gpu"},
                "reason": "InitialPlacement",
                "template": {"engine": "custom", "image": "i:1", "port": 1, "model": {"name": "m"},
                             "resources": {"requests": {"cpu": "1"}},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
            "status": {"observedGeneration": 1, "firstReadyTime": planning::time(ready)},
        }))
        .unwrap()
    }

    #[test]
    fn a_success_after_a_refusal_ends_the_row() {
        let twice = with(&with(&[], &refusal("o", 1, 2), NOW), &refusal("o", 1, 2), NOW.plus(300));
        let served = |endpoint| {
            let left = in_a_row(&twice, [&endpoint]);
            with(&left, &refusal("o", 1, 2), NOW.plus(1000))[0].attempts
        };
        assert_eq!(served(endpoint("o", 1, 2, NOW.plus(900))), 1, "it was tried again, and it serves");
        assert_eq!(served(endpoint("o", 1, 4, NOW.plus(900))), 1, "what is larger fits");
        assert_eq!(served(endpoint("o", 1, 2, NOW.plus(899))), 3, "it began before the refusal had passed");
        assert_eq!(served(endpoint("o", 1, 1, NOW.plus(900))), 3, "what is smaller says nothing of this size");
        assert_eq!(served(endpoint("p", 1, 2, NOW.plus(900))), 3, "another offer");
        assert_eq!(served(endpoint("o", 2, 2, NOW.plus(900))), 3, "it was refused to another deployment alone");
    }

    #[test]
    fn a_refusal_is_kept_however_many_hold_longer() {
        let full = former("o", 0..limits::EXHAUSTED, 4 * 3600);
        let now = with(&full, &refusal("o", 500, 1), NOW);
        assert!(holds_for(&now, "o", 500, NOW));
        assert!((0..limits::EXHAUSTED).all(|deployment| holds_for(&now, "o", deployment, NOW)), "nobody is let back");
        assert!(holds_for(&now, "o", 501, NOW), "more of them cannot be told apart");
        // Some of a full list are of another offer.
        let mut mixed = former("o", 0..100, 4 * 3600);
        mixed.extend(former("p", 100..limits::EXHAUSTED, 4 * 3600));
        let now = with(&mixed, &refusal("p", 500, 1), NOW);
        assert!(now.len() <= limits::EXHAUSTED);
        assert!((0..100).all(|deployment| holds_for(&now, "o", deployment, NOW)));
        assert!(!holds_for(&now, "o", 100, NOW) && holds_for(&now, "p", 500, NOW));
    }

    #[test]
    fn refusals_of_ever_more_deployments_at_several_offers_come_to_rest() {
        let (mut entries, mut tries) = (Vec::new(), 0);
        for round in 0..3 {
            for deployment in 0..300 {
                for offer in ["o", "p", "q"] {
                    if !holds_for(&entries, offer, deployment, NOW) {
                        let accelerators = u32::try_from(deployment % 200).unwrap() + 1;
                        entries = with(&entries, &refusal(offer, deployment, accelerators), NOW);
                        tries += 1;
                        assert!(entries.len() <= limits::EXHAUSTED, "as the schema has it");
                        assert!(holds_for(&entries, offer, deployment, NOW), "{round} {deployment} {offer}");
                    }
                }
            }
        }
        assert!(tries < 3 * 300, "{tries} tries");
    }

    #[test]
    fn what_ended_makes_room_first() {
        let mut entries = former("o", 0..limits::EXHAUSTED - 1, 4 * 3600);
        entries.extend(former("o", 200..201, 0));
        let now = with(&entries, &refusal("o", 500, 1), NOW);
        assert_eq!(now.len(), limits::EXHAUSTED);
        assert!(!holds_for(&now, "o", 600, NOW), "the list was not full of what holds");
        assert!(holds_for(&now, "o", 500, NOW) && holds_for(&now, "o", 0, NOW));
    }
}
