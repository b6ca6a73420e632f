//! The shift of requests to a replacement in steps. Pure: the step and its end are on the route, where a new process finds them.

use kube::ResourceExt;
use roadstead_gateway::{Endpoint, Route, ShiftProgress, State};

use super::record::{fails, leaves};
use super::verified::is_successor;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, ShiftStep};

/// Sets the step of each shift on a route whose `endpoints` have their states.
///
/// A replacement takes its first share once it is verified. If it fails before the last step ends, all requests go back to the
/// old endpoint, and it is verified anew. If the old endpoint fails or leaves, the replacement takes over at once.
pub fn settle<'a>(
    endpoints: &mut [Endpoint],
    deployment: &ModelDeployment,
    records: &(impl IntoIterator<Item = &'a InferenceEndpoint> + Clone),
    former: Option<&Route>,
    now: i64,
) {
    for record in records.clone().into_iter().filter(|record| is_successor(record, Some(deployment))) {
        let Some(from) = &record.spec.replaces else { continue };
        let name = record.name_any();
        let stays = |old: &InferenceEndpoint| old.name_any() == *from && !leaves(old) && !fails(old);
        let is_active = |one: &Endpoint, name: &str| one.name == name && one.state == State::Active;
        let is_served = records.clone().into_iter().any(stays) && endpoints.iter().any(|one| is_active(one, from));
        let Some(was) = former.and_then(|former| former.endpoint(&name)).filter(|_| is_served) else { continue };
        let Some(new) = endpoints.iter_mut().find(|one| is_active(one, &name)) else { continue };
        let next = next(deployment, from, was, now);
        if fails(record) && (next.is_some() || was.shift.is_some()) {
            new.state = State::Verifying;
        } else {
            new.shift = next;
        }
    }
}

/// The step after what the route said of the replacement; `None` once it takes its whole share.
fn next(deployment: &ModelDeployment, from: &str, was: &Endpoint, now: i64) -> Option<ShiftProgress> {
    let steps = &deployment.spec.migration.shift.steps;
    match &was.shift {
        None if was.state == State::Verifying => step(steps, 0, from, now),
        None => None,
        Some(known) if now < known.until || deployment.spec.suspend => Some(known.clone()),
        Some(known) => step(steps, known.step.saturating_add(1), from, now),
    }
}

fn step(steps: &[ShiftStep], step: u32, from: &str, now: i64) -> Option<ShiftProgress> {
    let of = steps.get(usize::try_from(step).ok()?)?;
    let percent = u32::try_from(of.weight_percent).unwrap_or(1).clamp(1, 99);
    let until = now.saturating_add(of.duration_seconds.max(0).into());
    Some(ShiftProgress { from: from.to_owned(), percent, step, until })
}

/// The end of the next step to end on a route.
pub fn next_end(route: &Route) -> Option<i64> {
    route.endpoints.iter().filter_map(|endpoint| Some(endpoint.shift.as_ref()?.until)).min()
}
