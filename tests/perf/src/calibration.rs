//! Several runs on one machine, kept beside the ranges that were drawn from them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::measures::Measures;
use crate::ranges::Ranges;

/// Content of a calibration file.
#[derive(Debug, Serialize)]
struct Calibration<'a> {
    /// The machine that it was run on.
    machine: String,
    /// Its load averages over 1, 5 and 15 minutes after the last run: what else it did meanwhile.
    load: String,
    /// The day, UTC.
    date: String,
    /// The runs, each of them all parts.
    runs: usize,
    /// Measures by name.
    measures: BTreeMap<&'a str, Measured<'a>>,
}

/// The values of one measure in the order of the runs.
#[derive(Debug, Serialize)]
struct Measured<'a> {
    unit: &'a str,
    mean: f64,
    values: Vec<f64>,
}

/// Writes what several runs have measured.
pub(crate) fn write(file: &Path, ranges: &Ranges, runs: &[Measures]) -> Result<()> {
    let mut measures = BTreeMap::<&str, Vec<f64>>::new();
    for (name, value) in runs.iter().flat_map(Measures::values) {
        measures.entry(name).or_default().push(rounded(value));
    }
    let calibration = Calibration {
        machine: machine()?,
        load: load()?,
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        runs: runs.len(),
        measures: measures
            .into_iter()
            .map(|(name, values)| {
                let unit = ranges.of(name).map_or("", |range| range.unit.as_str());
                let mean = rounded(crate::stats::Distribution::of(values.iter().copied()).mean());
                (name, Measured { unit, mean, values })
            })
            .collect(),
    };
    let text = serde_saphyr::to_string(&calibration).context("writing the calibration as YAML")?;
    let text = format!("# Written by `make bench-calibrate`; the ranges beside it are drawn from it by hand.\n{text}");
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// Four digits after the point say enough.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Load averages of Linux.
fn load() -> Result<String> {
    let text = read("/proc/loadavg")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {file}"))
}

/// The class of machine: its cores, memory and processor, as Linux says.
fn machine() -> Result<String> {
    let (memory, processor) = (read("/proc/meminfo")?, read("/proc/cpuinfo")?);
    let kibibytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gibibytes = kibibytes.and_then(|text| text.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1_048_576.0);
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().context("counting cores")?;
    Ok(format!("{cores} cores, {gibibytes:.0} GiB, {model}"))
}
