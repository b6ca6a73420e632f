//! The `vllm:` series of `/metrics`, and the count of requests in flight.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Counters and gauges of one engine.
#[derive(Debug, Default)]
pub struct Metrics {
    waiting: AtomicU64,
    running: AtomicU64,
    stopped: AtomicU64,
    truncated: AtomicU64,
    aborted: AtomicU64,
    prompt_tokens: AtomicU64,
    generation_tokens: AtomicU64,
}

/// End of a request, as in vLLM's label `finished_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The answer was complete.
    Stop,
    /// The limit of tokens cut it.
    Length,
}

/// A request in flight; dropped before it is finished (the client left), it counts as aborted.
#[derive(Debug)]
pub struct InFlight {
    metrics: Arc<Metrics>,
    running: bool,
    finished: Option<Finished>,
}

impl InFlight {
    /// Counts a request that waits for a place.
    pub fn waiting(metrics: &Arc<Metrics>, prompt_tokens: u64) -> Self {
        metrics.waiting.fetch_add(1, Relaxed);
        metrics.prompt_tokens.fetch_add(prompt_tokens, Relaxed);
        Self { metrics: Arc::clone(metrics), running: false, finished: None }
    }

    /// The request has got its place.
    pub fn run(&mut self) {
        self.metrics.waiting.fetch_sub(1, Relaxed);
        self.metrics.running.fetch_add(1, Relaxed);
        self.running = true;
    }

    /// One more token was generated.
    pub fn token(&self) {
        self.metrics.generation_tokens.fetch_add(1, Relaxed);
    }

    /// The request is answered.
    pub fn finish(&mut self, how: Finished) {
        self.finished = Some(how);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let gauge = if self.running { &self.metrics.running } else { &self.metrics.waiting };
        gauge.fetch_sub(1, Relaxed);
        let counter = match self.finished {
            Some(Finished::Stop) => &self.metrics.stopped,
            Some(Finished::Length) => &self.metrics.truncated,
            None => &self.metrics.aborted,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Metrics {
    /// Requests that are running or waiting.
    #[cfg(test)]
    pub fn in_flight(&self) -> u64 {
        self.running.load(Relaxed) + self.waiting.load(Relaxed)
    }

    /// The text of `/metrics`, in Prometheus' format.
    pub fn render(&self, model: &str) -> String {
        let model = model.replace('\\', r"\\").replace('"', "\\\"");
        let label = format!("engine=\"0\",model_name=\"{model}\"");
        let mut text = String::new();
        for (name, kind, value) in [
            ("vllm:num_requests_running", "gauge", &self.running),
            ("vllm:num_requests_waiting", "gauge", &self.waiting),
            ("vllm:prompt_tokens_total", "counter", &self.prompt_tokens),
            ("vllm:generation_tokens_total", "counter", &self.generation_tokens),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{{{label}}} {}", value.load(Relaxed));
        }
        let _ = writeln!(text, "# TYPE vllm:request_success_total counter");
        for (reason, value) in [("stop", &self.stopped), ("length", &self.truncated), ("abort", &self.aborted)] {
            let value = value.load(Relaxed);
            let _ = writeln!(text, "vllm:request_success_total{{{label},finished_reason=\"{reason}\"}} {value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_moves_from_waiting_to_running_to_its_end() {
        let metrics = Arc::new(Metrics::default());
        let mut request = InFlight::waiting(&metrics, 3);
        assert_eq!((metrics.waiting.load(Relaxed), metrics.running.load(Relaxed)), (1, 0));
        request.run();
        request.token();
        assert_eq!((metrics.waiting.load(Relaxed), metrics.running.load(Relaxed)), (0, 1));
        request.finish(Finished::Stop);
        drop(request);
        drop(InFlight::waiting(&metrics, 0));
        let text = metrics.render("a\"b");
        for line in [
            "vllm:num_requests_running{engine=\"0\",model_name=\"a\\\"b\"} 0",
            "vllm:prompt_tokens_total{engine=\"0\",model_name=\"a\\\"b\"} 3",
            "vllm:generation_tokens_total{engine=\"0\",model_name=\"a\\\"b\"} 1",
            "vllm:request_success_total{engine=\"0\",model_name=\"a\\\"b\",finished_reason=\"stop\"} 1",
            "vllm:request_success_total{engine=\"0\",model_name=\"a\\\"b\",finished_reason=\"abort\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
