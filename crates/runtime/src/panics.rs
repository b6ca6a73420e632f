//! Panics end neither a worker nor a watch: they are caught and logged, and the next item is processed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::text::bounded;

/// Payload of a panic.
pub type Panic = Box<dyn Any + Send>;

/// The words of a panic, in one bounded line.
#[must_use]
pub fn text(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    bounded(words.unwrap_or("no message"))
}

/// Does `work`; where it panics, logs that `what` did, and gives nothing.
pub fn caught<T>(what: &str, work: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(work));
    result
        .map_err(|panic| {
            tracing::error!(what, panic = text(panic.as_ref()), "panicked; continuing with the next item");
        })
        .ok()
}
