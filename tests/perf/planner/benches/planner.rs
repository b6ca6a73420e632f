//! The planner's benchmark: `make bench`. docs/performance.md reports the results.

#![allow(clippy::unwrap_used, reason = "what a benchmark measures is made by itself")]
#![allow(clippy::unnecessary_wraps, reason = "all parts have one type")]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use roadstead_model::{Decision, Deployment};
use roadstead_perf::{
    Bench, Counting, Counts, Distribution, Measures, Part, Plot, Series, Work, cpu_seconds, peak_memory_mb, run,
};
use roadstead_perf_planner::{NOW, deployments, fleet, targets};
use roadstead_planner::{Fleet, plan};

/// The operator's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEED: u64 = 20_260_801;

/// Targets of the fleet in which one decision is measured, and of the large one.
const TARGETS: usize = 100;
const MANY_TARGETS: usize = 200;

/// Deployments of the large fleet.
const MANY: usize = 10_000;

/// Sizes at which growth is looked at.
const SIZES: [usize; 7] = [10, 30, 100, 300, 1_000, 3_000, 10_000];

const BENCH: Bench = Bench {
    name: "planner",
    parts: &[
        Part { name: "decide", work: Work::Measured(decide) },
        Part { name: "place", work: Work::Measured(place) },
        Part { name: "replan", work: Work::Measured(replan) },
        Part { name: "growth", work: Work::Measured(growth) },
        Part { name: "instructions", work: Work::Counted { run: count, conclude } },
    ],
    informs: &["decide", "growth"],
    plot: Some(("planner-growth.svg", plot)),
};

fn main() -> ExitCode {
    run(&BENCH)
}

/// A fleet on which much runs, some is on its way, and new deployments arrive.
fn busy_fleet() -> (Fleet, Vec<Deployment>) {
    let mut fleet = fleet::empty(targets::targets(TARGETS, SEED));
    fleet::place(&mut fleet, &deployments::deployments(1_500, SEED));
    fleet::settle(&mut fleet);
    fleet::place(&mut fleet, &renamed("on-its-way", deployments::deployments(300, SEED + 1)));
    (fleet, renamed("new", deployments::deployments(2_000, SEED + 2)))
}

/// The same deployments with other names.
fn renamed(prefix: &str, mut deployments: Vec<Deployment>) -> Vec<Deployment> {
    for deployment in &mut deployments {
        deployment.id.name = format!("{prefix}-{}", deployment.id.name);
    }
    deployments
}

