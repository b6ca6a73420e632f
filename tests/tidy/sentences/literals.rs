//! Texts that drivers, validation and the command line make where they find the fault: read from the source, so that
//! none is missing.

use std::fs;

use crate::{files, root, shown};

/// Titles and the files or folders of their texts.
const SOURCES: [(&str, &[&str]); 8] = [
    (
        "Validation: `roadstead validate` and admission",
        &["crates/api/src/check", "crates/api/src/v1alpha1", "crates/api/src/schema/rules.rs"],
    ),
    ("Values: money, patterns, quantities", &["crates/model/src/money.rs", "crates/model/src/pattern.rs"]),
    ("Drivers: probe and records", &["crates/provider/src"]),
    ("Kubernetes driver", &["crates/providers/kubernetes/src"]),
    ("Simulated driver and cloud", &["crates/providers/simulated/src"]),
    ("Calls to an API server", &["crates/runtime/src/client.rs"]),
    ("Command line", &["src/cli"]),
    (
        "Log",
        &[
            "src/controller",
            "src/telemetry/logging.rs",
            "crates/runtime/src/watch.rs",
            "crates/runtime/src/lease.rs",
            "crates/runtime/src/workers.rs",
        ],
    ),
];

/// The sections of the page.
pub fn sections() -> Vec<(&'static str, String)> {
    SOURCES.into_iter().map(|(title, places)| (title, section(places))).collect()
}

fn section(places: &[&str]) -> String {
    let mut lines = String::new();
    for place in places {
        let path = root().join(place);
        let all = if path.is_file() { vec![path] } else { files(place, ".rs") };
        for file in all {
            let name = shown(&file);
            if name.ends_with("tests.rs") || name.contains("/tests/") || name.ends_with("world.rs") {
                continue;
            }
            let source = fs::read_to_string(&file).unwrap();
            let mut found = sentences(before_tests(&source));
            found.dedup();
            lines.extend(found.iter().map(|text| format!("- {text}\n")));
        }
    }
    lines
}

/// The source before its module of tests.
fn before_tests(source: &str) -> &str {
    let tests = source
        .match_indices("#[cfg(test)]\n")
        .find(|(at, _)| source[*at..].lines().take(4).any(|line| line.trim_start_matches("pub ").starts_with("mod ")));
    tests.map_or(source, |(at, _)| &source[..at])
}

/// The literals of a source that are sentences: three words or more, and no expressions of CEL.
fn sentences(source: &str) -> Vec<String> {
    let is_sentence = |text: &String| {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let spoken = words.iter().filter(|word| word.chars().all(|c| c.is_alphabetic() || ",;:".contains(c))).count();
        let cel = ["self.", "has(", "exists(", "startsWith", "'--", "oldSelf"].iter().any(|part| text.contains(part));
        words.len() >= 3 && spoken >= 2 && !cel && !text.starts_with('#')
    };
    literals(source).into_iter().filter(is_sentence).collect()
}

/// The string literals of a source, without those of comments and of lints' reasons.
fn literals(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let (mut found, mut index) = (Vec::new(), 0);
    while index < chars.len() {
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            // A character; a lifetime has no second quote so near.
            '\'' if at(index + 1) == '\\' => index += 4,
            '\'' if at(index + 2) == '\'' => index += 3,
            '"' => {
                let before: String = chars[index.saturating_sub(9)..index].iter().collect();
                let mut text = String::new();
                index += 1;
                while index < chars.len() && at(index) != '"' {
                    if at(index) == '\\' {
                        index += 1;
                        match at(index) {
                            '\n' => {
                                while at(index + 1).is_whitespace() {
                                    index += 1;
                                }
                            }
                            'n' => text.push(' '),
                            'r' => {}
                            other => text.push(other),
                        }
                    } else {
                        text.push(at(index));
                    }
                    index += 1;
                }
                index += 1;
                if !before.ends_with("reason = ") {
                    found.push(text.trim().lines().map(str::trim).collect::<Vec<_>>().join(" "));
                }
            }
            _ => index += 1,
        }
    }
    found
}

#[test]
fn literals_are_read_as_the_compiler_reads_them() {
    let source = "// \"no\" comment\nlet a = '\"'; fn f<'a>() { g(\"one \\\"two\\\" \\\n     three\") } #[allow(x, reason = \"not\")]";
    assert_eq!(literals(source), ["one \"two\" three"]);
}
