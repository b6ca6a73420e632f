//! Resource usage of the process under the names of all Prometheus clients, read from `/proc` at each scrape.
//! Without `/proc`, there is only the time of the start.

use std::fmt;
use std::fs;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks of a second in which Linux tells processor time to programs, on every architecture that Roadstead is built for.
const TICKS: f64 = 100.0;

/// Writes out what the process takes.
#[derive(Debug)]
pub struct ProcessCollector {
    started: Timestamp,
}

impl ProcessCollector {
    /// A collector for a process that started at `started`.
    #[must_use]
    pub const fn started(started: Timestamp) -> Self {
        Self { started }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let started = self.started.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64();
        gauge(&mut encoder, "process_start_time_seconds", "Start time of the process since the epoch", Some(started))?;
        if let Some(seconds) = read("stat").as_deref().and_then(processor_seconds) {
            let counter = ConstCounter::new(seconds);
            let name = "process_cpu_seconds";
            let metric = encoder.encode_descriptor(name, "CPU time used", None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        let status = read("status").unwrap_or_default();
        let resident = kilobytes(&status, "VmRSS:");
        gauge(&mut encoder, "process_resident_memory_bytes", "Resident memory", resident)?;
        let all = kilobytes(&status, "VmSize:");
        gauge(&mut encoder, "process_virtual_memory_bytes", "Virtual memory", all)?;
        let open = fs::read_dir("/proc/self/fd").ok().map(|entries| u32::try_from(entries.count()).unwrap_or(u32::MAX));
        gauge(&mut encoder, "process_open_fds", "Open file descriptors", open.map(f64::from))?;
        let limit = read("limits").as_deref().and_then(descriptor_limit);
        gauge(&mut encoder, "process_max_fds", "Maximum number of open file descriptors", limit)
    }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/{file}")).ok()
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    let metric = encoder.encode_descriptor(name, help, None, <ConstGauge<f64> as TypedMetric>::TYPE)?;
    ConstGauge::new(value).encode(metric)
}

/// User and system time, of `/proc/self/stat`. What comes before is a name in parentheses, which may hold anything.
fn processor_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Bytes, of a line of `/proc/self/status`.
fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

/// The soft limit, of `/proc/self/limits`.
fn descriptor_limit(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_process_are_read_as_linux_writes_them() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 1 1 1 1";
        assert_eq!(processor_seconds(stat), Some(2.0));
        let status = "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t     12 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(12_288.0));
        assert_eq!(kilobytes(status, "VmSize:"), Some(2_097_152.0));
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(descriptor_limit(limits), Some(1024.0));
        assert_eq!(descriptor_limit("Max open files            unlimited            unlimited            files"), None);
        for nonsense in ["", "7", "7 (a", "7 (a) S 1"] {
            assert_eq!(processor_seconds(nonsense), None);
        }
    }
}
