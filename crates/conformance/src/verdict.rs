//! Verdicts: what a place cannot do by its capabilities, as the planner judges it before anything is asked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use roadstead_model::{Demand, EngineSetting, Lack};
use roadstead_provider::Wanted;

use crate::stage::Stage;

/// Settings of the cases' engine that a service may ignore: none that changes what the cases look at.
static NO_SETTINGS: BTreeMap<EngineSetting, BTreeSet<String>> = BTreeMap::new();

/// The demand of a request, as the planner judges it.
pub fn demand(wanted: &Wanted) -> Demand<'_> {
    let template = &wanted.endpoint.spec.template;
    Demand {
        engine: template.engine.as_str(),
        source: template.model.source.as_deref(),
        settings: &NO_SETTINGS,
        replicas: u32::try_from(wanted.endpoint.spec.replicas).unwrap_or(0),
        update: false,
    }
}

/// Which part of a request the place cannot do, by its capabilities.
pub fn lack(stage: &Stage, wanted: &Wanted) -> Option<Lack> {
    stage.driver.capabilities().lacks(&demand(wanted))
}

/// Checks that the verdict on what a place cannot do is one of these.
pub fn is_verdict(lack: Lack, expected: &[Lack]) -> anyhow::Result<()> {
    ensure!(expected.contains(&lack), "it is judged {lack:?}, not one of {expected:?}");
    Ok(())
}

/// True if the place updates in place; else that is a verdict.
pub fn updates(stage: &Stage) -> anyhow::Result<bool> {
    let capabilities = stage.driver.capabilities();
    if !capabilities.update_in_place {
        let lack = capabilities.lacks(&Demand { update: true, ..demand(&stage.wanted) });
        is_verdict(lack.context("an update that it cannot do is not judged")?, &[Lack::UpdateInPlace])?;
    }
    Ok(capabilities.update_in_place)
}
