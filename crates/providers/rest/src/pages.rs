//! Listings in pages: bounded, and never endless.

use roadstead_provider::{ErrorClass, ProviderError};

use crate::failure::RestFailure;

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

/// Reads all pages, each by `fetch` with the mark of the one before.
///
/// # Errors
/// The failure of a page; `Transient` where a service names the same next page twice in a row.
pub async fn all_pages<T>(
    limits: PageLimits,
    mut fetch: impl AsyncFnMut(Option<String>) -> Result<Page<T>, RestFailure>,
) -> Result<FullListing<T>, RestFailure> {
    let (mut items, mut mark) = (Vec::new(), None);
    for _ in 0..limits.pages {
        let page = fetch(mark.clone()).await?;
        items.extend(page.items);
        if items.len() > limits.items {
            items.truncate(limits.items);
            return Ok(FullListing { items, cut: true });
        }
        match page.next {
            None => return Ok(FullListing { items, cut: false }),
            next if next == mark => {
                let message = "the service names the same next page of a listing twice";
                return Err(ProviderError::new(ErrorClass::Transient, message).into());
            }
            next => mark = next,
        }
    }
    Ok(FullListing { items, cut: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PageLimits = PageLimits { pages: 3, items: 5 };

    async fn listed(pages: &[(usize, Option<&str>)]) -> Result<FullListing<usize>, RestFailure> {
        let mut pages = pages.iter();
        all_pages(LIMITS, async |_| {
            let (count, next) = pages.next().expect("no page is asked for after the last one");
            Ok(Page { items: (0..*count).collect(), next: next.map(ToOwned::to_owned) })
        })
        .await
    }

    #[tokio::test]
    async fn all_pages_make_one_list() {
        let found = listed(&[(2, Some("a")), (0, Some("b")), (1, None)]).await.unwrap();
        assert_eq!(found, FullListing { items: vec![0, 1, 0], cut: false });
    }

    #[tokio::test]
    async fn a_listing_beyond_its_bounds_says_that_it_is_cut() {
        let many = listed(&[(4, Some("a")), (2, Some("b"))]).await.unwrap();
        assert_eq!((many.items.len(), many.cut), (5, true));
        let long = listed(&[(1, Some("a")), (1, Some("b")), (1, Some("c"))]).await.unwrap();
        assert_eq!((long.items.len(), long.cut), (3, true));
    }

    #[tokio::test]
    async fn a_listing_that_goes_in_a_circle_is_given_up() {
        let failure = listed(&[(1, Some("a")), (1, Some("a"))]).await.unwrap_err();
        assert_eq!(failure.error.class, ErrorClass::Transient);
    }
}
