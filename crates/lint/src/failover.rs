//! Rules about failover: it comes neither early nor on the word of a hub that is cut off.

use roadstead_model::{Contact, Decision, Facts, Health, Rule, Target};

use crate::check::Check;

/// True if a decision replaces an endpoint because it fails.
pub(crate) const fn is_failover(reason: Decision) -> bool {
    matches!(reason, Decision::TargetLost | Decision::EndpointFailing)
}

/// A replacement of a failing endpoint is wanted, in time, and based on what was seen of that endpoint.
pub(crate) fn check<F: Facts>(check: &mut Check<'_, F>, replaces: Option<&str>, reason: Decision) {
    if !is_failover(reason) {
        return;
    }
    let Some(failing) = replaces.and_then(|name| check.endpoint(name)) else { return };
    let (subject, after) = (failing.name.as_str(), check.deployment.failover_after_seconds);
    check.require(Rule::FailoverWanted, subject, after.is_some());
    let fails = failing.ever_ready && !failing.ready && matches!(failing.health, Health::Failing | Health::Lost);
    let fails = fails && failing.failed_at.is_some();
    check.require(Rule::FailoverOfFailing, subject, fails);
    let tolerated_until = failing.failing_since.zip(after).map(|(since, after)| since.plus(after));
    let in_time = tolerated_until.zip(failing.failed_at).is_some_and(|(until, failed)| until <= failed);
    check.require(Rule::FailoverAfterToleration, subject, in_time || after.is_none());
    check.require(Rule::FailoverInContact, subject, is_in_contact(check.facts));
}

fn others<F: Facts>(facts: &F) -> impl Iterator<Item = &Target> {
    facts.targets().filter(|target| !target.in_cluster)
}

fn silent<F: Facts>(facts: &F) -> usize {
    others(facts).filter(|target| target.contact == Contact::Silent).count()
}

/// One of the targets elsewhere answers, or there is one at most, or none is known to be silent.
fn is_in_contact<F: Facts>(facts: &F) -> bool {
    let answers = others(facts).any(|target| target.contact == Contact::Answers);
    answers || others(facts).count() < 2 || silent(facts) == 0
}

/// More than 55 % of the targets elsewhere, of two at least, are silent.
pub(crate) fn many_are_silent<F: Facts>(facts: &F) -> bool {
    let all = others(facts).count();
    all >= 2 && 100 * silent(facts) > 55 * all
}
