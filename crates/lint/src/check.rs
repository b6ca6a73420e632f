//! The check: what it looks at, and what it found so far.

use std::collections::BTreeSet;

use roadstead_model::{Action, Deployment, Endpoint, EndpointKey, Facts, Numbers, Plan, Rule, Violation};

/// A plan that is being checked.
pub(crate) struct Check<'a, F> {
    /// The facts that it was made from.
    pub(crate) facts: &'a F,
    /// The deployment that it is about.
    pub(crate) deployment: &'a Deployment,
    /// The plan.
    pub(crate) plan: &'a Plan,
    violations: Vec<Violation>,
}

impl<'a, F: Facts> Check<'a, F> {
    /// A check that has found nothing yet.
    pub(crate) const fn new(facts: &'a F, deployment: &'a Deployment, plan: &'a Plan) -> Self {
        Self { facts, deployment, plan, violations: Vec::new() }
    }

    /// The violations that were found.
    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Notes a violation unless the rule holds.
    pub(crate) fn require(&mut self, rule: Rule, subject: &str, holds: bool) {
        if !holds {
            self.violations.push(Violation { rule, subject: subject.to_owned(), numbers: None });
        }
    }

    /// Notes a violation with numbers unless the rule holds.
    pub(crate) fn require_numbers(&mut self, rule: Rule, subject: &str, holds: bool, numbers: Numbers) {
        if !holds {
            self.violations.push(Violation { rule, subject: subject.to_owned(), numbers: Some(numbers) });
        }
    }

    /// The endpoint of this name, if it is the deployment's.
    pub(crate) fn endpoint(&self, name: &str) -> Option<&'a Endpoint> {
        let key = EndpointKey { namespace: self.deployment.id.namespace.clone(), name: name.to_owned() };
        self.facts.endpoint(&key).filter(|endpoint| endpoint.deployment == self.deployment.id)
    }

    /// The endpoints of the deployment.
    pub(crate) fn own(&self) -> impl Iterator<Item = &'a Endpoint> {
        self.facts.endpoints_of(&self.deployment.id)
    }

    /// Active endpoints that serve, and that the plan does not remove.
    pub(crate) fn still_serving(&self) -> impl Iterator<Item = &'a Endpoint> {
        let removed = self.removed();
        self.own().filter(move |one| one.is_active() && one.serves() && !removed.contains(one.name.as_str()))
    }

    /// Names of the endpoints that the plan drains or deletes.
    pub(crate) fn removed(&self) -> BTreeSet<&'a str> {
        let removed = self.plan.actions.iter().filter_map(|action| match action {
            Action::Drain { endpoint, .. } | Action::Delete { endpoint, .. } => Some(endpoint.as_str()),
            _ => None,
        });
        removed.collect()
    }
}
