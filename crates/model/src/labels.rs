//! Label selectors, with the meaning that Kubernetes gives them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Labels of a target, a node or a namespace.
pub type Labels = BTreeMap<String, String>;

/// Selects by labels; all parts must match, and an empty selector matches everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct LabelSelector {
    /// Labels that must be there with these values.
    #[serde(default)]
    pub match_labels: Labels,
    /// Further conditions.
    #[serde(default)]
    pub match_expressions: Vec<Requirement>,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// The condition.
    pub operator: Operator,
    /// Values for `In` and `NotIn`; ignored by the others.
    #[serde(default)]
    pub values: BTreeSet<String>,
}

/// The condition of a [`Requirement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operator {
    /// The label is there with one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

impl LabelSelector {
    /// True if `labels` satisfy every part.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, operator: Operator, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_expressions: vec![Requirement {
                key: key.into(),
                operator,
                values: values.iter().map(ToString::to_string).collect(),
            }],
            ..LabelSelector::default()
        }
    }

    #[test]
    fn matches_as_kubernetes_does() {
        let labels = Labels::from([("env".into(), "prod".into())]);
        let by_label = |value: &str| LabelSelector {
            match_labels: Labels::from([("env".into(), value.into())]),
            ..LabelSelector::default()
        };
        for (selector, expected) in [
            (LabelSelector::default(), true),
            (by_label("prod"), true),
            (by_label("dev"), false),
            (requirement("env", Operator::In, &["dev", "prod"]), true),
            (requirement("tier", Operator::In, &["dev", "prod"]), false),
            (requirement("env", Operator::NotIn, &["prod"]), false),
            (requirement("tier", Operator::NotIn, &["prod"]), true),
            (requirement("env", Operator::Exists, &[]), true),
            (requirement("tier", Operator::Exists, &[]), false),
            (requirement("env", Operator::DoesNotExist, &[]), false),
            (requirement("tier", Operator::DoesNotExist, &[]), true),
        ] {
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }
}
