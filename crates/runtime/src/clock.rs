//! The only source of time: code that needs the time holds a clock or takes a moment as an argument. clippy refuses every
//! other reading (`clippy.toml`). Waiting (`tokio::time::sleep`, `timeout`) is allowed.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time of day, and a time that only goes forward.
///
/// The second one is tokio's, so that a paused runtime stops it and a test moves it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The time of day to which the clock was set, and the moment at which it was set.
    set: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub const fn system() -> Self {
        Self { set: None }
    }

    /// A clock that is set to `wall` now, whatever the machine says.
    #[must_use]
    pub fn set_to(wall: Timestamp) -> Self {
        Self { set: Some((wall, Self::system().now())) }
    }

    /// The time of day, for what is compared with other machines' times or written down. It may jump.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn wall(&self) -> Timestamp {
        match self.set {
            None => Timestamp::now(),
            Some((wall, at)) => {
                let passed = SignedDuration::try_from(self.now().saturating_duration_since(at));
                passed.ok().and_then(|passed| wall.checked_add(passed).ok()).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// A moment of the time that only goes forward, for how long something takes or lasts.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_goes_on_with_the_time_that_tests_move() {
        let clock = Clock::set_to(Timestamp::UNIX_EPOCH);
        let began = clock.now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!((clock.wall().as_second(), clock.now() - began), (90, Duration::from_secs(90)));
    }
}
