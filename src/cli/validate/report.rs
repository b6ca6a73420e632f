//! Findings in files, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

/// The result of a run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidationReport {
    /// Objects of ours.
    pub checked: usize,
    /// Objects of ours with problems.
    pub invalid: usize,
    /// Things that are legal and probably a slip.
    pub warnings: usize,
    /// Objects that are not ours.
    pub passed_over: usize,
    /// All problems and warnings.
    pub findings: Vec<FileProblem>,
}

/// Severity of a finding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProblemSeverity {
    /// The object is refused, or cannot be carried out.
    #[default]
    Error,
    /// The object is legal, and this is probably a slip.
    Warning,
}

/// One problem or warning, and where it is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileProblem {
    /// Severity.
    pub severity: ProblemSeverity,
    /// The file, - for standard input.
    pub file: String,
    /// The document in the file, from 1; absent where the file is not YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The object's kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The field's path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The problem and its cure.
    pub message: String,
}

impl ValidationReport {
    /// True if anything is wrong; warnings are not.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == ProblemSeverity::Error)
    }

    /// Writes a line for each problem, as compilers do, and one with the sum.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for finding in &self.findings {
            write!(out, "{}:", finding.file)?;
            if let Some(line) = finding.line {
                write!(out, "{line}:")?;
            }
            if finding.severity == ProblemSeverity::Warning {
                write!(out, " warning:")?;
            }
            if !finding.kind.is_empty() {
                write!(out, " {} {}:", finding.kind, finding.name)?;
            }
            if !finding.field.is_empty() {
                write!(out, " {}:", finding.field)?;
            }
            writeln!(out, " {}", finding.message)?;
        }
        let skipped = match self.passed_over {
            0 => String::new(),
            1 => "; 1 of another API group skipped".to_owned(),
            count => format!("; {count} of other API groups skipped"),
        };
        let warnings = match self.warnings {
            0 => String::new(),
            count => format!("; {}", counted(count, "warning")),
        };
        writeln!(
            out,
            "{}, {}{warnings}{skipped}",
            counted(self.checked, "object"),
            counted(self.findings.len() - self.warnings, "problem")
        )
    }

    /// Writes one JSON object.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}

fn counted(count: usize, thing: &str) -> String {
    match count {
        0 => format!("no {thing}s"),
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}
