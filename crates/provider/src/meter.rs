//! Counter of the calls to services.

/// Result of a call without an answer.
pub const UNANSWERED: &str = "unanswered";

/// Every result of a call: statuses on which something different is done each, families of the others, and no answer.
pub const CODES: [&str; 11] = ["2xx", "3xx", "400", "401", "403", "404", "409", "429", "4xx", "5xx", UNANSWERED];

/// Counts calls to services.
pub trait ServiceMeter: Send + Sync {
    /// A call of `operation` to `service` ended with `code`, which is one of [`CODES`].
    fn requested(&self, service: &'static str, operation: &'static str, code: &'static str);
}

/// Counts nothing.
impl ServiceMeter for () {
    fn requested(&self, _: &'static str, _: &'static str, _: &'static str) {}
}

/// The code of an HTTP status: one of [`CODES`], whatever a service answers.
#[must_use]
pub fn code(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        429 => "429",
        402..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_code_and_every_code_a_status() {
        let mut met: Vec<&str> = (100..=999).map(code).collect();
        met.sort_unstable();
        met.dedup();
        let mut all = CODES.to_vec();
        all.retain(|code| *code != UNANSWERED);
        all.sort_unstable();
        assert_eq!(met, all);
    }
}
