//! Money as integers: micro-dollars.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Micro-dollars in one dollar.
const UNIT: u64 = 1_000_000;

/// Decimals that a price may have.
const DECIMALS: usize = 6;

/// An amount of US dollars, in micro-dollars. Never a float.
///
/// It is read from and written as a decimal string, also by serde.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MicroDollars(pub u64);

/// Why a string is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The text is not digits with at most one point between them.
    #[error(
        "{0:?} is not an amount of dollars: write it as a plain decimal like \"12.50\", without sign, exponent, currency or separators"
    )]
    Malformed(String),
    /// More decimals than a micro-dollar has.
    #[error("{0:?} has more than 6 decimals: round it to a micro-dollar")]
    TooPrecise(String),
    /// More than any machine costs.
    #[error("{0:?} is above the limit of 1000000 dollars")]
    TooLarge(String),
}

impl MicroDollars {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The largest amount that [`MicroDollars::parse`] takes: 1,000,000 USD.
    pub const MAX_PARSED: Self = Self(UNIT * UNIT);

    /// Reads a decimal amount of dollars, exactly.
    ///
    /// # Errors
    ///
    /// Anything but digits with an optional point between them, more than six decimals, or more than
    /// [`MicroDollars::MAX_PARSED`].
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let malformed = || MoneyError::Malformed(shorten(text));
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(malformed()),
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(malformed());
        }
        if fraction.len() > DECIMALS {
            return Err(MoneyError::TooPrecise(shorten(text)));
        }
        let too_large = || MoneyError::TooLarge(shorten(text));
        let dollars: u64 = whole.parse().map_err(|_| too_large())?;
        let micros: u64 = format!("{fraction:0<DECIMALS$}").parse().map_err(|_| malformed())?;
        dollars
            .checked_mul(UNIT)
            .and_then(|amount| amount.checked_add(micros))
            .map(Self)
            .filter(|amount| *amount <= Self::MAX_PARSED)
            .ok_or_else(too_large)
    }

    /// `self * times / parts`, rounded up to a micro-dollar; saturates, and `parts` of zero counts as one.
    #[must_use]
    pub fn share(self, times: u64, parts: u64) -> Self {
        let exact = (u128::from(self.0) * u128::from(times)).div_ceil(u128::from(parts.max(1)));
        Self(u64::try_from(exact).unwrap_or(u64::MAX))
    }

    /// The sum, or the largest amount if it does not fit.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero if `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Quotation of a value in an error: enough to recognise it, never a page of it.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 40;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    text.chars().take(LIMIT).chain("...".chars()).collect()
}

/// Dollars with at least two and at most six decimals, without currency: `12.50`, `0.000001`.
impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, micros) = (self.0 / UNIT, self.0 % UNIT);
        let decimals = format!("{micros:06}");
        let (cents, rest) = decimals.split_at(2);
        write!(f, "{dollars}.{cents}{}", rest.trim_end_matches('0'))
    }
}

impl From<MicroDollars> for String {
    fn from(amount: MicroDollars) -> Self {
        amount.to_string()
    }
}

impl TryFrom<String> for MicroDollars {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly() {
        for (text, micros) in [
            ("0", 0),
            ("24", 24_000_000),
            ("88.49", 88_490_000),
            ("0.000001", 1),
            ("007.5", 7_500_000),
            ("1000000", 1_000_000_000_000),
        ] {
            assert_eq!(MicroDollars::parse(text), Ok(MicroDollars(micros)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_plain_amount() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "$1", " 1", "1 ", "1.2.3", "NaN", "٣"] {
            assert!(matches!(MicroDollars::parse(text), Err(MoneyError::Malformed(_))), "{text}");
        }
        assert!(matches!(MicroDollars::parse("0.0000001"), Err(MoneyError::TooPrecise(_))));
        for text in ["1000000.000001", "99999999999999999999999999"] {
            assert!(matches!(MicroDollars::parse(text), Err(MoneyError::TooLarge(_))), "{text}");
        }
    }

    #[test]
    fn errors_quote_little() {
        let error = MicroDollars::parse(&"x".repeat(10_000)).unwrap_err();
        assert!(error.to_string().len() < 250);
    }

    #[test]
    fn writes_at_least_two_decimals() {
        for (micros, text) in
            [(0, "0.00"), (1, "0.000001"), (10_000, "0.01"), (12_500_000, "12.50"), (1_234_500, "1.2345")]
        {
            assert_eq!(MicroDollars(micros).to_string(), text);
        }
    }

    #[test]
    fn shares_round_up() {
        assert_eq!(MicroDollars(10).share(1, 3), MicroDollars(4));
        assert_eq!(MicroDollars(10).share(3, 3), MicroDollars(10));
        assert_eq!(MicroDollars(10).share(1, 0), MicroDollars(10));
        assert_eq!(MicroDollars(u64::MAX).share(2, 1), MicroDollars(u64::MAX));
    }
}
