//! One clock for all fakes, which tests set.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Time of the services: it begins at the machine's time, goes on at its own pace, and can be set forward.
#[derive(Debug)]
pub struct VirtualClock {
    origin: Timestamp,
    started: Instant,
    pace: u32,
    ahead_millis: AtomicI64,
}

impl VirtualClock {
    /// A clock that goes on by `pace` seconds in each second of the machine; 0 stands until it is set forward.
    #[must_use]
    pub fn new(pace: u32) -> Self {
        Self { origin: Timestamp::now(), started: Instant::now(), pace, ahead_millis: AtomicI64::new(0) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(&self) -> i64 {
        let passed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let ahead = self.ahead_millis.load(SeqCst);
        self.origin.as_millisecond().saturating_add(passed.saturating_mul(i64::from(self.pace))).saturating_add(ahead)
    }

    /// Sets the clock forward.
    pub fn advance(&self, by: Duration) {
        self.ahead_millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), SeqCst);
    }

    /// Milliseconds since 1970 on the machine: signatures are made with this time.
    #[must_use]
    pub fn machine_millis() -> i64 {
        Timestamp::now().as_millisecond()
    }
}

/// The time as in RFC 3339, with milliseconds.
#[must_use]
pub fn rfc3339(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// The same in whole seconds.
#[must_use]
pub fn rfc3339_seconds(millis: i64) -> String {
    Timestamp::from_second(millis / 1000).map(|time| time.to_string()).unwrap_or_default()
}
