//! Listings in pages: bounded, and never endless.

use roadstead_provider::{ErrorClass, ProviderError};

/// Bounds of one listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Number of pages.
    pub pages: usize,
    /// Number of items.
    pub items: usize,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Mark of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// A listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullListing<T> {
    /// The items, as many as the bounds allow.
    pub items: Vec<T>,
    /// True if there are more.
    pub cut: bool,
}

/// A listing that is being read: while it is open, the page after its mark is read and added.
#[derive(Debug)]
pub struct Pages<T> {
    limits: PageLimits,
    items: Vec<T>,
    mark: Option<String>,
    read: usize,
    open: bool,
}

impl<T> Pages<T> {
    /// Nothing has been read.
    #[must_use]
    pub const fn new(limits: PageLimits) -> Self {
        Self { limits, items: Vec::new(), mark: None, read: 0, open: true }
    }

    /// True if another page is to be read.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open && self.read < self.limits.pages && self.items.len() <= self.limits.items
    }

    /// Mark of the page to be read; `None` for the first one.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// Adds the page that was read.
    ///
    /// # Errors
    /// `Transient` where the service names the same next page twice in a row.
    pub fn add(&mut self, page: Page<T>) -> Result<(), ProviderError> {
        self.read += 1;
        self.items.extend(page.items);
        if page.next.is_some() && page.next == self.mark {
            let message = "the service names the same next page of a listing twice";
            return Err(ProviderError::new(ErrorClass::Transient, message));
        }
        self.open = page.next.is_some();
        self.mark = page.next;
        Ok(())
    }

    /// Everything that was read.
    #[must_use]
    pub fn finish(mut self) -> FullListing<T> {
        let cut = self.open || self.items.len() > self.limits.items;
        self.items.truncate(self.limits.items);
        FullListing { items: self.items, cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PageLimits = PageLimits { pages: 3, items: 5 };

    fn listed(pages: &[(usize, Option<&str>)]) -> Result<FullListing<usize>, ProviderError> {
        let (mut read, mut all) = (Pages::new(LIMITS), pages.iter());
        let mut before = None;
        while read.is_open() {
            assert_eq!(read.mark(), before, "the mark is that of the page before");
            let (count, next) = all.next().expect("no page is read after the last one");
            read.add(Page { items: (0..*count).collect(), next: next.map(ToOwned::to_owned) })?;
            before = *next;
        }
        Ok(read.finish())
    }

    #[test]
    fn all_pages_make_one_list() {
        let found = listed(&[(2, Some("a")), (0, Some("b")), (1, None)]).unwrap();
        assert_eq!(found, FullListing { items: vec![0, 1, 0], cut: false });
    }

    #[test]
    fn a_listing_beyond_its_bounds_says_that_it_is_cut() {
        let many = listed(&[(4, Some("a")), (2, Some("b"))]).unwrap();
        assert_eq!((many.items.len(), many.cut), (5, true));
        let long = listed(&[(1, Some("a")), (1, Some("b")), (1, Some("c"))]).unwrap();
        assert_eq!((long.items.len(), long.cut), (3, true));
    }

    #[test]
    fn a_listing_that_goes_in_a_circle_is_given_up() {
        assert_eq!(listed(&[(1, Some("a")), (1, Some("a"))]).unwrap_err().class, ErrorClass::Transient);
    }
}
