//! Weather: watches that are cut and expire, servers that refuse, conflict and dawdle. Each ends as the undisturbed run
//! does, with as many births and deaths, and without a hot loop.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::crash_sweep::{Reference, SCENARIOS, Scenario, begin, survive, undisturbed};
use super::rig::Rig;
use super::weather::{Disturbance, Effect, Verb};

/// The most that the operator may do: some three times what it was seen to do.
struct Most {
    reconciles: u64,
    /// Calls to the hub and the cloud.
    calls: u64,
    /// Beside them, in each second: watches that begin anew.
    calls_a_second: f64,
}

/// Duration of a failure that affects everything or nearly everything.
const OUTAGE: Duration = Duration::from_secs(4);

/// Faults of all calls in a test.
struct Climate {
    name: &'static str,
    weather: fn() -> Vec<Disturbance>,
    /// Duration after each change, if limited: some faults would keep everything from ending.
    lasts: Option<Duration>,
    most: Most,
}

const CLIMATES: [Climate; 4] = [
    Climate {
        name: "watches that break off three times a second",
        weather: || vec![Disturbance { calls: |call| call.watches(), effect: Effect::Cut(Duration::from_millis(300)) }],
        lasts: None,
        most: Most { reconciles: 120, calls: 300, calls_a_second: 50.0 },
    },
    Climate {
        name: "watches that expire, and lists that expire between their pages",
        weather: || {
            vec![
                Disturbance { calls: |call| call.watches(), effect: Effect::Expires(Duration::from_millis(700)) },
                Disturbance { calls: |call| !call.watches(), effect: Effect::SmallPages },
                Disturbance {
                    calls: |call| call.verb == Verb::Continue,
                    effect: Effect::Storm { code: 410, retry_after: None, but_one_in: 2 },
                },
            ]
        },
        lasts: None,
        most: Most { reconciles: 120, calls: 300, calls_a_second: 30.0 },
    },
    Climate {
        name: "a hub and a cloud that refuse two calls of three",
        weather: || {
            let storm = |code, retry_after| Effect::Storm { code, retry_after, but_one_in: 3 };
            vec![
                Disturbance { calls: |call| call.hub && call.writes(), effect: storm(503, None) },
                Disturbance { calls: |call| call.hub && !call.writes(), effect: storm(429, Some(1)) },
                Disturbance { calls: |call| !call.hub, effect: storm(429, Some(1)) },
            ]
        },
        lasts: Some(OUTAGE),
        most: Most { reconciles: 200, calls: 400, calls_a_second: 0.0 },
    },
    Climate {
        name: "a conflict on the first write of each object, and slow answers",
        weather: || {
            vec![
                Disturbance { calls: |call| call.hub && call.writes(), effect: Effect::FirstConflicts },
                Disturbance { calls: |call| !call.watches(), effect: Effect::Slow(Duration::from_millis(200)) },
            ]
        },
        lasts: None,
        most: Most { reconciles: 150, calls: 350, calls_a_second: 0.0 },
    },
];

/// Creating, replacing and deleting in every climate.
pub fn any_weather_ends_like_calm(rig: &Rig) -> anyhow::Result<()> {
    let life: Vec<&Scenario> =
        SCENARIOS.iter().filter(|one| ["create", "edit that replaces", "delete"].contains(&one.name)).collect();
    begin(rig, false)?;
    let calm: Vec<Reference> = life.iter().map(|step| undisturbed(rig, step)).collect::<anyhow::Result<_>>()?;
    for Climate { name, weather, lasts, most } in &CLIMATES {
        rig.quiet().with_context(|| format!("before {name}"))?;
        let effort = Effort::begin(rig)?;
        for (step, reference) in life.iter().zip(&calm) {
            rig.tape.rewind(None);
            rig.weather.set(weather());
            (step.act)(rig)?;
            if let Some(lasts) = lasts {
                std::thread::sleep(*lasts);
                rig.weather.clear();
            }
            survive(rig, reference)
                .with_context(|| format!("{}, {name}; it wrote {:?}", step.name, rig.tape.writes()))?;
        }
        rig.weather.clear();
        effort.end(rig, name, most)?;
    }
    Ok(())
}

/// Nothing gets through in the middle of a creation: few tries, and it goes on once it does again.
pub fn an_outage_is_met_with_patience(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, false)?;
    let [create, ..] = &SCENARIOS;
    let calm = undisturbed(rig, create)?;
    begin(rig, false)?;
    rig.weather.set(vec![Disturbance { calls: |_| true, effect: Effect::Refused { code: 503, retry_after: None } }]);
    rig.tape.rewind(None);
    (create.act)(rig)?;
    let effort = Effort::begin(rig)?;
    std::thread::sleep(OUTAGE);
    effort.end(rig, "an outage", &Most { reconciles: 15, calls: 15, calls_a_second: 0.0 })?;
    rig.weather.clear();
    survive(rig, &calm)
}

/// The operator's work since this began.
struct Effort {
    since: Instant,
    reconciles: u64,
    calls: usize,
}

impl Effort {
    fn begin(rig: &Rig) -> anyhow::Result<Self> {
        Ok(Self { since: Instant::now(), reconciles: rig.reconciles()?, calls: rig.tape.calls() })
    }

    /// Sees that it kept within the bounds.
    fn end(&self, rig: &Rig, what: &str, most: &Most) -> anyhow::Result<()> {
        let seconds = self.since.elapsed().as_secs_f64();
        let (reconciles, calls) = (rig.reconciles()? - self.reconciles, rig.tape.calls() - self.calls);
        eprintln!("{what}: {reconciles} reconciles and {calls} calls in {seconds:.0} s");
        ensure!(reconciles <= most.reconciles, "{what}: {reconciles} reconciles");
        let beside = Duration::from_secs_f64(seconds * most.calls_a_second).as_secs();
        ensure!(calls as u64 <= most.calls + beside, "{what}: {calls} calls in {seconds:.0} s");
        Ok(())
    }
}
