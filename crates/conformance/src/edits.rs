//! Cases of edits of what serves: replicas, form, engine settings, and the offer of its target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, ensure};
use roadstead_api::v1alpha1::Offer;
use roadstead_model::{Demand, EngineSetting, Lack};
use roadstead_provider::{Present, Progress, Wanted};

use crate::fixture::{Conduct, Fixture};
use crate::request::edited;
use crate::stage::Stage;
use crate::verdict::{demand, is_verdict, lack};

pub async fn scales_in_place(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let three = |wanted: &Wanted| edited(wanted, |endpoint| endpoint.spec.replicas = 3);
    if let Some(lack) = lack(&stage, &three(&stage.wanted)) {
        return is_verdict(lack, &[Lack::Replicas { most: 1 }, Lack::Replicas { most: 2 }]);
    }
    changes_in_place(&stage, three).await
}

pub async fn updates_in_place(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    if !stage.driver.capabilities().update_in_place {
        let lack = stage.driver.capabilities().lacks(&Demand { update: true, ..demand(&stage.wanted) });
        return is_verdict(lack.context("an update that it cannot do is not judged")?, &[Lack::UpdateInPlace]);
    }
    let before = stage.serving().await?;
    let former = stage.present(&before).await?.template_hash;
    let edit = |wanted: &Wanted| {
        edited(wanted, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=2048".to_owned()])
    };
    let present = changed(&stage, &before, edit).await?;
    ensure!(present.template_hash != former, "the new form has the hash of the former one");
    Ok(())
}

pub async fn scales_to_zero_and_back(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let none = |wanted: &Wanted| edited(wanted, |endpoint| endpoint.spec.replicas = 0);
    if let Some(lack) = lack(&stage, &none(&stage.wanted)) {
        return is_verdict(lack, &[Lack::ScaleToZero]);
    }
    let one = stage.serving().await?;
    changed(&stage, &one, none).await?;
    changed(&stage, &one, Wanted::clone).await?;
    stage.holds(1).await
}

/// Makes the endpoint, changes it, and waits until it serves so: it is the same one.
async fn changes_in_place(stage: &Stage, edit: impl Fn(&Wanted) -> Wanted) -> anyhow::Result<()> {
    let before = stage.serving().await?;
    changed(stage, &before, edit).await?;
    stage.holds(1).await
}

async fn changed(stage: &Stage, before: &Wanted, edit: impl Fn(&Wanted) -> Wanted) -> anyhow::Result<Box<Present>> {
    let known = before.endpoint.status.as_ref().and_then(|status| status.external_id.clone());
    let after = edit(before);
    ensure!(!stage.present(&after).await?.in_sync, "an edit is not noticed");
    let id = stage.driver.ensure(&after).await?;
    ensure!(Some(&id) == known.as_ref(), "the edit made another one: {id:?}, not {known:?}");
    stage.serves(&after).await
}

/// An edit of a target is for new endpoints: what serves keeps its instances, and stays in sight.
pub async fn serves_on_after_an_edit_of_its_offer(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let wanted = stage.serving().await?;
    let before = stage.present(&wanted).await?;
    let renamed =
        |offers: &mut Vec<Offer>| offers.iter_mut().for_each(|offer| "none-such".clone_into(&mut offer.instance_type));
    for edit in [renamed, Vec::clear] {
        let mut target = wanted.target.as_ref().clone();
        edit(&mut target.spec.offers);
        let present = stage.present(&Wanted { target: Arc::new(target), ..wanted.clone() }).await?;
        let is_same = present.external_id == before.external_id && present.template_hash == before.template_hash;
        ensure!(is_same && present.in_sync && present.progress == Progress::Serving, "it is changed: {present:?}");
    }
    stage.holds(1).await
}

pub async fn names_its_type_where_settings_of_the_engine_have_no_effect(fixture: &dyn Fixture) -> anyhow::Result<()> {
    let stage = Stage::set(fixture, Conduct::Ordinary).await?;
    let capabilities = stage.driver.capabilities();
    let type_ = stage.place.target().spec.type_;
    let named = capabilities.own_server.clone();
    ensure!(
        named.is_some() == type_.has_own_server(),
        "the type says {}, and the driver says {named:?}",
        type_.has_own_server()
    );
    let Some(named) = named else {
        return Ok(());
    };
    let type_ = type_.name();
    ensure!(named == type_, "a deployment leaves settings out at {named}, and the target is of type {type_}");
    for setting in [EngineSetting::Args, EngineSetting::Env, EngineSetting::Revision] {
        let with = |left_out| BTreeMap::from([(setting, left_out)]);
        let (kept, left_out) = (with(BTreeSet::new()), with(BTreeSet::from([type_.clone()])));
        let lacks = |settings| capabilities.lacks(&Demand { settings, ..demand(&stage.wanted) });
        ensure!(lacks(&kept) == Some(Lack::Settings), "{setting:?} is ignored without a verdict");
        ensure!(lacks(&left_out).is_none(), "{setting:?} is left out there, and it lacks {:?}", lacks(&left_out));
    }
    Ok(())
}
