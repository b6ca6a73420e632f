//! Rules of behaviour: what a fake does, and who says that the service does it.

use serde::Serialize;

/// The origin of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A document, a client's source or a report of somebody who saw it.
    Cited(&'static str),
    /// Cited, but for a part that nobody has shown on the real service.
    Partly {
        /// The source of the rest.
        cited: &'static str,
        /// The part.
        assumed: &'static str,
    },
    /// Nobody has shown it on the real service.
    Assumed,
}

/// One rule that a fake follows.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Name of the rule, unique in its service.
    pub id: &'static str,
    /// The behaviour.
    pub says: &'static str,
    /// The origin.
    pub source: Source,
}

impl Rule {
    /// A rule with a source.
    #[must_use]
    pub const fn cited(id: &'static str, says: &'static str, source: &'static str) -> Self {
        Self { id, says, source: Source::Cited(source) }
    }

    /// A rule with a source for all but the part `assumed`.
    #[must_use]
    pub const fn partly(id: &'static str, says: &'static str, cited: &'static str, assumed: &'static str) -> Self {
        Self { id, says, source: Source::Partly { cited, assumed } }
    }

    /// A rule that is assumed.
    #[must_use]
    pub const fn assumed(id: &'static str, says: &'static str) -> Self {
        Self { id, says, source: Source::Assumed }
    }

    /// The rule as a line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { id, says, source } = self;
        match source {
            Source::Cited(source) => format!("{id}: {says} [{source}]"),
            Source::Partly { cited, assumed } => format!("{id}: {says} [{cited}; {assumed}: ASSUMED]"),
            Source::Assumed => format!("{id}: {says} [ASSUMED]"),
        }
    }
}
