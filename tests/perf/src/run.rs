//! Runs a benchmark: its parts in processes of their own, and the verdict.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;

use crate::calibration;
use crate::callgrind::{self, Counting};
use crate::measures::Measures;
use crate::parts::{Bench, Part, Work, folder_of_package};
use crate::process::output_of;
use crate::ranges::{Judged, Ranges};
use crate::table;

/// Measures, and compares the measures with the committed ranges.
#[derive(Debug, Parser)]
struct Options {
    /// Number of runs; writes their calibration and the plot into the source.
    #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..=100))]
    calibrate: Option<u32>,
    /// Run one part in this process and print its measures (the benchmark starts itself with this option).
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
    /// Run only the parts that gate, and compare only counts and ratios.
    #[arg(long, conflicts_with = "calibrate")]
    gates: bool,
    /// Added by `cargo bench`; without a meaning here.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The `main` of a benchmark: measures everything, prints the table, and fails where a gate is broken.
#[must_use]
pub fn run(bench: &Bench) -> ExitCode {
    let options = Options::parse();
    let outcome = match (&options.part, options.calibrate) {
        (Some(part), _) => work(bench, part).map(|()| true),
        (None, Some(runs)) => calibrate(bench, runs).map(|()| true),
        (None, None) => judge(bench, options.gates),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error:#}", bench.name);
            ExitCode::FAILURE
        }
    }
}

/// Runs a part in this process, and prints what the process that started it reads.
fn work(bench: &Bench, part: &str) -> Result<()> {
    match bench.part(part)?.work {
        Work::Measured(work) => {
            let mut measures = Measures::default();
            work(&mut measures)?;
            println!("{}", serde_json::to_string(&measures)?);
        }
        Work::Counted { run, .. } => {
            let mut counting = Counting::default();
            run(&mut counting)?;
            println!("{}", serde_json::to_string(&counting.into_labels())?);
        }
    }
    Ok(())
}

fn judge(bench: &Bench, gates_only: bool) -> Result<bool> {
    let ranges = Ranges::read(&bench.file("ranges"))?;
    let measures = measure(bench, gates_only);
    let mut judged = ranges.judge(&measures);
    if gates_only {
        judged.retain(Judged::gates);
    }
    print!("\n{}", table::render(bench.name, &judged));
    let folder = results(bench)?;
    let file = folder.join("measures.json");
    std::fs::write(&file, serde_json::to_string_pretty(&measures)?)
        .with_context(|| format!("writing {}", file.display()))?;
    if !gates_only {
        draw(bench, &measures, &folder)?;
    }
    Ok(!judged.iter().any(Judged::breaks))
}

fn calibrate(bench: &Bench, runs: u32) -> Result<()> {
    let ranges = Ranges::read(&bench.file("ranges"))?;
    let mut all = Vec::new();
    for run in 1..=runs {
        eprintln!("{}: run {run} of {runs}", bench.name);
        let measures = measure(bench, false);
        print!("\n{}", table::render(bench.name, &ranges.judge(&measures)));
        all.push(measures);
    }
    calibration::write(&bench.file("calibration"), &ranges, &all)?;
    let last = all.last().context("no run was made")?;
    draw(bench, last, &folder_of_package().join("calibration"))
}

/// Runs every part, or only those that gate. A part that cannot run (valgrind is missing) is reported and has no measures.
fn measure(bench: &Bench, gates_only: bool) -> Measures {
    let mut measures = Measures::default();
    for part in bench.parts.iter().filter(|part| !(gates_only && bench.informs.contains(&part.name))) {
        eprint!("{}: {} ... ", bench.name, part.name);
        let started = Instant::now();
        match measure_part(bench, part) {
            Ok(more) => measures.extend(more),
            Err(error) => {
                eprintln!("NOT MEASURED: {error:#}");
                continue;
            }
        }
        eprintln!("{:.1} s", started.elapsed().as_secs_f64());
    }
    measures
}

fn measure_part(bench: &Bench, part: &Part) -> Result<Measures> {
    let program = std::env::current_exe().context("finding this program")?;
    let args = ["--part", part.name];
    match part.work {
        Work::Measured(_) => {
            let output = output_of(Command::new(program).args(args), "the part")?;
            let last = output.lines().last().context("the part printed nothing")?;
            serde_json::from_str(last).context("reading what the part measured")
        }
        Work::Counted { conclude, .. } => {
            callgrind::require()?;
            let counts = callgrind::count(&program, &args, &results(bench)?.join(part.name))?;
            let mut measures = Measures::default();
            conclude(&counts, &mut measures);
            Ok(measures)
        }
    }
}

/// The folder for what a run leaves: below that of the program, so within `target`.
fn results(bench: &Bench) -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    let folder = program.parent().and_then(|deps| deps.parent()).context("this program is not in a target folder")?;
    let folder = folder.join("perf").join(bench.name);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

fn draw(bench: &Bench, measures: &Measures, folder: &Path) -> Result<()> {
    let Some((name, plot)) = bench.plot else { return Ok(()) };
    let file = folder.join(name);
    std::fs::write(&file, plot(measures)).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("{}: drawn to {}", bench.name, file.display());
    Ok(())
}
