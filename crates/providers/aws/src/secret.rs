//! A long-lived key from a Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use roadstead_provider::Redacted;

/// Entry with the id of the key.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// Entry with the secret of the key.
const KEY_SECRET: &str = "AWS_SECRET_ACCESS_KEY";
/// Entry with a session's token, where the key is a session's.
const SESSION: &str = "AWS_SESSION_TOKEN";

/// A key of a user or of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongLivedKey {
    /// Id; not secret.
    pub id: String,
    /// Secret.
    pub secret: Redacted,
    /// Token of the session; `None` for a user's key.
    pub session: Option<Redacted>,
}

/// Fault of a Secret, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretFault {
    /// It lacks this entry.
    Missing(&'static str),
    /// This entry is not printable text.
    Malformed(&'static str),
}

impl LongLivedKey {
    /// The key in the data of a Secret, whose entries are called as AWS's environment variables.
    ///
    /// # Errors
    /// [`SecretFault`] where an entry is missing or no text.
    pub fn read(data: &BTreeMap<String, ByteString>) -> Result<Self, SecretFault> {
        let entry = |name: &'static str| {
            let Some(value) = data.get(name) else { return Ok(None) };
            let text = std::str::from_utf8(&value.0).map(str::trim).unwrap_or_default();
            let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            if printable { Ok(Some(text.to_owned())) } else { Err(SecretFault::Malformed(name)) }
        };
        let needed = |name: &'static str| entry(name)?.ok_or(SecretFault::Missing(name));
        Ok(Self {
            id: needed(KEY_ID)?,
            secret: Redacted::new(needed(KEY_SECRET)?),
            session: entry(SESSION)?.map(Redacted::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<LongLivedKey, SecretFault> {
        let bytes = |(name, value): &(&str, &str)| ((*name).to_owned(), ByteString(value.as_bytes().to_vec()));
        LongLivedKey::read(&entries.iter().map(bytes).collect())
    }

    #[test]
    fn a_key_is_read_from_entries_named_as_the_variables_of_aws() {
        let key = read(&[(KEY_ID, "AKIA1\n"), (KEY_SECRET, "canary")]).unwrap();
        assert_eq!((key.id.as_str(), key.secret.expose(), key.session.is_none()), ("AKIA1", "canary", true));
        assert!(!format!("{key:?}").contains("canary"));
    }

    #[test]
    fn a_fault_names_the_entry_alone() {
        assert_eq!(read(&[(KEY_ID, "AKIA1")]), Err(SecretFault::Missing(KEY_SECRET)));
        assert_eq!(read(&[(KEY_ID, "AKIA1"), (KEY_SECRET, "two words")]), Err(SecretFault::Malformed(KEY_SECRET)));
        assert_eq!(read(&[(KEY_ID, ""), (KEY_SECRET, "canary")]), Err(SecretFault::Malformed(KEY_ID)));
    }
}
