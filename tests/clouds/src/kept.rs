//! Things that services keep: when each is visible, and pages of a list.

use crate::faults::{Fate, Hidden};

/// Visibility of an entry: begin and end in milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility {
    listed_from: i64,
    read_from: i64,
    lingers_millis: i64,
    listed_until: Option<i64>,
}

impl Visibility {
    /// An entry that is made at `now`.
    pub fn new(fate: &Fate, now: i64) -> Self {
        let (listed_from, read_from) = match fate.hidden {
            Some((seconds, hidden)) => {
                let from = now + i64::from(seconds) * 1000;
                (from, if hidden == Hidden::Everywhere { from } else { now })
            }
            None => (now, now),
        };
        Self { listed_from, read_from, ..Self::default() }
    }

    /// Notes that the entry, once gone, stays listed for a while.
    pub fn linger(&mut self, fate: &Fate) {
        self.lingers_millis = fate.lingers.map_or(0, |seconds| i64::from(seconds) * 1000);
    }

    /// Removes the entry at `now`.
    pub fn gone(&mut self, now: i64) {
        self.listed_until = Some(now + self.lingers_millis);
    }

    /// True if the entry does not exist any more.
    pub fn is_gone(&self) -> bool {
        self.listed_until.is_some()
    }

    /// True if reads find it.
    pub fn is_read(&self, now: i64) -> bool {
        !self.is_gone() && self.read_from <= now
    }

    /// True if listings show it.
    pub fn is_listed(&self, now: i64) -> bool {
        self.listed_from <= now && self.listed_until.is_none_or(|until| now < until)
    }

    /// True if nothing shows it any more.
    pub fn is_over(&self, now: i64) -> bool {
        self.listed_until.is_some_and(|until| until <= now)
    }
}

/// One page of `all`: the items after the token, and the next token.
pub fn page<T>(all: Vec<T>, token: Option<&str>, size: usize) -> (Vec<T>, Option<String>) {
    let from = token.and_then(|token| token.strip_prefix("after-")).and_then(|from| from.parse().ok()).unwrap_or(0);
    let more = all.len() > from + size;
    let items = all.into_iter().skip(from).take(size).collect();
    (items, more.then(|| format!("after-{}", from + size)))
}
