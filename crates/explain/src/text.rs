//! A plan as text for people.

use std::fmt::Write;

use roadstead_model::{Action, Candidate, EndpointState, Keep, Placement, Plan, Reason, Report, Verdict};

use crate::findings::finding;
use crate::summary::summary;
use crate::verdicts::verdict;
use crate::waits::wait;
use crate::words::{at_cost, count};

/// Renders a plan: what is done and why, what is waited for, and a line for each candidate.
#[must_use]
pub fn render_text(plan: &Plan) -> String {
    let mut text = String::new();
    line(&mut text, &format!("{}: {}", plan.deployment, plan.decision.as_str()));
    line(&mut text, &format!("  {}", summary(&plan.summary)));
    section(&mut text, "actions", plan.actions.iter().map(action));
    section(&mut text, "waits", plan.waits.iter().map(wait));
    if let Some(at) = plan.recheck_at {
        line(&mut text, &format!("\nlooked at again at {at}"));
    }
    candidates(&mut text, &plan.report);
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

fn section(text: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    line(text, &format!("\n{title}:"));
    for item in items {
        line(text, &format!("  - {item}"));
    }
}

fn action(action: &Action) -> String {
    match action {
        Action::Keep(keep) => kept(keep),
        Action::Adopt { found, state } => {
            let state = match state {
                EndpointState::Active => String::new(),
                EndpointState::Standby => ", to stand by".to_owned(),
                EndpointState::Draining { deadline } => format!(", to drain until {deadline}"),
                EndpointState::Deleting => ", to be deleted".to_owned(),
            };
            format!("adopt {} on {}{state}", found.name, found.target)
        }
        Action::Create { placement, replaces, stands_by, reason } => {
            let instead = replaces.as_ref().map_or_else(String::new, |name| format!(", to replace {name}"));
            let role = if *stands_by { ", to stand by" } else { "" };
            format!("create {}{instead}{role} ({})", place(placement), reason.as_str())
        }
        Action::Promote { endpoint, replaces, reason } => {
            format!("promote the standby {endpoint}, to replace {replaces} ({})", reason.as_str())
        }
        Action::Drain { endpoint, deadline, reason } => {
            format!("drain {endpoint} until {deadline} ({})", reason.as_str())
        }
        Action::Delete { endpoint, reason, exhaust } => {
            let left = exhaust.as_ref().map_or_else(String::new, |refused| {
                let for_whom = if refused.only_for.is_some() { ", for this deployment only" } else { "" };
                format!("; the operator does not retry {} on {} for some time{for_whom}", refused.offer, refused.target)
            });
            format!("delete {endpoint} ({}){left}", reason.as_str())
        }
    }
}

fn kept(keep: &Keep) -> String {
    let cost = at_cost(keep.hourly_cost);
    let mut text = format!("keep {} with {} {cost}", keep.endpoint, replicas(keep.replicas));
    for found in &keep.findings {
        let _ = write!(text, "\n      {}: {}", found.reason().as_str(), finding(found));
    }
    text
}

fn place(placement: &Placement) -> String {
    format!(
        "{} of {} ({}) on {}, offer {}, {}, slot {}, {}",
        replicas(placement.replicas),
        placement.shape,
        placement.accelerator,
        placement.target,
        placement.offer,
        placement.capacity_type,
        placement.slot,
        at_cost(placement.hourly_cost)
    )
}

fn replicas(number: u32) -> String {
    count(number, "replica")
}

fn candidates(text: &mut String, report: &Report) {
    if !report.candidates.is_empty() {
        line(text, "\ncandidates:");
    }
    let places: Vec<String> = report.candidates.iter().map(name).collect();
    let costs: Vec<String> = report.candidates.iter().map(cost).collect();
    let wide = |column: &[String]| column.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let (place_width, cost_width) = (wide(&places), wide(&costs));
    let reasons = report.candidates.iter().map(|candidate| candidate.reason().as_str().len());
    let reason_width = reasons.max().unwrap_or(0);
    for ((candidate, place), cost) in report.candidates.iter().zip(&places).zip(&costs) {
        let mark = match candidate.verdict {
            Verdict::Chosen(_) => '*',
            Verdict::Feasible(_) => '+',
            Verdict::Rejected(_) => '-',
        };
        let reason = candidate.reason().as_str();
        line(
            text,
            &format!(
                "  {mark} {place:place_width$}  {cost:>cost_width$}  {reason:reason_width$}  {}",
                verdict(candidate)
            ),
        );
    }
    let omitted = report.omitted.iter().map(|(reason, count)| format!("{count} {}", reason.as_str()));
    let hidden = report.namespace_not_allowed;
    let hidden = (hidden > 0).then(|| format!("{hidden} {} (targets)", Reason::NamespaceNotAllowed.as_str()));
    let more: Vec<String> = omitted.chain(hidden).collect();
    if !more.is_empty() {
        line(text, &format!("  and {}", more.join(", ")));
    }
    if !report.time_can_help {
        line(text, "\nonly an edit of the deployment or of a target can change this");
    }
}

fn name(candidate: &Candidate) -> String {
    let offer = candidate.offer.as_ref().map_or_else(String::new, |offer| format!("/{offer}"));
    format!("{}{offer} {} ({} {})", candidate.target, candidate.shape, candidate.cloud, candidate.region)
}

fn cost(candidate: &Candidate) -> String {
    candidate.hourly_cost.map_or_else(|| "?".to_owned(), |cost| format!("${cost}/h"))
}
