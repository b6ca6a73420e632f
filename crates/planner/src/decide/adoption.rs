//! Takes over endpoints that run at their targets without a record, as after the loss of a hub.

use roadstead_model::{Decision, EndpointState, Found, Summary, cost_of_found};

use super::draft::{Draft, Outcome};
use super::standby;
use crate::candidates::judge_all;
use crate::report::Chosen;

/// Takes over what was `found`, the most ready first: as serving endpoints as far as replicas are missing, then as the standby,
/// else to drain. Where replicas are not divided, one endpoint serves. A suspended deployment gets only serving endpoints back.
///
/// Returns an outcome if something serves from now on: the rest is decided once its record is there.
pub(super) fn adopt<'a>(draft: &mut Draft<'a>, found: &[&'a Found]) -> Option<Outcome<'a>> {
    let deployment = draft.question.deployment;
    let until = draft.question.now.plus(deployment.drain_timeout_seconds);
    let mut serving: Vec<&str> = draft.existing.parts().iter().map(|part| part.serving.target.as_str()).collect();
    let mut held = draft.existing.parts().iter().fold(0_u32, |sum, part| sum.saturating_add(part.serving.replicas));
    let mut standbys = draft.existing.standbys().len();
    let mut first = None;
    for one in found.iter().copied() {
        let with = held.saturating_add(one.replicas);
        let is_part = deployment.divisible && one.replicas > 0 && with <= deployment.replicas;
        if serving.is_empty() || is_part {
            draft.adopt(one, EndpointState::Active);
            first = first.or(Some(one));
            serving.push(&one.target);
            held = with;
        } else if !deployment.suspended {
            let stands_by =
                deployment.wanted_standby() > 0 && standbys == 0 && standby::is_apart(draft, &one.target, &serving);
            standbys += usize::from(stands_by);
            let drains = EndpointState::Draining { deadline: until };
            draft.adopt(one, if stands_by { EndpointState::Standby } else { drains });
        }
    }
    first.map(|first| outcome(draft, first))
}

fn outcome<'a>(draft: &Draft<'a>, first: &'a Found) -> Outcome<'a> {
    let offer = draft.question.fleet.entry(&first.target).and_then(|entry| entry.offer(&first.offer));
    let cost = offer.and_then(|offer| cost_of_found(first, offer, draft.question.now));
    Outcome {
        decision: Decision::Adopted,
        summary: Summary::Adopts {
            endpoint: first.name.clone(),
            target: first.target.clone(),
            ready_replicas: first.ready_replicas,
            replicas: first.replicas,
        },
        chosen: vec![Chosen {
            target: &first.target,
            offer: &first.offer,
            shape: &first.shape,
            cost,
            kept: true,
            share: None,
        }],
        candidates: Some(judge_all(&draft.question)),
    }
}
