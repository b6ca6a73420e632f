//! The parts of a benchmark.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::callgrind::{Counting, Counts};
use crate::measures::Measures;

/// Renders measures as SVG.
pub type Draw = fn(&Measures) -> String;

/// A benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// Its name: `ranges/NAME.yaml` and `calibration/NAME.yaml` belong to it.
    pub name: &'static str,
    /// Its parts, in the order in which they run.
    pub parts: &'static [Part],
    /// Names of the parts that measure only times; `--gates` skips them.
    pub informs: &'static [&'static str],
    /// File name and function of the plot, if there is one.
    pub plot: Option<(&'static str, Draw)>,
}

/// A part of a benchmark, run in a process of its own.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Work of the part.
    pub work: Work,
}

/// Work of a part.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Records what it measures by itself.
    Measured(fn(&mut Measures) -> Result<()>),
    /// Runs under callgrind, which counts the instructions of what it hands to [`Counting::count`].
    Counted {
        /// The work.
        run: fn(&mut Counting) -> Result<()>,
        /// Makes measures of the counts.
        conclude: fn(&Counts, &mut Measures),
    },
}

impl Bench {
    /// The part of this name.
    pub(crate) fn part(&self, name: &str) -> Result<&Part> {
        match self.parts.iter().find(|part| part.name == name) {
            Some(part) => Ok(part),
            None => bail!("benchmark {} has no part {name}", self.name),
        }
    }

    /// Its file in one of the folders of this package.
    pub(crate) fn file(&self, folder: &str) -> PathBuf {
        folder_of_package().join(folder).join(format!("{}.yaml", self.name))
    }
}

/// The folder of this package, where range files and calibrations are kept.
pub(crate) fn folder_of_package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
