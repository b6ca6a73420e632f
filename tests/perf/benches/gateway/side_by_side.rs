//! All proxies in one run: processor time of each one's process, and times of callers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roadstead_perf::{Distribution, Measures};

use crate::load::Load;
use crate::origin::{EVENTS, Origin};
use crate::proxies::{Proxy, folder};

/// Rounds, in each of which every proxy has one turn.
const ROUNDS: usize = 7;
/// Time in which a proxy's processor time at rest is measured.
const REST: Duration = Duration::from_secs(3);
/// Deployments of the larger gateway.
const MANY: usize = 1000;

/// Unit of work that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Short requests.
    Request,
    /// Events of streams.
    Event,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::Event => "streams",
        }
    }

    /// The load of one turn. `LiteLLM` gets so few streams that it keeps up with their pace.
    fn load(self, proxy: &Proxy) -> Load {
        match self {
            Self::Request => Load { connections: 16, seconds: 2, streams: false },
            Self::Event if proxy.name == "litellm" => Load { connections: 4, seconds: 4, streams: true },
            Self::Event => Load { connections: 80, seconds: 4, streams: true },
        }
    }
}

/// One turn of a proxy.
struct Turn {
    /// Microseconds of processor time for each request or event.
    cpu: f64,
    rate: f64,
    failed: f64,
}

/// Short requests.
pub fn requests(measures: &mut Measures) -> Result<()> {
    let (folder, origin) = (folder()?, Origin::start()?);
    let proxies = start(folder.path(), &origin)?;
    compare(Unit::Request, &proxies, &origin, folder.path(), measures)?;
    latency(&proxies, &origin, folder.path(), measures)
}

/// Streams of events.
pub fn streams(measures: &mut Measures) -> Result<()> {
    let (folder, origin) = (folder()?, Origin::start()?);
    let proxies = start(folder.path(), &origin)?;
    compare(Unit::Event, &proxies, &origin, folder.path(), measures)
}

fn start(folder: &Path, origin: &Origin) -> Result<Vec<Proxy>> {
    let first = origin.addresses[0];
    Ok(vec![
        Proxy::nginx(folder, first)?,
        Proxy::envoy(folder, first)?,
        Proxy::gateway("gateway", folder, 1, origin.addresses)?,
        Proxy::gateway("thousand", folder, MANY, origin.addresses)?,
        Proxy::litellm(folder, first)?,
    ])
}

/// Takes turns, and records the medians; ratios are those of one round.
fn compare(unit: Unit, proxies: &[Proxy], origin: &Origin, folder: &Path, measures: &mut Measures) -> Result<()> {
    let mut rounds = Vec::new();
    let rest: Vec<f64> = proxies.iter().map(at_rest).collect::<Result<_>>()?;
    for round in 0..=ROUNDS {
        let turns: Vec<Turn> = proxies
            .iter()
            .zip(&rest)
            .map(|(proxy, rest)| turn(unit, proxy, *rest, origin, folder))
            .collect::<Result<_>>()?;
        // The first round warms up.
        if round > 0 {
            rounds.push(turns);
        }
    }
    let name = unit.name();
    let at = |wanted: &str| proxies.iter().position(|proxy| proxy.name == wanted).context("a proxy is missing");
    let median =
        |value: &dyn Fn(&[Turn]) -> f64| Distribution::of(rounds.iter().map(|turns| value(turns))).percentile(50);
    for (index, proxy) in proxies.iter().enumerate() {
        measures.record(format!("{name}.{}.cpu", proxy.name), median(&|turns| turns[index].cpu));
        if unit == Unit::Request {
            measures.record(format!("{name}.{}.rate", proxy.name), median(&|turns| turns[index].rate));
        }
    }
    let (envoy, gateway, thousand, litellm) = (at("envoy")?, at("gateway")?, at("thousand")?, at("litellm")?);
    let ratio = |over: usize, under: usize| median(&|turns| turns[over].cpu / turns[under].cpu);
    measures.record(format!("{name}.ratio"), ratio(gateway, envoy));
    measures.record(format!("{name}.thousand.ratio"), ratio(thousand, gateway));
    measures.record(format!("{name}.litellm.ratio"), ratio(litellm, gateway));
    measures.record(format!("{name}.core"), 1e6 / median(&|turns| turns[gateway].cpu));
    measures.record(format!("{name}.failed"), rounds.iter().flatten().map(|turn| turn.failed).sum());
    Ok(())
}

/// Processor time in a second without requests: health checks and looks at files are not work for requests.
fn at_rest(proxy: &Proxy) -> Result<f64> {
    let before = proxy.cpu_seconds()?;
    std::thread::sleep(REST);
    Ok((proxy.cpu_seconds()? - before) / REST.as_secs_f64())
}

fn turn(unit: Unit, proxy: &Proxy, rest: f64, origin: &Origin, folder: &Path) -> Result<Turn> {
    let (start, before, events) = (Instant::now(), proxy.cpu_seconds()?, origin.events());
    let seen = unit.load(proxy).run(proxy, folder)?;
    let seconds = proxy.cpu_seconds()? - before - rest * start.elapsed().as_secs_f64();
    let count = match unit {
        Unit::Request => seen.answers,
        #[expect(clippy::cast_precision_loss, reason = "events of some seconds")]
        Unit::Event => (origin.events() - events) as f64,
    };
    ensure!(count > 10.0, "{}: {seen:?}, {EVENTS} events in each stream", proxy.name);
    Ok(Turn { cpu: seconds / count * 1e6, rate: seen.rate, failed: seen.failed })
}

/// Median time of a request with one connection, and what the gateway adds to it.
fn latency(proxies: &[Proxy], origin: &Origin, folder: &Path, measures: &mut Measures) -> Result<()> {
    let direct = Proxy::direct(origin.addresses[0]);
    let all: Vec<&Proxy> = std::iter::once(&direct).chain(proxies).collect();
    let load = Load { connections: 1, seconds: 1, streams: false };
    let mut times = vec![Vec::new(); all.len()];
    for _ in 0..ROUNDS {
        for (proxy, times) in all.iter().zip(&mut times) {
            times.push(load.run(proxy, folder)?.p50);
        }
    }
    let medians: Vec<f64> = times.into_iter().map(|times| Distribution::of(times).percentile(50)).collect();
    for (proxy, median) in all.iter().zip(&medians) {
        measures.record(format!("requests.{}.p50", proxy.name), *median);
    }
    let gateway = all.iter().position(|proxy| proxy.name == "gateway").context("the gateway is missing")?;
    measures.record("requests.added", medians[gateway] - medians[0]);
    Ok(())
}
