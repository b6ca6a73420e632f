//! Orphans: what runs at a target under our installation id although neither a record nor a deployment names it.
//!
//! `listing` lists the hub's objects, `judge` (pure) decides about each found endpoint, `shown` reports it; this file
//! runs the cycles, and deletes the due orphans if the operator is configured to.

pub mod judge;
#[cfg(test)]
mod judge_tests;
mod listing;
pub mod shown;
#[cfg(test)]
mod shown_tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::time::Instant;

use self::judge::{Due, Fate, Moment, SweepMemory, SweptTarget};
use super::context::Context;
use super::convert;
use super::error::ActError;
use super::news::News;
use super::settings::OrphanPolicy;
use super::tell;
use kube::ResourceExt;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{ServingTarget, reasons};
use roadstead_explain::{OrphanEvent, TargetMessage};
use roadstead_model::Found;
use roadstead_provider::{Claim, ErrorClass, Provider, ProviderError, Removal};
use roadstead_runtime::cache::Key;

/// Looks for orphans for ever. What is under way when it is dropped leaves the orphan to be found again.
pub async fn sweep(context: Arc<Context>) {
    let mut sweeper = Sweeper {
        policy: context.settings.orphans.clone(),
        started: context.clock.now(),
        memory: SweepMemory::default(),
    };
    loop {
        tokio::time::sleep(sweeper.policy.interval).await;
        if AssertUnwindSafe(sweeper.cycle(&context)).catch_unwind().await.is_err() {
            tracing::error!("the sweep for orphans panicked; it goes on with the next cycle");
            sweeper.memory.break_off();
        }
    }
}

struct Sweeper {
    policy: OrphanPolicy,
    started: Instant,
    memory: SweepMemory,
}

impl Sweeper {
    /// One cycle.
    async fn cycle(&mut self, context: &Context) {
        let places = places(context);
        let mut known = listing::cached(context);
        let covered = |place: &SweptTarget| place.found.iter().all(|found| known.covers(&place.target, found));
        // The hub is asked only if something looks like an orphan: a settled fleet costs no listing.
        if !places.iter().all(covered) {
            known = match listing::confirm(&context.client, &context.settings.watched, known).await {
                Ok(known) => known,
                Err(error) => {
                    tracing::warn!(%error, "no orphan is judged: the hub did not list its objects");
                    self.memory.break_off();
                    return;
                }
            };
        }
        let moment = Moment { now: planning::now(context.clock.wall()), leading: context.clock.now() - self.started };
        let judgement = judge::judge(&self.policy, moment, &known, &places, &mut self.memory);
        let orphans: usize = judgement.orphans.values().map(Vec::len).sum();
        tracing::debug!(targets = places.len(), orphans, due = judgement.due.len(), "looked for orphans");
        for (target, orphans) in judgement.orphans {
            if show(context, &target, orphans) {
                context.queues.targets.add(Key::cluster(target), ());
            }
        }
        for due in judgement.due {
            match remove(context, &due).await {
                Ok(Removal::Gone) => self.memory.gone(&due),
                Ok(Removal::InProgress { .. }) => self.memory.asked(&due),
                // Looked at anew in the next cycle.
                Err(error) if error.is_ordinary() => {
                    tracing::debug!(%error, serving_target = due.target, orphan = due.orphan.found.name, "orphan kept");
                    self.memory.refused(&due, error.to_string());
                }
                Err(error) => {
                    tracing::warn!(%error, serving_target = due.target, orphan = due.orphan.found.name, "orphan not removed");
                    self.memory.refused(&due, error.to_string());
                }
            }
        }
    }
}

/// Looks at a target that was not judged since the start. Where the caches account for everything that is there, it is
/// known at once that nothing is an orphan; anything else is left to a sweep.
pub fn look_at(context: &Context, target: &ServingTarget) {
    let name = target.name_any();
    if context.orphans.get(&name).is_some() {
        return;
    }
    let accounted = |place: &SweptTarget| place.found.iter().all(|found| listing::accounts_for(context, &name, found));
    if place(context, target).as_ref().is_some_and(accounted) {
        show(context, &name, Vec::new());
    }
}

/// Shows what was found of a target; says whether that is news.
fn show(context: &Context, target: &str, orphans: Vec<judge::Orphan>) -> bool {
    context.metrics.orphans(target, orphans.len(), shown::cost(&orphans));
    context.orphans.set(target, orphans)
}

/// The usable targets with their found endpoints.
fn places(context: &Context) -> Vec<SweptTarget> {
    context.caches.targets.list().iter().filter_map(|target| place(context, target)).collect()
}

fn place(context: &Context, target: &ServingTarget) -> Option<SweptTarget> {
    let connection = context.connections.get(&target.name_any())?;
    // An incomplete inventory proves nothing.
    let provider = connection.usable()?;
    let inventory = provider.inventory().filter(|inventory| inventory.cut.is_none())?;
    let now = planning::now(context.clock.wall());
    let offers = target.spec.offers.iter().map(|offer| convert::offer_there(offer, Some(&inventory), now)).collect();
    // What belongs to a namespace that is not watched is not ours to judge.
    let ours = |found: &&Found| context.settings.watched.includes(&found.deployment.namespace);
    Some(SweptTarget {
        target: target.name_any(),
        found: inventory.found.iter().filter(ours).cloned().collect(),
        offers,
        whole_instances: provider.capabilities().whole_instances,
    })
}

/// Requests the removal of one orphan, after checking all conditions once more.
async fn remove(context: &Context, due: &Due) -> Result<Removal, ActError> {
    let found = &due.orphan.found;
    let provider = ours(context, &due.target).await?;
    if !listing::is_unknown(&context.client, &found.deployment, &found.name).await? {
        return Err(ActError::Stale { object: format!("the record of {}", found.name) });
    }
    let removal = provider.remove_found(found).await?;
    if due.orphan.fate != Fate::Removing {
        tell(context, due);
    }
    Ok(removal)
}

/// The driver of a target that is still the place it was, and still ours, at this very moment.
async fn ours(context: &Context, target: &str) -> Result<Arc<dyn Provider>, ActError> {
    let stale = || ActError::Stale { object: format!("target {target}") };
    let connection = context.connections.get(target).ok_or_else(stale)?;
    let provider = connection.usable().ok_or_else(stale)?;
    let identity = provider.identity().await?;
    if context.pinned_identity(target).as_ref() != Some(&identity) {
        return Err(stale());
    }
    let settings = &context.settings;
    match provider.claim(&settings.hub_uid, settings.takeover.as_deref()).await? {
        Claim::Ours => Ok(Arc::clone(provider)),
        Claim::Other { hub_uid } => {
            let message =
                TargetMessage::ClaimedByOtherHub { hub: &hub_uid, install_id: &settings.install_id }.to_string();
            Err(ProviderError::new(ErrorClass::Conflict, message).into())
        }
    }
}

fn tell(context: &Context, due: &Due) {
    let note = OrphanEvent::Removed { found: &due.orphan.found, cost: due.orphan.hourly_cost }.to_string();
    context.metrics.orphan_removed();
    if let Some(target) = context.caches.targets.get(&Key::cluster(&due.target)) {
        let from = Some(due.target.clone());
        tell::tell(context, target.as_ref(), &News { from, ..News::new(reasons::ORPHAN_REMOVED, note) });
    }
}
