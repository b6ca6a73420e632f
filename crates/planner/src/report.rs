//! Makes the report from the judged candidates.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{
    Candidate, Choice, Deployment, Inventory, LargestFit, MAX_CANDIDATES, MicroDollars, Reason, Report, Timestamp,
    Verdict,
};

use crate::candidates::{Candidates, Judged, Judgement, Question, judge_on};
use crate::fleet::Fleet;
use crate::reasons::{choice, comparison, rejection, remarks};

/// The place that a plan chooses or keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen<'a> {
    /// Target.
    pub(crate) target: &'a str,
    /// Offer.
    pub(crate) offer: &'a str,
    /// Shape.
    pub(crate) shape: &'a str,
    /// Hourly cost; `None` is unknown.
    pub(crate) cost: Option<MicroDollars>,
    /// An endpoint is there already.
    pub(crate) kept: bool,
    /// Its replicas, and those that were to be divided, where it gets a part of them.
    pub(crate) share: Option<(u32, u32)>,
}

impl Chosen<'_> {
    fn is(&self, judged: &Judged) -> bool {
        (self.target, self.offer, self.shape)
            == (judged.entry.target.name.as_str(), judged.offer_name(), judged.shape.name.as_str())
    }

    /// True if the candidate is the place, as the report shows it: a kept one that a rule now forbids is shown as
    /// rejected.
    fn stands_for(&self, judged: &Judged) -> bool {
        self.is(judged) && (!self.kept || judged.judgement.reason().time_can_change())
    }
}

/// The report of a plan for which no place was looked for.
pub(crate) const fn nothing_judged() -> Report {
    Report {
        candidates: Vec::new(),
        omitted: BTreeMap::new(),
        namespace_not_allowed: 0,
        largest_fit: None,
        time_can_help: true,
    }
}

/// Makes the report.
pub(crate) fn build(question: &Question, candidates: &Candidates, all_chosen: &[Chosen]) -> Report {
    let chosen_as = |judged: &Judged| all_chosen.iter().find(|chosen| chosen.stands_for(judged)).copied();
    let is_chosen = |judged: &Judged| chosen_as(judged).is_some();
    // Others are compared with the one place of all replicas.
    let chosen = match all_chosen {
        [only] => Some(*only),
        _ => None,
    };
    let (first, others): (Vec<&Judged>, Vec<&Judged>) = candidates.all.iter().partition(|j| is_chosen(j));
    let (feasible, rejected): (Vec<&Judged>, Vec<&Judged>) =
        others.into_iter().partition(|judged| judged.judgement == Judgement::Feasible);
    let rejected = most_telling(rejected, chosen);
    let room = MAX_CANDIDATES - first.len().min(MAX_CANDIDATES);
    // Neither kind may crowd the other out: half the room is for rejections, if there are so many.
    let listed_feasible = feasible.len().min(room - rejected.len().min(room / 2));
    let (feasible, more_feasible) = feasible.split_at(listed_feasible);
    let (rejected, more_rejected) = rejected.split_at(rejected.len().min(room - listed_feasible));

    let mut listed = Vec::with_capacity(MAX_CANDIDATES);
    listed.extend(first.iter().map(|judged| chosen_entry(question, candidates, judged, chosen_as(judged))));
    listed.extend(feasible.iter().map(|judged| feasible_entry(question, judged, chosen)));
    listed.extend(rejected.iter().filter_map(|judged| rejected_entry(question, judged)));
    let mut omitted = BTreeMap::new();
    for judged in more_feasible.iter().chain(more_rejected) {
        *omitted.entry(judged.judgement.reason()).or_default() += 1;
    }
    Report {
        candidates: listed,
        omitted,
        namespace_not_allowed: candidates.namespace_not_allowed,
        largest_fit: largest_fit(candidates),
        time_can_help: time_can_help(question, candidates),
    }
}

