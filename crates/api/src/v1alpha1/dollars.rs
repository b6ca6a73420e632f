//! Money in the API.

use std::borrow::Cow;
use std::fmt;

use roadstead_model::{MicroDollars, MoneyError};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of US dollars as a decimal string, such as "24.00". It is parsed when it is read.
///
/// Text that is not an amount is kept with its error, because one bad string must not stop a watch; validation then names the
/// field. It is no amount, and never zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dollars {
    text: Box<str>,
    amount: Result<MicroDollars, Box<MoneyError>>,
}

impl Dollars {
    /// Parses text.
    #[must_use]
    pub fn read(text: String) -> Self {
        Self { amount: MicroDollars::parse(&text).map_err(Box::new), text: text.into() }
    }

    /// The amount.
    ///
    /// # Errors
    /// If the text is not an amount.
    pub fn amount(&self) -> Result<MicroDollars, &MoneyError> {
        self.amount.as_ref().copied().map_err(AsRef::as_ref)
    }

    /// The amount; `None` if the text is not one.
    #[must_use]
    pub fn known(&self) -> Option<MicroDollars> {
        self.amount().ok()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<MicroDollars> for Dollars {
    fn from(amount: MicroDollars) -> Self {
        Self { text: amount.to_string().into(), amount: Ok(amount) }
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::read)
    }
}

/// The schema of a string: fields add their bounds, and rules the pattern.
impl JsonSchema for Dollars {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Dollars {
        serde_json::from_value(json!(text)).unwrap()
    }

    #[test]
    fn an_amount_is_written_as_it_was_read() {
        for (text, micros) in [("40", 40_000_000), ("40.00", 40_000_000), ("007.5", 7_500_000), ("0.000001", 1)] {
            let dollars = read(text);
            assert_eq!(dollars.amount(), Ok(MicroDollars(micros)), "{text}");
            assert_eq!(serde_json::to_value(&dollars).unwrap(), json!(text));
        }
        assert_eq!(Dollars::from(MicroDollars(40_000_000)), read("40.00"));
    }

    #[test]
    fn text_that_is_not_an_amount_is_kept_with_its_error() {
        for text in ["", "free", "-1", "1e3", "0.0000001", "1000001"] {
            let dollars = read(text);
            assert_eq!(dollars.known(), None, "{text}");
            assert_eq!(dollars.amount().err().cloned(), MicroDollars::parse(text).err(), "{text}");
            assert_eq!(serde_json::to_value(&dollars).unwrap(), json!(text));
        }
    }

    #[test]
    fn only_strings_are_read() {
        for value in [json!(40), json!(40.5), json!(null), json!({})] {
            assert!(serde_json::from_value::<Dollars>(value.clone()).is_err(), "{value}");
        }
    }
}
