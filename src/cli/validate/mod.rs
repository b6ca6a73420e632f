//! `roadstead validate`: checks files of Roadstead's objects without a cluster, as the server and the operator would.

mod documents;
mod report;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::Output;
use documents::Document;
use report::{FileProblem, ProblemSeverity, ValidationReport};
use roadstead_api::check::{CheckVerdict, Checker};

/// File name extensions that a directory is searched for.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Options of `roadstead validate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Objects of other API groups are skipped. Exit code: 0 if all objects are valid, 1 if there is a problem, \
                  2 if a file cannot be read. Warnings, for example of misspelt names, do not change the exit code."
)]
pub struct ValidateArgs {
    /// A file of YAML or JSON documents, a directory (with all below it), or - for standard input.
    #[arg(short, long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    pub filename: Vec<PathBuf>,
    /// Output format of the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Checks the files and writes their problems to standard output.
///
/// # Errors
/// If standard output cannot be written; an unreadable file is reported on standard error and in the exit code.
pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let report = match check(&args.filename) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Text => report.write_text(&mut out)?,
        Output::Json => report.write_json(&mut out)?,
    }
    Ok(ExitCode::from(u8::from(report.has_errors())))
}

fn check(names: &[PathBuf]) -> anyhow::Result<ValidationReport> {
    let checker = Checker::new();
    let mut report = ValidationReport::default();
    for name in names {
        if name.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            check_text(&checker, "-", &text, &mut report);
            continue;
        }
        for path in files(name)? {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            check_text(&checker, &path.display().to_string(), &text, &mut report);
        }
    }
    Ok(report)
}

/// The file itself, or all files of a directory and below it in the order of their names.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let cannot = || format!("cannot read the directory {}", path.display());
    let entries = std::fs::read_dir(path).with_context(cannot)?;
    let mut entries =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().with_context(cannot)?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ending = entry.extension().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        // A link to a directory is not followed: it may lead back here.
        if entry.is_dir() && !entry.is_symlink() {
            found.extend(files(&entry)?);
        } else if ENDINGS.contains(&ending.as_str()) {
            found.push(entry);
        }
    }
    Ok(found)
}

fn check_text(checker: &Checker, file: &str, text: &str, report: &mut ValidationReport) {
    match documents::read(text) {
        Ok(documents) => documents.iter().for_each(|document| check_document(checker, file, document, report)),
        Err(error) => {
            let finding = FileProblem {
                file: file.to_owned(),
                line: error.line,
                message: error.message,
                ..FileProblem::default()
            };
            report.findings.push(finding);
        }
    }
}

fn check_document(checker: &Checker, file: &str, document: &Document, report: &mut ValidationReport) {
    let is_list = document.value.get("kind").and_then(Value::as_str) == Some("List");
    match document.value.get("items").and_then(Value::as_array).filter(|_| is_list) {
        Some(items) => items.iter().enumerate().for_each(|(index, item)| {
            check_object(checker, file, document, item, &format!("items[{index}]"), report);
        }),
        None => check_object(checker, file, document, &document.value, "", report),
    }
}

fn check_object(
    checker: &Checker,
    file: &str,
    document: &Document,
    object: &Value,
    at: &str,
    report: &mut ValidationReport,
) {
    let CheckVerdict::Checked { kind, namespace, name, problems, warnings } = checker.check(object) else {
        report.passed_over += 1;
        return;
    };
    report.checked += 1;
    report.invalid += usize::from(!problems.is_empty());
    report.warnings += warnings.len();
    let problems = problems.into_iter().map(|problem| (ProblemSeverity::Error, problem));
    let warnings = warnings.into_iter().map(|problem| (ProblemSeverity::Warning, problem));
    let mut findings: Vec<_> = problems
        .chain(warnings)
        .map(|(severity, problem)| FileProblem {
            severity,
            file: file.to_owned(),
            document: Some(document.number),
            line: document.line(&format!("{at}.{}", problem.field)),
            kind: kind.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
            field: problem.field,
            message: problem.message,
        })
        .collect();
    findings.sort_by_key(|finding| finding.line);
    report.findings.extend(findings);
}
