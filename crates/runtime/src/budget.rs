//! A limit on the bytes of foreign listings: a member may list any number of objects of any size.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use super::cache::Key;

/// Result of a check of an object against the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Kept,
    /// It may not, and it is the first of this excess.
    FirstRefused,
    /// It may not.
    Refused,
}

/// True while more is listed than is kept; shared with whoever must know.
#[derive(Clone, Default)]
pub struct Overrun(Arc<watch::Sender<bool>>);

impl Overrun {
    /// True while more is listed than is kept.
    #[must_use]
    pub fn is(&self) -> bool {
        *self.0.borrow()
    }

    /// The present value and every change of it.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Sets the present value.
    pub fn set(&self, exceeded: bool) {
        self.0.send_if_modified(|known| std::mem::replace(known, exceeded) != exceeded);
    }
}

/// A bound on the size of all objects of one kind that are kept.
pub struct Budget {
    /// `None` where nothing is counted.
    limit: Option<usize>,
    kept: BTreeMap<Key, usize>,
    total: usize,
    refused: bool,
    exceeded: Overrun,
}

impl Budget {
    /// Keeps at most `limit` bytes, counted as JSON. `exceeded` says whether more than that is listed.
    #[must_use]
    pub fn new(limit: usize, exceeded: Overrun) -> Self {
        Self { limit: Some(limit), exceeded, ..Self::endless() }
    }

    /// Keeps everything.
    #[must_use]
    pub fn endless() -> Self {
        Self { limit: None, kept: BTreeMap::new(), total: 0, refused: false, exceeded: Overrun::default() }
    }

    /// True if `object` may be kept under `key`, beside all that is kept already.
    pub fn admit(&mut self, key: &Key, object: &impl Serialize) -> Admission {
        let Some(limit) = self.limit else { return Admission::Kept };
        let former = self.kept.get(key).copied().unwrap_or(0);
        let size = size_of(object);
        let total = (self.total - former).saturating_add(size);
        if total > limit {
            let first = !std::mem::replace(&mut self.refused, true);
            self.exceeded.set(true);
            return if first { Admission::FirstRefused } else { Admission::Refused };
        }
        self.kept.insert(key.clone(), size);
        self.total = total;
        Admission::Kept
    }

    /// The object under `key` is not kept any more.
    pub fn forget(&mut self, key: &Key) {
        self.total -= self.kept.remove(key).unwrap_or(0);
    }

    /// A full listing begins.
    pub fn begin_listing(&mut self) {
        self.refused = false;
    }

    /// A full listing is complete: it was too much, or not.
    pub fn end_listing(&mut self) {
        self.exceeded.set(self.refused);
    }
}

/// The length of `object` as JSON; what cannot be written counts as endless.
fn size_of(object: &impl Serialize) -> usize {
    let mut count = Count(0);
    serde_json::to_writer(&mut count, object).map_or(usize::MAX, |()| count.0)
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_within_the_limit_and_what_goes_makes_room() {
        let exceeded = Overrun::default();
        let mut budget = Budget::new(10, exceeded.clone());
        let (a, b) = (Key::cluster("a"), Key::cluster("b"));
        assert_eq!(budget.admit(&a, &"123456"), Admission::Kept, "eight bytes with their quotes");
        assert_eq!(budget.admit(&b, &"1"), Admission::FirstRefused, "three more");
        assert_eq!(budget.admit(&b, &"1"), Admission::Refused);
        assert!(exceeded.is());
        assert_eq!(budget.admit(&a, &"1"), Admission::Kept, "a smaller one in its place");
        assert_eq!(budget.admit(&b, &"1"), Admission::Kept);
        budget.forget(&a);
        assert_eq!(budget.admit(&b, &"12345678"), Admission::Kept);
    }

    #[test]
    fn a_listing_that_fits_ends_the_excess() {
        let exceeded = Overrun::default();
        let mut budget = Budget::new(4, exceeded.clone());
        budget.begin_listing();
        assert_eq!(budget.admit(&Key::cluster("a"), &"123"), Admission::FirstRefused);
        budget.end_listing();
        assert!(exceeded.is());
        budget.begin_listing();
        assert_eq!(budget.admit(&Key::cluster("a"), &"12"), Admission::Kept);
        budget.end_listing();
        assert!(!exceeded.is());
    }
}
