//! The tables of promises and of named invariants in ARCHITECTURE.md: every invariant has a row, and every test in it exists.

use std::collections::BTreeSet;
use std::fs;

use crate::{files, none, root};

/// Rows of both tables: the number of the invariant or its name, and the names of the tests.
fn rows(page: &str) -> Vec<(&str, Vec<&str>)> {
    let section = page.split("\n### Promises and their tests\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .filter_map(|cells| {
            let name = *cells.get(1)?;
            name.trim_start_matches('I').parse::<u32>().ok()?;
            Some((name, cells.get(3)?.split('`').skip(1).step_by(2).collect()))
        })
        .collect()
}

/// Number of invariants in the list above the table.
fn invariants(page: &str) -> u32 {
    let section = page.split("\n## Invariants\n").nth(1).unwrap().split("\n### ").next().unwrap();
    let numbers = section.lines().filter_map(|line| line.split(". ").next()?.parse::<u32>().ok());
    numbers.max().unwrap()
}

#[test]
fn every_invariant_has_a_promise_with_a_test() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = rows(&page);
    let told: BTreeSet<&str> = rows.iter().filter(|(_, tests)| !tests.is_empty()).map(|(name, _)| *name).collect();
    let numbers = (1..=invariants(&page)).map(|number| number.to_string());
    let wanted: BTreeSet<String> = numbers.chain((1..=10).map(|number| format!("I{number}"))).collect();
    assert_eq!(told, wanted.iter().map(String::as_str).collect(), "the names of the rows are those of the invariants");
}

#[test]
fn every_test_of_a_promise_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let sources: Vec<String> = files(".", ".rs").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let exists = |name: &str| {
        let (function, trial) = (format!("fn {name}("), format!("\"{name}\""));
        sources.iter().any(|source| source.contains(&function) || source.contains(&trial))
    };
    let rows = rows(&page);
    let missing: Vec<String> =
        rows.iter().flat_map(|(_, tests)| tests).filter(|name| !exists(name)).map(|name| (*name).to_owned()).collect();
    none("the tests in ARCHITECTURE.md, Promises, exist", &missing);
}

#[test]
fn every_end_to_end_test_shows_a_promise_or_a_feature() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let main = fs::read_to_string(root().join("tests/e2e/main.rs")).unwrap();
    let scenes = main.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next());
    // These show features and not promises.
    let features = [
        "serves_a_custom_engine",
        "works_with_kubectl",
        "distinguishes_broken_credentials",
        "uses_the_address_of_a_load_balancer",
    ];
    let missing: Vec<String> = scenes
        .filter(|name| !features.contains(name) && !page.contains(&format!("`{name}`")))
        .map(ToOwned::to_owned)
        .collect();
    none("ARCHITECTURE.md names the promise of every end-to-end test", &missing);
}
