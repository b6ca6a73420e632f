//! Waits for what must come true.

use std::time::{Duration, Instant};

/// Waits until `check` gives something; `what` is awaited, for the error.
///
/// # Errors
/// If `limit` is over; the error holds the last thing that `check` complained of.
pub fn wait<T>(what: &str, limit: Duration, check: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    wait_every(Duration::from_millis(100), what, limit, check)
}

/// Like [`wait`], with this pause between two checks: for a check that costs much, such as a list of hundreds of objects.
///
/// # Errors
/// As [`wait`].
pub fn wait_every<T>(
    pause: Duration,
    what: &str,
    limit: Duration,
    check: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > limit => {
                return Err(error.context(format!("not after {} s: {what}", limit.as_secs())));
            }
            Err(_) => std::thread::sleep(pause),
        }
    }
}
