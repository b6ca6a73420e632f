//! Patterns for regions: a name, or a beginning with a `*` at its end.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `eu-west-1`, `eu-*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

/// The text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a pattern: it must not be empty, and a * is allowed only at its end")]
pub struct PatternError(String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// An empty text, or a `*` anywhere but at the end.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let body = text.strip_suffix('*').unwrap_or(text);
        if text.is_empty() || body.contains('*') {
            return Err(PatternError(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// True if `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => self.0 == name,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_only_at_the_end() {
        for text in ["", "*-1", "eu-*-1", "**"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        for (pattern, name, expected) in [
            ("eu-*", "eu-west-1", true),
            ("eu-*", "europe", false),
            ("*", "anything", true),
            ("eu-west-1", "eu-west-1", true),
            ("eu-west-1", "eu-west-10", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }
}
