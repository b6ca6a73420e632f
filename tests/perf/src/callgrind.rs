//! Instructions counted by callgrind: the same on a busy machine as on an idle one.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::output_of;

/// Counts by label, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts(BTreeMap<String, Vec<u64>>);

impl Counts {
    /// The counts of this label.
    #[must_use]
    pub fn of(&self, label: &str) -> &[u64] {
        self.0.get(label).map_or(&[], Vec::as_slice)
    }
}

/// Hands work to callgrind.
#[derive(Debug, Default)]
pub struct Counting {
    labels: Vec<String>,
}

impl Counting {
    /// Does `work` once and has its instructions counted under `label`. What `work` returns is dropped outside.
    pub fn count<T>(&mut self, label: impl Into<String>, work: impl FnOnce() -> T) -> Option<T> {
        self.labels.push(label.into());
        let (mut work, mut done) = (Some(work), None);
        count_instructions(&mut || done = work.take().map(|work| work()));
        done
    }

    /// The labels in the order of the counts, for the process that reads them.
    pub(crate) fn into_labels(self) -> Vec<String> {
        self.labels
    }
}

/// The function that callgrind observes: it counts from its entry to its end, and writes a file after each call. It
/// must stay a function, with a name that no other has.
#[inline(never)]
fn count_instructions(work: &mut dyn FnMut()) {
    work();
    black_box(());
}

/// Pattern of [`count_instructions`] for callgrind: exact, because callgrind joins options for the same pattern
/// wrongly.
const COUNTED: &str = "roadstead_perf::callgrind::count_instructions";

/// True if callgrind can be run.
///
/// # Errors
///
/// It is missing; the error says how to get it.
pub(crate) fn require() -> Result<()> {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        bail!("valgrind is missing, so no instructions can be counted: install it (apt-get install valgrind)");
    }
    Ok(())
}

/// Runs `program` with `args` under callgrind. It writes the labels of its counts to standard output, as a JSON list.
pub(crate) fn count(program: &Path, args: &[&str], folder: &Path) -> Result<Counts> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let out = folder.join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(args);
    let labels = output_of(&mut command, "the part under valgrind")?;
    let labels: Vec<String> = serde_json::from_str(labels.trim()).context("reading the labels of counts")?;
    let mut counts = Counts::default();
    for (index, label) in labels.into_iter().enumerate() {
        let file = folder.join(format!("callgrind.out.{}", index + 1));
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}: does {} have symbols?", file.display(), program.display()))?;
        let count = total(&text).with_context(|| format!("{} has no total", file.display()))?;
        counts.0.entry(label).or_default().push(count);
    }
    Ok(counts)
}

/// The instructions that a file of callgrind counts in all.
fn total(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("summary: ").or_else(|| line.strip_prefix("totals: "))?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_and_handed_back() {
        let mut counting = Counting::default();
        let mut calls = 0;
        let done = counting.count("add", || {
            calls += 1;
            40 + 2
        });
        assert_eq!((done, calls), (Some(42), 1));
        assert_eq!(counting.into_labels(), ["add"]);
    }

    #[test]
    fn totals_are_read() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 1234\n\nfn=(1) x\n0 1234\n"), Some(1234));
        assert_eq!(total("events: Ir\n\ntotals: 7\n"), Some(7));
        assert_eq!(total("events: Ir\n"), None);
    }
}
