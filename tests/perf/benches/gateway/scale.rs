//! Envoy with 1,000 deployments of two endpoints: memory, start, and processor time at rest.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use roadstead_perf::{Measures, cpu_seconds_of, peak_memory_mb_of};

use crate::fleet;
use crate::http::status;
use crate::load::body;
use crate::origin::Origin;
use crate::proxies::{Proxy, folder};

/// Deployments.
const MANY: usize = 1000;
/// Time until each endpoint has a connection for health checks.
const SETTLE: Duration = Duration::from_secs(5);
/// Time at rest.
const REST: Duration = Duration::from_secs(10);

/// Measures them.
pub fn measure(measures: &mut Measures) -> Result<()> {
    let (folder, origin) = (folder()?, Origin::start()?);
    let start = Instant::now();
    let proxy = Proxy::gateway("thousand", folder.path(), MANY, origin.addresses)?;
    measures.record("scale.start", start.elapsed().as_secs_f64());
    let pid = proxy.process.as_ref().context("it has a process")?.pid();
    std::thread::sleep(SETTLE);
    measures.record("scale.memory", peak_memory_mb_of(pid)?);
    let before = cpu_seconds_of(pid)?;
    std::thread::sleep(REST);
    measures.record("scale.rest", (cpu_seconds_of(pid)? - before) / REST.as_secs_f64() * 1e3);
    for number in 0..MANY {
        let answer = status(proxy.address, &fleet::path(number), fleet::KEY, body(false))?;
        ensure!(answer == 200, "{} answered {answer}", fleet::name(number));
    }
    measures.record("scale.used.memory", peak_memory_mb_of(pid)?);
    Ok(())
}
