//! The operator's benchmark: `make bench-operator`. What the numbers say stands in docs/performance.md.
//!
//! A release build of the operator, a real kube-apiserver and etcd, and a simulated cloud, all on this machine. The
//! sizes can be made smaller while something is developed; the ranges are those of the sizes that stand here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod audit;
mod failover;
mod fleet;
mod place;
mod restart;
mod rig;
mod scheduler;
mod watched;

use std::process::ExitCode;

use roadstead_perf::{Bench, Part, Work, run};

const BENCH: Bench = Bench {
    name: "operator",
    parts: &[
        Part { name: "place", work: Work::Measured(place::measure) },
        Part { name: "restart", work: Work::Measured(restart::measure) },
        Part { name: "failover", work: Work::Measured(failover::measure) },
    ],
    informs: &[],
    plot: None,
};

fn main() -> ExitCode {
    run(&BENCH)
}

/// A size of this run: what the environment says under this name, else the one that the ranges were drawn for.
fn size(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
