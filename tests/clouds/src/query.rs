//! Queries of addresses and bodies of forms.

use std::collections::BTreeMap;

/// The pairs of a query, decoded.
#[must_use]
pub fn pairs(query: &str) -> BTreeMap<String, String> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(key, value)| (spaced(key), spaced(value)))
        .collect()
}

/// The fields of a form.
#[must_use]
pub fn form(body: &[u8]) -> BTreeMap<String, String> {
    pairs(&String::from_utf8_lossy(body))
}

/// A part of a form, in which a space may be a plus.
fn spaced(text: &str) -> String {
    decoded(&text.replace('+', " "))
}

/// The text with its escapes resolved.
#[must_use]
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let value = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_without_its_encoding() {
        let read = pairs("filter=labels.a%3D%22b%22+AND+labels.c%3dd&pageSize=5&empty");
        let expected = [("empty", ""), ("filter", "labels.a=\"b\" AND labels.c=d"), ("pageSize", "5")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(decoded("100%"), "100%");
    }
}