/// The candidates on one target as they are judged now for a newcomer; none where there is no such target, or the
/// namespace may not use it. What is reported of them once can be held against it later.
#[must_use]
pub fn candidates_on(fleet: &Fleet, deployment: &Deployment, now: Timestamp, target: &str) -> Vec<Candidate> {
    let question = Question::new(fleet, deployment, now);
    let judged = judge_on(&question, target);
    let entries = judged.iter().filter_map(|judged| match judged.judgement {
        Judgement::Feasible => Some(feasible_entry(&question, judged, None)),
        _ => rejected_entry(&question, judged),
    });
    entries.collect()
}

/// The rejected in the order in which they tell most: the first of each reason before its repetitions, what
/// would have been cheaper than the chosen (or what may change by itself, if nothing is chosen) before the
/// rest, and the missing accelerators last. Within that by cost, as they come.
fn most_telling<'a, 'j>(rejected: Vec<&'j Judged<'a>>, chosen: Option<Chosen>) -> Vec<&'j Judged<'a>> {
    let class = |judged: &Judged| match (judged.judgement.reason(), chosen) {
        (Reason::AcceleratorMissing, _) => 2,
        (_, Some(chosen)) => u8::from(!matches!((judged.cost.hourly, chosen.cost), (Ok(a), Some(b)) if a < b)),
        (reason, None) => u8::from(!reason.time_can_change()),
    };
    let mut sorted = rejected;
    sorted.sort_by_key(|judged| class(judged));
    let mut seen = BTreeSet::new();
    let (first, repeated): (Vec<_>, Vec<_>) = sorted.into_iter().partition(|judged| {
        let reason = judged.judgement.reason();
        reason != Reason::AcceleratorMissing && seen.insert(reason)
    });
    first.into_iter().chain(repeated).collect()
}

fn entry(judged: &Judged, verdict: Verdict) -> Candidate {
    let target = &judged.entry.target;
    Candidate {
        target: target.name.clone(),
        cloud: target.cloud.clone(),
        region: target.region.clone(),
        offer: judged.offer.map(|offer| offer.name.clone()),
        shape: judged.shape.name.clone(),
        hourly_cost: judged.cost.hourly.ok(),
        verdict,
    }
}

fn chosen_entry(question: &Question, candidates: &Candidates, judged: &Judged, chosen: Option<Chosen>) -> Candidate {
    let choice = match chosen {
        Some(Chosen { kept: true, cost, .. }) => {
            Choice { cost, best_of: None, share: None, remarks: remarks(question, judged) }
        }
        Some(Chosen { share: Some(share), cost, .. }) => {
            Choice { cost, best_of: None, share: Some(share), remarks: remarks(question, judged) }
        }
        _ => choice(question, judged, number_of(candidates.feasible())),
    };
    let hourly_cost = chosen.and_then(|chosen| chosen.cost).or(judged.cost.hourly.ok());
    Candidate { hourly_cost, ..entry(judged, Verdict::Chosen(choice)) }
}

fn feasible_entry(question: &Question, judged: &Judged, chosen: Option<Chosen>) -> Candidate {
    let chosen = chosen.and_then(|chosen| chosen.cost);
    entry(judged, Verdict::Feasible(comparison(question, judged, chosen)))
}

fn rejected_entry(question: &Question, judged: &Judged) -> Option<Candidate> {
    rejection(question, judged).map(|rejection| entry(judged, Verdict::Rejected(rejection)))
}

fn largest_fit(candidates: &Candidates) -> Option<LargestFit> {
    if candidates.best().is_some() {
        return None;
    }
    candidates.largest_fit().map(|(judged, replicas)| judged.largest_fit(replicas))
}

fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn time_can_help(question: &Question, candidates: &Candidates) -> bool {
    let mut targets = question.fleet.targets().peekable();
    targets.peek().is_none()
        || targets.any(|target| target.inventory != Inventory::Answered)
        || candidates.all.iter().any(|judged| judged.judgement.reason().time_can_change())
}
