use roadstead_azure::ArmSku;
use roadstead_azure::marks::ArmMark;
use roadstead_conformance::request::record;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use serde_json::json;

use super::*;
use crate::ownership::tags;
use crate::place::CatalogModel;

const CREATED: &str = "2026-12-01T01:00:00.000Z";
const CHANGED: &str = "2026-12-01T02:00:00.000Z";

fn form() -> CatalogForm {
    let mark = ArmMark::of("prod", &record("llama-1"), "0f0f");
    let tags = tags(&mark, None, &Redacted::new("key".to_owned()), "hub").unwrap();
    CatalogForm {
        name: "llama-1".to_owned(),
        mark,
        tags,
        units: 10,
        sku: Ok(ArmSku { name: "GlobalStandard".to_owned(), capacity: 20 }),
        model: Ok(CatalogModel { format: "f".to_owned(), name: "m".to_owned(), version: "1".to_owned() }),
        first_ready: None,
    }
}

fn view(state: &str, modified: &str) -> CatalogDeployment {
    serde_json::from_value(json!({
        "name": "llama-1", "tags": form().tags, "sku": {"name": "GlobalStandard", "capacity": 20},
        "properties": {"provisioningState": state, "model": {"format": "f", "name": "m", "version": "1"}},
        "systemData": {"createdAt": CREATED, "lastModifiedAt": modified},
    }))
    .unwrap()
}

fn due(view: &CatalogDeployment, failure: Option<&ArmOperationError>, after: i64) -> CatalogStep {
    let now = Timestamp(seconds(&view.system_data.last_modified_at).0 + after);
    CatalogReading { view, form: &form(), failure, now }.due()
}

fn failure() -> ArmOperationError {
    ArmOperationError { code: "InsufficientCapacity".to_owned(), message: "none".to_owned() }
}

#[test]
fn what_is_as_wanted_is_left_alone() {
    for state in ["Succeeded", "Creating", "Accepted", "Moving", "AStateOfTomorrow"] {
        assert_eq!(due(&view(state, CREATED), None, 0), CatalogStep::Nothing, "{state}");
    }
}

#[test]
fn each_difference_has_its_step() {
    let mut other_units = view("Succeeded", CREATED);
    other_units.sku.capacity = 10;
    let mut other_model = view("Succeeded", CREATED);
    other_model.properties.model.version = "0".to_owned();
    let mut other_tag = view("Succeeded", CREATED);
    other_tag.tags.insert("roadstead-mark-0".to_owned(), String::new());
    assert_eq!(due(&other_units, None, 0), CatalogStep::Patch);
    assert_eq!(due(&other_tag, None, 0), CatalogStep::Patch);
    assert_eq!(due(&other_model, None, 0), CatalogStep::Put);
    other_units.properties.provisioning_state = "Accepted".to_owned();
    assert_eq!(due(&other_units, None, 0), CatalogStep::Wait);
    assert_eq!(due(&view("Deleting", CREATED), None, 0), CatalogStep::Wait);
}

#[test]
fn a_failed_creation_is_repeated_only_where_its_cause_is_not_known() {
    assert_eq!(due(&view("Failed", CREATED), None, 0), CatalogStep::Put);
    assert_eq!(due(&view("Failed", CREATED), Some(&failure()), 9_000), CatalogStep::Nothing);
}

#[test]
fn a_deployment_that_served_and_shows_a_failed_change_as_its_own_serves_on_and_is_tried_again() {
    let form = CatalogForm { first_ready: Some(Timestamp(seconds(CREATED).0 + 60)), ..form() };
    let view = view("Failed", CHANGED);
    let failure = failure();
    let reading = |after: i64| {
        let now = Timestamp(seconds(CHANGED).0 + after);
        CatalogReading { view: &view, form: &form, failure: Some(&failure), now }
    };
    assert_eq!((reading(0).failed_at_first(), reading(0).replicas()), (None, (2, 2)));
    assert_eq!(reading(1_799).due(), CatalogStep::Failed(failure.clone()));
    assert_eq!(reading(1_800).due(), CatalogStep::Put);
}

#[test]
fn a_state_that_this_version_does_not_know_ends_no_service_and_begins_none() {
    let view = view("AStateOfTomorrow", CREATED);
    let ready = |first_ready| {
        let form = CatalogForm { first_ready, ..form() };
        CatalogReading { view: &view, form: &form, failure: None, now: seconds(CREATED) }.replicas().1
    };
    assert_eq!((ready(None), ready(Some(Timestamp(seconds(CREATED).0 + 60)))), (0, 2));
}

#[test]
fn what_a_former_deployment_of_its_name_has_served_counts_for_nothing() {
    let form = CatalogForm { first_ready: Some(Timestamp(seconds(CREATED).0 - 60)), ..form() };
    let (view, failure) = (view("Failed", CREATED), failure());
    let reading = CatalogReading { view: &view, form: &form, failure: Some(&failure), now: seconds(CREATED) };
    assert_eq!((reading.failed_at_first(), reading.replicas()), (Some(&failure), (2, 0)));
}

#[test]
fn a_deployment_whose_model_the_target_does_not_name_any_more_serves_on_and_scales() {
    let refusal = ProviderError::new(ErrorClass::Refused, "the target names no model");
    let mut form = CatalogForm { model: Err(refusal.clone()), ..form() };
    let mut view = view("Succeeded", CREATED);
    let reading = |view: &CatalogDeployment, form: &CatalogForm| {
        let reading = CatalogReading { view, form, failure: None, now: seconds(CREATED) };
        (reading.due(), reading.progress() == Progress::Serving)
    };
    assert_eq!(reading(&view, &form), (CatalogStep::Nothing, true));
    view.sku.capacity = 10;
    assert_eq!(reading(&view, &form).0, CatalogStep::Patch);
    assert_eq!(form.patch(&view).unwrap().sku.capacity, 20);
    form.mark.template = "another".to_owned();
    assert_eq!(form.patch(&view), Err(refusal));
}

#[test]
fn a_failed_change_is_repeated_after_half_an_hour() {
    let mut former = view("Succeeded", CHANGED);
    former.sku.capacity = 10;
    assert_eq!(due(&former, Some(&failure()), 1_799), CatalogStep::Failed(failure()));
    assert_eq!(due(&former, Some(&failure()), 1_800), CatalogStep::Patch);
}

#[test]
fn a_deployment_serves_on_while_it_changes_and_not_before_its_first_success() {
    for (state, modified, expected) in [
        ("Creating", CREATED, false),
        ("Accepted", CHANGED, true),
        ("Succeeded", CREATED, true),
        ("Failed", CHANGED, false),
        ("Disabled", CHANGED, false),
        ("Deleting", CHANGED, false),
    ] {
        assert_eq!(view(state, modified).is_up(), expected, "{state}");
    }
}
