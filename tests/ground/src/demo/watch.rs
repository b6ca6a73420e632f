//! A line about the requests in flight and the endpoints that answer them, each second in which something changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::bail;
use roadstead_ground::ground::Ground;
use roadstead_ground::load::{Count, Load, Mix, Service};
use serde_json::Value;

/// A few streams of three seconds, and some fifty short questions a second.
const MIX: Mix = Mix { streams: 8, tokens: 60, askers: 6, pause: Duration::from_millis(100) };
/// Time before and after what is watched.
const A_WHILE: Duration = Duration::from_secs(4);
const MEMBERS: [&str; 3] = ["west", "north", "east"];

/// Requests that go on, and where they were answered.
pub struct Watch<'a> {
    ground: &'a Ground,
    load: Load,
    /// Target by endpoint, also of endpoints that are gone.
    places: BTreeMap<String, String>,
    last: String,
}

impl<'a> Watch<'a> {
    /// Starts the requests.
    ///
    /// # Errors
    /// If their threads cannot be started.
    pub fn start(ground: &'a Ground, service: Service) -> anyhow::Result<Self> {
        let load = Load::start(service, MIX)?;
        Ok(Self { ground, load, places: BTreeMap::new(), last: String::new() })
    }

    /// Prints the heading of the lines.
    pub fn heading() {
        let members = MEMBERS.map(|member| format!(" {member:>6}")).concat();
        println!("   asked answered in flight failed{members}  endpoints");
    }

    /// Prints some lines.
    ///
    /// # Errors
    /// If the hub does not answer.
    pub fn a_while(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < A_WHILE {
            self.line()?;
        }
        Ok(())
    }

    /// Prints lines until `done` holds for the endpoints and the requests; returns the time that it took.
    ///
    /// # Errors
    /// If `limit` is over; the error names what was awaited.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Fn(&[Value], &BTreeMap<String, u64>) -> bool,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        loop {
            let endpoints = self.line()?;
            if done(&endpoints, &self.answers(&self.load.count())) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > limit {
                bail!("not after {} s: {what}", limit.as_secs());
            }
        }
    }

    /// Number of requests that failed so far.
    pub fn failures(&self) -> usize {
        self.load.count().failures.len()
    }

    /// Ends the requests, waits for those in flight, and prints the last line.
    ///
    /// # Errors
    /// If a request is not accounted for.
    pub fn end(self) -> anyhow::Result<Count> {
        let Self { load, places, .. } = self;
        let count = load.end()?;
        println!("{}", row(&count, &answers(&count, &places), "all requests have ended"));
        Ok(count)
    }

    fn line(&mut self) -> anyhow::Result<Vec<Value>> {
        let endpoints = self.ground.hub.list("iep", "demo")?;
        for endpoint in &endpoints {
            self.places.insert(text(&endpoint["metadata"]["name"]), text(&endpoint["spec"]["target"]));
        }
        let count = self.load.count();
        let phases: Vec<String> = endpoints.iter().map(phase).collect();
        let row = row(&count, &self.answers(&count), &phases.join(", "));
        if row != self.last {
            println!("{row}");
        }
        self.last = row;
        std::thread::sleep(Duration::from_secs(1));
        Ok(endpoints)
    }

    fn answers(&self, count: &Count) -> BTreeMap<String, u64> {
        answers(count, &self.places)
    }
}

/// Answers by the target that gave them.
fn answers(count: &Count, places: &BTreeMap<String, String>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (pod, answers) in &count.by_pod {
        let place = places.iter().find(|(endpoint, _)| pod.starts_with(&format!("{endpoint}-")));
        *all.entry(place.map_or("elsewhere", |(_, target)| target).to_owned()).or_default() += answers;
    }
    all
}

fn row(count: &Count, answers: &BTreeMap<String, u64>, endpoints: &str) -> String {
    let members = MEMBERS.map(|member| format!(" {:>6}", answers.get(member).copied().unwrap_or_default())).concat();
    format!(
        "  {:>6} {:>8} {:>9} {:>6}{members}  {endpoints}",
        count.asked,
        count.answered + count.streamed,
        count.in_flight(),
        count.failures.len(),
    )
}

/// Target and phase of an endpoint in two words.
pub fn phase(endpoint: &Value) -> String {
    let conditions = endpoint["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let ready = conditions.iter().find(|one| one["type"] == "Ready");
    let phase = if !endpoint["metadata"]["deletionTimestamp"].is_null() {
        "ends"
    } else if endpoint["spec"]["state"] == "Draining" {
        "drains"
    } else {
        match ready.map(|ready| (text(&ready["status"]), text(&ready["reason"]))) {
            Some((status, _)) if status == "True" => "serves",
            Some((_, reason)) if reason == "TargetLost" => "lost",
            Some((status, _)) if status == "Unknown" => "silent",
            _ => "starts",
        }
    };
    format!("{} {phase}", text(&endpoint["spec"]["target"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
