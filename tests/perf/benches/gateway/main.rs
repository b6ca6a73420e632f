//! The gateway's benchmark: `make bench-gateway`. The results and the method are in docs/performance.md.
//!
//! Envoy as the gateway configures it, beside Envoy with one static cluster, nginx and `LiteLLM`, all on this machine and in
//! one run; and the gateway with 1,000 deployments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod changes;
mod fleet;
mod http;
mod litellm;
mod load;
mod origin;
mod proxies;
mod scale;
mod side_by_side;

use std::process::ExitCode;

use roadstead_perf::{Bench, Part, Work, run};

const BENCH: Bench = Bench {
    name: "gateway",
    parts: &[
        Part { name: "requests", work: Work::Measured(side_by_side::requests) },
        Part { name: "streams", work: Work::Measured(side_by_side::streams) },
        Part { name: "scale", work: Work::Measured(scale::measure) },
        Part { name: "changes", work: Work::Measured(changes::measure) },
    ],
    informs: &["changes"],
    plot: None,
};

fn main() -> ExitCode {
    run(&BENCH)
}
