//! One token that a service gives, and its life.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use roadstead_provider::Redacted;

/// A token with less life is renewed before it is used. Google's metadata server gives the same token again until it has four
/// minutes left (google-cloud-auth 1.19.0), so a longer margin would ask it before each call.
const MARGIN: Duration = Duration::from_mins(3);
/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceToken {
    /// The token.
    pub value: Redacted,
    /// Its end.
    pub ends: Timestamp,
}

impl ServiceToken {
    /// True if it is not about to end.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.checked_add(MARGIN).is_ok_and(|soon| soon < self.ends)
    }
}

/// The newest token.
#[derive(Debug, Default)]
pub struct KeptToken {
    newest: Mutex<Option<ServiceToken>>,
}

impl KeptToken {
    /// The token, if it is not about to end.
    #[must_use]
    pub fn fresh(&self, now: Timestamp) -> Option<Redacted> {
        self.newest().filter(|token| token.is_fresh(now)).map(|token| token.value)
    }

    /// Keeps a token.
    pub fn keep(&self, token: ServiceToken) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// Takes the token out of a text.
    #[must_use]
    pub fn conceal(&self, text: &str) -> String {
        self.newest().map_or_else(|| text.to_owned(), |token| token.value.conceal(text))
    }

    fn newest(&self) -> Option<ServiceToken> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_three_minutes_before_its_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let kept = KeptToken::default();
        assert_eq!(kept.fresh(at(0)), None);
        kept.keep(ServiceToken { value: Redacted::new("token-canary".to_owned()), ends: at(3600) });
        assert!(kept.fresh(at(3419)).is_some() && kept.fresh(at(3420)).is_none());
        assert_eq!(kept.conceal("token-canary is refused"), "[redacted] is refused");
    }
}
