//! Text that others wrote, before it reaches a log, a status or an event: one line, bounded, without credentials.

use std::sync::LazyLock;

use regex::Regex;

/// Texts of others are cut to this many bytes.
pub const MAX_BYTES: usize = 512;

/// Replacement for a credential.
pub const REDACTED: &str = "[redacted]";

/// Recognition of credentials of any kind: API keys, bearer tokens, JWTs, user names and passwords in URLs, parameters
/// that are named like secrets, tokens of Hugging Face, and private keys.
static CREDENTIALS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        r"\brs-[A-Za-z0-9_-]{43}",
        r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
        r"//[^/\s@]+@",
        r#"(?i)\b(?:token|api_?key|password|secret|signature)=[^&\s"']+"#,
        r"\bhf_[A-Za-z0-9]{16,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*",
    ];
    Regex::new(&forms.join("|")).ok()
});

/// One line of at most [`MAX_BYTES`], without control characters and without what looks like a credential.
#[must_use]
pub fn bounded(text: &str) -> String {
    // Cut first, so that a very long text is not searched. Twice the bound, so that no credential is cut in two.
    let start = text.get(..text.floor_char_boundary(2 * MAX_BYTES)).unwrap_or_default();
    let line: String = start.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = match CREDENTIALS.as_ref() {
        Some(credentials) => credentials.replace_all(&line, REDACTED).into_owned(),
        None => REDACTED.to_owned(),
    };
    if clean.len() <= MAX_BYTES {
        return clean;
    }
    let end = clean.floor_char_boundary(MAX_BYTES - '…'.len_utf8());
    format!("{}…", clean.get(..end).unwrap_or_default())
}

/// The same of `text` and then `end`, which is kept whole: `text` makes room for it.
#[must_use]
pub fn bounded_with(text: &str, end: &str) -> String {
    let mut text = bounded(text);
    let room = MAX_BYTES.saturating_sub(end.len() + "…; ".len());
    if text.len() > room {
        text.truncate(text.floor_char_boundary(room));
        text.push('…');
    }
    format!("{text}; {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_bounded() {
        assert_eq!(bounded("a\nb\u{1b}[31m"), "a b [31m");
        assert!(bounded(&"ä".repeat(1000)).len() <= MAX_BYTES);
        assert!(bounded(&"ä".repeat(100_000)).len() <= MAX_BYTES);
    }

    #[test]
    fn what_looks_like_a_credential_is_taken_out() {
        let key = format!("rs-{}", "k".repeat(43));
        for (text, told) in [
            (format!("refused {key} here"), "refused [redacted] here"),
            ("Authorization: Bearer abcdef0123456789".to_owned(), "Authorization: [redacted]"),
            ("got eyJhbGciOiJSUzI1.eyJpc3MiOiJrd.c2lnbmF0dXJl".to_owned(), "got [redacted]"),
            ("GET https://user:pass@host/x".to_owned(), "GET https:[redacted]host/x"),
            ("GET /x?token=abc&a=b".to_owned(), "GET /x?[redacted]&a=b"),
            ("hf_abcdefghijklmnopqrst is not valid".to_owned(), "[redacted] is not valid"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END".to_owned(), "[redacted]"),
        ] {
            assert_eq!(bounded(&text), told);
        }
    }

    #[test]
    fn what_people_need_to_read_stays() {
        for text in [
            "0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
            "http://10.0.0.1:8000/v1/models answered 502 with the key",
            "Secret roadstead/llama-key holds no API key; use tokens",
        ] {
            assert_eq!(bounded(text), text);
        }
    }
}
