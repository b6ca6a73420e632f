//! Events and the lines of the log that tell of the same: each transition once, as a warning only where somebody should
//! act.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::logs::lines;
use crate::run::RECORD;

/// All events, by their names.
fn events() -> BTreeMap<String, Value> {
    let heard = RECORD.told.iter().filter(|told| told.place.starts_with("events"));
    let lists = heard.map(|told| serde_json::from_str::<Value>(&told.text).unwrap());
    let items = lists.flat_map(|list| list["items"].as_array().cloned().unwrap());
    items.map(|event| (event["metadata"]["name"].as_str().unwrap().to_owned(), event)).collect()
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

#[test]
fn every_transition_has_an_event_of_the_right_type() {
    let events = events();
    let sent: BTreeSet<(&str, &str, &str)> = events
        .values()
        .map(|event| (event["regarding"]["kind"].as_str().unwrap(), text(event, "type"), text(event, "reason")))
        .collect();
    for wanted in [
        ("ServingTarget", "Warning", "CredentialsMissing"),
        ("ServingTarget", "Warning", "KubeconfigInvalid"),
        ("ServingTarget", "Warning", "KubeconfigRefused"),
        ("ServingTarget", "Warning", "Unauthorized"),
        ("ServingTarget", "Normal", "Ready"),
        ("ServingTarget", "Warning", "InstallationConflict"),
        ("ServingTarget", "Normal", "OrphanRemoved"),
        ("ModelDeployment", "Normal", "Placed"),
        ("ModelDeployment", "Warning", "SecretMissing"),
        ("ModelDeployment", "Warning", "NameConflict"),
        ("ModelDeployment", "Warning", "ImagePullFailed"),
        ("ModelDeployment", "Normal", "Ready"),
        ("ModelDeployment", "Normal", "Scaled"),
        ("ModelDeployment", "Normal", "Moving"),
        ("ModelDeployment", "Normal", "Moved"),
        ("ModelDeployment", "Normal", "Deleting"),
        ("ModelDeployment", "Normal", "Removed"),
    ] {
        assert!(sent.contains(&wanted), "{wanted:?} is not among {sent:#?}");
    }
}

#[test]
fn a_decision_has_one_event_and_one_line_of_the_log_with_place_price_and_reason() {
    let events = events();
    for reason in ["Moving", "Moved", "Scaled"] {
        let sent: Vec<&Value> = events.values().filter(|event| text(event, "reason") == reason).collect();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        let lines = lines();
        let logged: Vec<&Value> = lines.iter().filter(|line| text(line, "reason") == reason).collect();
        assert_eq!(logged.len(), 1, "{logged:#?}");
        let line = logged[0];
        assert_eq!((text(line, "level"), text(line, "object")), ("INFO", "team/llama"), "{line}");
        assert_eq!(text(line, "message"), text(sent[0], "note"));
        assert!(text(line, "to") == "east" && text(line, "cost").starts_with('$'), "{line}");
    }
    let lines = lines();
    let moving = lines.iter().find(|line| text(line, "reason") == "Moving").unwrap();
    assert!(text(moving, "from") == "east" && text(moving, "why").starts_with("SpecChanged: "), "{moving}");
}

#[test]
fn a_healthy_move_warns_of_nothing() {
    let events = events();
    let at = |reason: &str| {
        let event = events.values().find(|event| text(event, "reason") == reason).unwrap();
        text(event, "eventTime").to_owned()
    };
    let (begin, end) = (at("Moving"), at("Moved"));
    let meanwhile = events.values().filter(|event| (begin.as_str()..=end.as_str()).contains(&text(event, "eventTime")));
    let warnings: Vec<&Value> = meanwhile.filter(|event| text(event, "type") == "Warning").collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}
