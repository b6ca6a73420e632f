//! The calm cases on a real service: by the target in a file, with credentials from the environment, and below a limit of dollars.
//!
//! Everything that a case makes carries an installation of the tests' own, by which it is removed after each case and at the end.

mod account;
mod drivers;
mod settings;
mod spending;

use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use roadstead_conformance::{CASES, Case, Conduct, Fixture, Place, connect};
use roadstead_provider::{ErrorClass, ProviderError, Removal};
use roadstead_runtime::clock::Clock;

use self::account::{INSTALLATIONS, RealAccounts, wanted};
pub use self::settings::TARGET;
use self::settings::{RealSettings, Task};
use self::spending::Spending;

/// Listings that may still show what was removed.
const SWEEPS: usize = 10;

/// Runs what the environment asks for.
pub fn main(runtime: &tokio::runtime::Runtime) -> ExitCode {
    let done = RealSettings::read(|name| std::env::var(name).ok())
        .and_then(|settings| runtime.block_on(run(&RealAccounts(settings.into()))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(accounts: &RealAccounts) -> anyhow::Result<()> {
    match accounts.0.task {
        Task::Sweep => sweep(accounts).await,
        Task::Cases => cases(accounts).await,
    }
}

async fn cases(accounts: &RealAccounts) -> anyhow::Result<()> {
    let settings = &accounts.0;
    let mut spending = Spending::new(settings)?;
    sweep(accounts).await.context("before the first case")?;
    let (mut passed, mut failed, mut unpaid) = (0, 0, 0);
    let chosen =
        CASES.iter().filter(|case| settings.only.as_ref().is_none_or(|only| case.name.contains(only.as_str())));
    let (disturbing, calm): (Vec<&Case>, Vec<&Case>) = chosen.partition(|case| case.disturbs);
    for case in calm {
        if !spending.allows_another() {
            println!("{} ... not run: it may exceed the limit ({spending})", case.name);
            unpaid += 1;
            continue;
        }
        let begun = Clock::system().now();
        let end = tokio::time::timeout(settings.case_time, case.run(accounts)).await;
        // Whatever came of it: what runs on is billed.
        let swept = sweep(accounts).await;
        spending.count(Clock::system().now() - begun);
        match end.unwrap_or_else(|_| bail!("it took longer than {} s", settings.case_time.as_secs())) {
            Ok(()) => {
                println!("{} ... ok ({spending})", case.name);
                passed += 1;
            }
            Err(error) => {
                println!("{} ... FAILED ({spending}): {error:#}", case.name);
                failed += 1;
            }
        }
        swept.with_context(|| format!("after {}", case.name))?;
    }
    for case in &disturbing {
        println!("{} ... skipped: it needs a fault, which only a fake has on request", case.name);
    }
    println!("{passed} passed, {failed} failed, {unpaid} not run, {} skipped; {spending}", disturbing.len());
    ensure!(failed == 0 && unpaid == 0, "{failed} cases failed, and {unpaid} were not run");
    Ok(())
}

/// Removes every endpoint of the tests' installations, until nothing shows any.
async fn sweep(accounts: &RealAccounts) -> anyhow::Result<()> {
    let place = accounts.place(Conduct::Ordinary).await?;
    let mut trouble = None;
    for _ in 0..SWEEPS {
        match sweep_once(place.as_ref()).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // A service that is busy or away for a moment must not end the sweep.
            Err(error) => {
                println!("a sweep failed and is repeated: {error:#}");
                trouble = Some(error);
            }
        }
        tokio::time::sleep(place.tempo().pause).await;
    }
    Err(trouble.unwrap_or_else(|| anyhow::anyhow!("listings still show endpoints"))).context(
        "endpoints may be left, and are billed until they are deleted: run make conformance-real-sweep with this target",
    )
}

/// Removes what is there; true if nothing was.
async fn sweep_once(place: &dyn Place) -> anyhow::Result<bool> {
    let held = place.holds().await?;
    if held.is_empty() {
        return Ok(true);
    }
    println!("removing {}", held.join(", "));
    for install_id in INSTALLATIONS {
        remove_all(place, install_id).await?;
    }
    Ok(false)
}

/// Removes what a new listing shows of an installation, and what has the name of the cases if it is of this installation.
async fn remove_all(place: &dyn Place, install_id: &str) -> anyhow::Result<()> {
    let (driver, _) = connect(place, install_id).await?;
    for found in &driver.inventory().context("there is an inventory")?.found {
        until_gone(place, async || driver.remove_found(found).await).await?;
    }
    let wanted = wanted(place)?;
    until_gone(place, async || match driver.remove(&wanted.endpoint).await {
        // The other installation made it.
        Err(error) if error.class == ErrorClass::Conflict => Ok(Removal::Gone),
        step => step,
    })
    .await
}

async fn until_gone(place: &dyn Place, step: impl AsyncFn() -> Result<Removal, ProviderError>) -> anyhow::Result<()> {
    let begun = Clock::system().now();
    loop {
        match step().await {
            Ok(Removal::Gone) => return Ok(()),
            Err(error) if error.class != ErrorClass::Transient => return Err(error.into()),
            _ => {}
        }
        ensure!(Clock::system().now() - begun < place.tempo().patience, "an endpoint is still there and billed");
        tokio::time::sleep(place.tempo().pause).await;
    }
}
