//! The page of events and the code that sends them.

use std::collections::BTreeSet;
use std::fs;

use roadstead::controller::news::{NORMAL, SILENT, WARNINGS};

use crate::root;

/// The section of the page that tells of events.
fn section() -> String {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let section = page.split("\n## Events\n").nth(1).unwrap();
    section.split("\n## ").next().unwrap().to_owned()
}

/// Texts between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_of_events_lists_each_with_its_type() {
    let section = section();
    let told: BTreeSet<(&str, &str)> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`'), cells[3])
        })
        .collect();
    let normal = NORMAL.into_iter().map(|reason| (reason, "Normal"));
    let sent: BTreeSet<(&str, &str)> = normal.chain(WARNINGS.into_iter().map(|reason| (reason, "Warning"))).collect();
    assert_eq!(told, sent, "docs/troubleshooting.md, Events, and the lists in src/controller/news.rs differ");
}

#[test]
fn the_page_of_events_names_the_reasons_that_have_none() {
    let section = section();
    let sentence = section.split("These have no event").nth(1).unwrap().split("; nor").next().unwrap();
    // What is placed anew has an event of its own while the condition is silent.
    let told: BTreeSet<&str> = quoted(sentence);
    let silent: BTreeSet<&str> =
        SILENT.into_iter().filter(|reason| !NORMAL.contains(reason) && !WARNINGS.contains(reason)).collect();
    assert_eq!(told, silent);
}
