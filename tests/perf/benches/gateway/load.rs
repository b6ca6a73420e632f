//! Load by `wrk`, for a bounded time and with a bounded number of connections.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use roadstead_ground::command::finish;

use crate::proxies::Proxy;

/// One run of load.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections, each with one request at a time.
    pub connections: u32,
    /// Seconds of the run.
    pub seconds: u32,
    /// True for streams.
    pub streams: bool,
}

/// Answers as the callers saw them.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Whole answers.
    pub answers: f64,
    /// Answers that were no 200, and broken connections.
    pub failed: f64,
    /// Answers in a second.
    pub rate: f64,
    /// Median time of an answer in milliseconds.
    pub p50: f64,
}

impl Load {
    /// Runs it.
    pub fn run(self, proxy: &Proxy, folder: &Path) -> Result<Seen> {
        let script = folder.join("wrk.lua");
        std::fs::write(&script, self.script(&proxy.key))?;
        let mut command = Command::new("wrk");
        command
            .args(["--threads=1", "--latency", "--timeout=30s"])
            .arg(format!("--connections={}", self.connections))
            .arg(format!("--duration={}s", self.seconds))
            .arg("--script")
            .arg(&script)
            .arg(format!("http://{}{}", proxy.address, proxy.path));
        let output = finish(&mut command).context("wrk, which is a Debian package (apt-get install wrk)")?;
        let line = output.lines().find_map(|line| line.strip_prefix("RESULT ")).context("wrk printed no result")?;
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [answers, failed, micros, p50] = numbers[..] else { anyhow::bail!("wrk printed {line}") };
        Ok(Seen { answers, failed, rate: answers / micros * 1e6, p50: p50 / 1e3 })
    }

    fn script(self, key: &str) -> String {
        let body = body(self.streams);
        format!(
            "wrk.method = 'POST'\n\
             wrk.body = '{body}'\n\
             wrk.headers['Authorization'] = 'Bearer {key}'\n\
             wrk.headers['Content-Type'] = 'application/json'\n\
             done = function(summary, latency)\n\
               local errors = summary.errors\n\
               local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout\n\
               print(string.format('RESULT %d %d %d %d', summary.requests, failed, summary.duration, latency:percentile(50)))\n\
             end\n"
        )
    }
}

/// Body of a request.
pub const fn body(streams: bool) -> &'static str {
    if streams {
        r#"{"model":"llama","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Where?"}]}"#
    } else {
        r#"{"model":"llama","messages":[{"role":"user","content":"Which way to the roadstead?"}]}"#
    }
}
