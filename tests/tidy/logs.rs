//! Rules for log lines.

use std::fs;

use roadstead::telemetry::json::RESERVED;

use crate::{files, none, shown};

/// The macros that log, or open a span.
const MACROS: [&str; 11] = [
    "trace!(",
    "debug!(",
    "info!(",
    "warn!(",
    "error!(",
    "event!(",
    "trace_span!(",
    "debug_span!(",
    "info_span!(",
    "warn_span!(",
    "error_span!(",
];

/// Keys of a span's object, beside the fields' own.
const OF_SPANS: &str = "name";

#[test]
fn no_field_of_a_log_line_has_the_name_of_one_of_its_keys() {
    let mut faults = Vec::new();
    let mut count = 0;
    for file in [files("src", ".rs"), files("crates", ".rs")].concat() {
        let source = fs::read_to_string(&file).unwrap();
        // A test may log what it likes.
        let code = source.split("#[cfg(test)]").next().unwrap();
        for name in field_names(code) {
            count += 1;
            if RESERVED.contains(&name.as_str()) || name == OF_SPANS {
                faults.push(format!("{}: {name}", shown(&file)));
            }
        }
    }
    none("fields of log lines have names of their own", &faults);
    assert!(count > 20, "only {count} fields were found: the macros are not read as they are written");
}

#[test]
fn fields_are_found_however_they_are_written() {
    let source =
        r#"tracing::info!(target: "t", a = f(1, "x, y = z"), %b, c.d, ?e.f, "text = {g}", h); tracing::warn!("w")"#;
    assert_eq!(field_names(source), ["a", "b", "d", "f"]);
}

/// The names of all fields in the macros of a source.
fn field_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in source.match_indices("tracing::") {
        let rest = &source[at + "tracing::".len()..];
        if let Some(start) = MACROS.iter().find(|name| rest.starts_with(**name)).map(|name| name.len()) {
            for argument in arguments(&rest[start..]) {
                if argument.starts_with('"') {
                    // What follows the text fills its gaps.
                    if !rest.contains("_span!(") {
                        break;
                    }
                    continue;
                }
                names.extend(field_name(&argument));
            }
        }
    }
    names
}

/// The name of the field that an argument of a macro is; none if it is metadata.
fn field_name(argument: &str) -> Option<String> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let text = argument.trim_start_matches(['%', '?']);
    let path: String = text.chars().take_while(|c| is_name(*c)).collect();
    let rest = text[path.len()..].trim_start();
    if rest.starts_with(':') || path.is_empty() {
        return None;
    }
    // `a.b = x` is a field of that whole name; `a.b` alone is one too.
    if rest.starts_with('=') { Some(path) } else { path.rsplit('.').next().map(ToOwned::to_owned) }
}

/// The arguments of a macro whose text begins after its parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut found, mut argument) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => quoted = true,
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.push(argument.trim().to_owned());
                    argument.clear();
                    continue;
                }
                _ => {}
            }
        }
        argument.push(c);
    }
    found.push(argument.trim().to_owned());
    found.retain(|argument| !argument.is_empty());
    found
}
