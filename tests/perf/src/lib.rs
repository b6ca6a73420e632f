//! Benchmarks whose counts and ratios must stay within committed ranges.
//!
//! A benchmark is a program of its own (`harness = false`) whose `main` is [`run()`]. It consists of [`Part`]s, each
//! run in a process of its own, so that memory is its own and one part cannot warm up another. A part records
//! [`Measures`] by name; the range file of the benchmark says for each what it means and where it must lie.
//!
//! ```text
//! Bench { name, parts } --> one process per part --> Measures --> range file --> table, exit code
//! ```
//!
//! Counts and ratios gate: one outside its range breaks the build, on the good side too, for then either the work
//! is no longer done or the range is stale. Times and memory of noisy machines inform. What is in a range file and
//! was not measured breaks the build as well: nothing is skipped in silence.

#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod calibration;
mod callgrind;
mod measures;
mod parts;
mod plot;
mod process;
mod program;
mod ranges;
mod run;
mod stats;
mod table;

pub use callgrind::{Counting, Counts};
pub use measures::Measures;
pub use parts::{Bench, Draw, Part, Work};
pub use plot::{Plot, Series};
pub use process::{cpu_seconds, cpu_seconds_of, peak_memory_mb, peak_memory_mb_of};
pub use program::program;
pub use run::run;
pub use stats::Distribution;
