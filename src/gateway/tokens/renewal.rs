//! Times at which tokens are minted, and the tokens to use. Pure: the time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use roadstead_gateway::{Key, TokenSource};

/// Part of its life, in percent, after which the earliest gateway renews a token, and within which the others follow. At half of
/// its life at the latest, so that the old token is valid long after the new one is in use.
const RENEWAL_PERCENT: (i32, i32) = (40, 10);
/// A token is not used in this last part of its life, in percent.
const MARGIN_PERCENT: i32 = 10;
/// Longest such time: requests must arrive and clocks differ.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);
/// Pause after the first failure; it doubles with each further one.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// Longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// Number of positions.
const PARTS: u32 = 1000;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedToken {
    /// The token itself.
    pub key: Key,
    /// Begin of its life.
    pub from: Timestamp,
    /// End of its life.
    pub until: Timestamp,
}

impl MintedToken {
    fn life(&self) -> SignedDuration {
        self.until.duration_since(self.from)
    }

    /// End of its use.
    fn end(&self) -> Timestamp {
        let margin = percent(self.life(), MARGIN_PERCENT).min(MARGIN);
        self.until.checked_sub(margin).unwrap_or(self.from)
    }
}

fn percent(of: SignedDuration, percent: i32) -> SignedDuration {
    of.checked_mul(percent).map_or(SignedDuration::ZERO, |all| all / 100)
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Position of this gateway among all, so that they do not renew at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalOffset(u32);

impl RenewalOffset {
    /// The position that follows from any number.
    #[must_use]
    pub const fn of(number: u32) -> Self {
        Self(number % PARTS)
    }

    fn part(self, of: SignedDuration) -> SignedDuration {
        of.checked_mul(i32::try_from(self.0).unwrap_or_default()).map_or(SignedDuration::ZERO, |all| all / 1000)
    }
}

/// Reason to mint a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintCause {
    /// There is none, or it has lived long enough.
    Age,
    /// An endpoint refused the present one: the session behind it may have been revoked.
    Refusal,
}

/// Answers of endpoints to the present token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusals {
    /// None refused it.
    None,
    /// One refused it: it is renewed.
    Seen,
    /// The token before it was refused, so another refusal renews nothing: either it is late, or a token is not what is missing.
    Heeded,
}

/// The tokens of one source.
#[derive(Debug)]
struct Renewal {
    token: Option<MintedToken>,
    /// Time of the next attempt; `None` during one.
    due: Option<Timestamp>,
    /// Attempts in a row that failed.
    failures: u32,
    /// Cause of the last failure, until an attempt succeeds.
    trouble: Option<String>,
    refusals: Refusals,
}

/// The tokens of all sources that routes name.
#[derive(Debug)]
pub struct Renewals {
    offset: RenewalOffset,
    sources: BTreeMap<TokenSource, Renewal>,
}

impl Renewals {
    /// No source yet.
    #[must_use]
    pub const fn new(offset: RenewalOffset) -> Self {
        Self { offset, sources: BTreeMap::new() }
    }

    /// Keeps these sources: a new one is due at once, and one that no route names any more is forgotten.
    pub fn want(&mut self, sources: &BTreeSet<TokenSource>, now: Timestamp) {
        self.sources.retain(|source, _| sources.contains(source));
        for source in sources {
            self.sources.entry(source.clone()).or_insert_with(|| Renewal {
                token: None,
                due: Some(now),
                failures: 0,
                trouble: None,
                refusals: Refusals::None,
            });
        }
    }

    /// The attempts that begin now.
    pub fn begin(&mut self, now: Timestamp) -> Vec<(TokenSource, MintCause)> {
        let due = self.sources.iter_mut().filter(|(_, renewal)| renewal.due.is_some_and(|due| due <= now));
        due.map(|(source, renewal)| {
            renewal.due = None;
            let cause = if renewal.refusals == Refusals::Seen { MintCause::Refusal } else { MintCause::Age };
            (source.clone(), cause)
        })
        .collect()
    }

    /// An attempt succeeded.
    pub fn minted(&mut self, source: &TokenSource, token: MintedToken, now: Timestamp) {
        if token.end() <= now {
            return self.failed(source, "the token has ended before it could be used".to_owned(), now);
        }
        let offset = self.offset;
        let Some(renewal) = self.sources.get_mut(source) else { return };
        let (first, among) = RENEWAL_PERCENT;
        let after = percent(token.life(), first) + offset.part(percent(token.life(), among));
        renewal.due = Some(later(token.from, after).max(later(now, SignedDuration::from_secs(1))));
        renewal.token = Some(token);
        renewal.failures = 0;
        renewal.trouble = None;
        renewal.refusals = if renewal.refusals == Refusals::Seen { Refusals::Heeded } else { Refusals::None };
    }

    /// An attempt failed: the former token stays, and the next attempt follows after a pause.
    pub fn failed(&mut self, source: &TokenSource, trouble: String, now: Timestamp) {
        let offset = self.offset;
        let Some(renewal) = self.sources.get_mut(source) else { return };
        let pause = PAUSE.checked_mul(1 << renewal.failures.min(8)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        renewal.failures += 1;
        renewal.due = Some(later(now, pause + offset.part(pause)));
        renewal.trouble = Some(trouble);
    }

    /// An endpoint refused a token of this source. The present one is renewed at once, unless its predecessor was refused as well.
    pub fn refused(&mut self, source: &TokenSource, now: Timestamp) {
        let Some(renewal) = self.sources.get_mut(source) else { return };
        if renewal.token.is_some() && renewal.due.is_some() && renewal.refusals == Refusals::None {
            renewal.refusals = Refusals::Seen;
            renewal.due = Some(now);
        }
    }

    /// The token to use now.
    #[must_use]
    pub fn token(&self, source: &TokenSource, now: Timestamp) -> Option<&Key> {
        let token = self.sources.get(source)?.token.as_ref()?;
        (now < token.end()).then_some(&token.key)
    }

    /// Why the last attempt failed.
    #[must_use]
    pub fn trouble(&self, source: &TokenSource) -> Option<&str> {
        self.sources.get(source)?.trouble.as_deref()
    }

    /// True once an attempt of each source has ended.
    #[must_use]
    pub fn are_tried(&self) -> bool {
        self.sources.values().all(|renewal| renewal.token.is_some() || renewal.failures > 0)
    }

    /// The next moment at which an attempt begins or a token ends, after `now`.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.sources.values().filter_map(|renewal| renewal.token.as_ref()).map(MintedToken::end);
        let due = self.sources.values().filter_map(|renewal| renewal.due);
        ends.filter(|end| *end > now).chain(due).min()
    }
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;
