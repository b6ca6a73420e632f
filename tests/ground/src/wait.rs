//! Waits for what must come true.

use std::time::{Duration, Instant};

/// Waits until `check` gives something; `what` is awaited, for the error.
///
/// # Errors
/// If `limit` is over; the error holds the last thing that `check` complained of.
pub fn wait<T>(what: &str, limit: Duration, check: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        match check() {
            Ok(value) => return Ok(value),
            Err(error) if start.elapsed() > limit => {
                return Err(error.context(format!("not after {} s: {what}", limit.as_secs())));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