fn large_fleet() -> Fleet {
    fleet::empty(targets::targets(MANY_TARGETS, SEED))
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn decide(measures: &mut Measures) -> Result<()> {
    let (fleet, arriving) = busy_fleet();
    let mut times = Vec::new();
    for _ in 0..5 {
        for deployment in &arriving {
            let started = Instant::now();
            let plan = plan(&fleet, deployment, NOW);
            times.push(microseconds(started.elapsed()));
            drop(plan);
        }
    }
    let times = Distribution::of(times);
    measures.record("decide.p50", times.percentile(50));
    measures.record("decide.p90", times.percentile(90));
    measures.record("decide.p99", times.percentile(99));
    measures.record("decide.most", times.most());
    Ok(())
}

fn place(measures: &mut Measures) -> Result<()> {
    let mut fleet = large_fleet();
    let deployments = deployments::deployments(MANY, SEED);
    let started = cpu_seconds()?;
    let placed = fleet::place(&mut fleet, &deployments);
    measures.record("place.seconds", cpu_seconds()? - started);
    measures.record("place.placed", f64::from(placed));
    measures.record("place.memory", peak_memory_mb()?);
    Ok(())
}

fn replan(measures: &mut Measures) -> Result<()> {
    let mut fleet = large_fleet();
    let deployments = deployments::deployments(MANY, SEED);
    fleet::place(&mut fleet, &deployments);
    fleet::settle(&mut fleet);
    let started = cpu_seconds()?;
    let moved = plan_again(&fleet, &deployments);
    measures.record("replan.seconds", cpu_seconds()? - started);
    measures.record("replan.moved", f64::from(moved));
    measures.record("replan.memory", peak_memory_mb()?);
    Ok(())
}

/// Plans everything once more; returns how many of those that run would not stay as they are.
fn plan_again(fleet: &Fleet, deployments: &[Deployment]) -> u32 {
    let mut moved = 0;
    for deployment in deployments {
        let runs = fleet.endpoints_of(&deployment.id).next().is_some();
        let plan = plan(fleet, deployment, NOW);
        moved += u32::from(runs && plan.decision != Decision::Unchanged);
    }
    moved
}

fn growth(measures: &mut Measures) -> Result<()> {
    let all = deployments::deployments(MANY, SEED);
    for (size, x) in SIZES.into_iter().zip(sizes()) {
        let deployments = &all[..size];
        // The clock of the scheduler ticks in milliseconds: what is short is done often.
        let rounds = (300 / size).clamp(1, 10);
        let mut fleets = vec![large_fleet(); rounds];
        let placing = milliseconds_of_each(&mut fleets, |fleet| fleet::place(fleet, deployments))?;
        measures.point("place", x, placing);
        fleets.iter_mut().for_each(fleet::settle);
        let planning = milliseconds_of_each(&mut fleets, |fleet| plan_again(fleet, deployments))?;
        measures.point("replan", x, planning);
    }
    Ok(())
}

/// The CPU time that `work` takes for one of the fleets, in the mean.
fn milliseconds_of_each(fleets: &mut [Fleet], work: impl Fn(&mut Fleet) -> u32) -> Result<f64> {
    let started = cpu_seconds()?;
    for fleet in fleets.iter_mut() {
        work(fleet);
    }
    let rounds = u32::try_from(fleets.len()).unwrap_or(u32::MAX);
    Ok((cpu_seconds()? - started) * 1e3 / f64::from(rounds))
}

/// The sizes as places on the plot's axis.
fn sizes() -> impl Iterator<Item = f64> {
    SIZES.into_iter().map(|size| f64::from(u32::try_from(size).unwrap_or(u32::MAX)))
}

/// Sizes at which instructions are counted.
const COUNTED: [usize; 2] = [300, 3_000];

/// Deployments that are decided one by one under callgrind.
const DECISIONS: usize = 200;

fn count(counting: &mut Counting) -> Result<()> {
    let (fleet, arriving) = busy_fleet();
    for deployment in arriving.iter().take(DECISIONS) {
        counting.count("decide", || plan(&fleet, deployment, NOW));
    }
    let all = deployments::deployments(MANY, SEED);
    for size in COUNTED {
        let mut fleet = large_fleet();
        counting.count(format!("place.{size}"), || fleet::place(&mut fleet, &all[..size]));
        fleet::settle(&mut fleet);
        counting.count(format!("replan.{size}"), || plan_again(&fleet, &all[..size]));
        let target = fleet.targets().max_by_key(|target| fleet.endpoints_on(&target.name).count()).unwrap().clone();
        let mut found: Vec<_> = fleet.endpoints_on(&target.name).map(fleet::found).collect();
        found.first_mut().unwrap().ready_replicas = 0;
        counting.count(format!("facts.{size}"), || fleet::facts_arrive(&mut fleet, target, found));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn conclude(counts: &Counts, measures: &mut Measures) {
    let decisions = Distribution::of(counts.of("decide").iter().map(|count| *count as f64));
    measures.record("decide.instructions.mean", decisions.mean());
    measures.record("decide.instructions.p99", decisions.percentile(99));
    let each = |label: &str, size: usize| {
        let counted: u64 = counts.of(&format!("{label}.{size}")).iter().sum();
        counted as f64 / size as f64
    };
    let [few, many] = COUNTED;
    for label in ["place", "replan"] {
        measures.record(format!("{label}.instructions"), each(label, many));
        measures.record(format!("{label}.growth"), each(label, many) / each(label, few));
    }
    measures.record("facts.instructions", counts.of(&format!("facts.{many}")).iter().sum::<u64>() as f64);
}

fn plot(measures: &Measures) -> String {
    let series =
        |name: &str, key: &str| Series { name: name.to_owned(), points: measures.series(key).to_vec(), guide: false };
    let first = measures.series("place").first().copied().unwrap_or((1.0, 1.0));
    let proportion = sizes().map(|x| (x, first.1 * x / first.0)).collect();
    Plot {
        title: format!("Planning a whole fleet over {MANY_TARGETS} targets of {} offers", targets::OFFERS),
        x: "deployments".to_owned(),
        y: "milliseconds of CPU in all".to_owned(),
        series: vec![
            series("placed from nothing", "place"),
            series("planned again, settled", "replan"),
            Series { name: "in proportion".to_owned(), points: proportion, guide: true },
        ],
    }
    .to_svg()
}
