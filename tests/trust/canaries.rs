//! No secret stands in a status, an event, a metric or a log line, whatever happened and whoever repeated it.

use data_encoding::BASE64;

use crate::run::RECORD;

#[test]
fn no_secret_is_told_anywhere() {
    for told in &RECORD.told {
        for secret in &RECORD.secrets {
            let tells = told.text.contains(secret.as_str()) || told.text.contains(&BASE64.encode(secret.as_bytes()));
            let around = told.text.find(secret.as_str()).map(|at| {
                let start = told.text.floor_char_boundary(at.saturating_sub(300));
                &told.text[start..at]
            });
            assert!(!tells, "{secret} stands in {}, after {around:?}", told.place);
        }
    }
}

#[test]
fn what_was_taken_out_is_said_to_be() {
    let told = RECORD.told.iter().find(|told| told.place == "iep" && told.text.contains("denied: "));
    let text = &told.expect("the member's words are told").text;
    assert!(text.contains("denied: [redacted], [redacted], [redacted], [redacted]"), "{text}");
}

#[test]
fn the_logs_were_as_chatty_as_they_can_be_asked_to_be() {
    let logs: Vec<_> = RECORD.told.iter().filter(|told| told.place.ends_with("log")).collect();
    assert_eq!(logs.len(), 2);
    for log in logs {
        assert!(log.text.contains("DEBUG") && log.text.contains("leading"), "{}", log.text);
    }
}
