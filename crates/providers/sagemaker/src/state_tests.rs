use std::collections::BTreeMap;

use super::*;
use crate::wire::{Container, NewConfig, NewEndpoint, NewModel, PendingView, VariantView};

const NEW: &str = "llama-ifozqn2uokcb-00000000000000aa";
const OLD: &str = "llama-ifozqn2uokcb-00000000000000bb";
const NOW: Timestamp = Timestamp(1_000_000);

fn form() -> WantedForm {
    WantedForm {
        resource: NEW.to_owned(),
        model: NewModel {
            model_name: NEW.to_owned(),
            primary_container: Container { image: String::new(), environment: BTreeMap::new() },
            execution_role_arn: String::new(),
            tags: Vec::new(),
        },
        config: NewConfig { endpoint_config_name: NEW.to_owned(), production_variants: Vec::new(), tags: Vec::new() },
        endpoint: NewEndpoint {
            endpoint_name: "llama-ifozqn2uokcb".to_owned(),
            endpoint_config_name: NEW.to_owned(),
            tags: Vec::new(),
        },
        identity: TagMap::new(),
        tags: tags(&[("replicas", "2")]),
        replicas: 2,
        template_hash: "new".to_owned(),
    }
}

fn tags(tags: &[(&str, &str)]) -> TagMap {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn view(status: &str, config: Option<&str>, current: i32, desired: i32) -> EndpointDescription {
    EndpointDescription {
        endpoint_name: "llama-ifozqn2uokcb".to_owned(),
        endpoint_arn: "arn".to_owned(),
        endpoint_config_name: config.map(ToOwned::to_owned),
        endpoint_status: status.to_owned(),
        failure_reason: None,
        creation_time: 1.0,
        last_modified_time: 1.0,
        production_variants: vec![VariantView { current_instance_count: current, desired_instance_count: desired }],
        pending_deployment_summary: None,
    }
}

fn due(view: &EndpointDescription, tags: &TagMap) -> DueStep {
    Reading { view, tags, form: &form(), now: NOW }.due()
}

#[test]
fn nothing_is_due_where_form_instances_and_tags_are_as_wanted() {
    let (view, tags) = (view("InService", Some(NEW), 2, 2), form().tags);
    assert_eq!(due(&view, &tags), DueStep::Nothing);
    assert_eq!(Reading { view: &view, tags: &tags, form: &form(), now: NOW }.progress(), Progress::Serving);
}

#[test]
fn another_form_number_or_tag_is_due() {
    let tags = form().tags;
    assert_eq!(due(&view("InService", Some(OLD), 2, 2), &tags), DueStep::Update);
    assert_eq!(due(&view("InService", Some(NEW), 1, 1), &tags), DueStep::Scale);
    assert_eq!(due(&view("InService", Some(NEW), 2, 2), &TagMap::new()), DueStep::Label);
    assert_eq!(due(&view("OutOfService", Some(OLD), 0, 0), &tags), DueStep::Update);
}

#[test]
fn instances_that_nobody_wants_end_before_an_update_runs_as_many_again() {
    let tags = form().tags;
    let many = view("InService", Some(OLD), 3, 3);
    assert_eq!(due(&many, &tags), DueStep::Scale);
    let told = Reading { view: &many, tags: &tags, form: &form(), now: NOW }.tags_of_change(&DueStep::Scale);
    assert_eq!(told.keys().collect::<Vec<_>>(), [ATTEMPT], "the form that runs is the former one");
    assert_eq!(due(&view("InService", Some(OLD), 2, 2), &tags), DueStep::Update);
    assert_eq!(
        due(&view("InService", Some(OLD), 1, 1), &tags),
        DueStep::Update,
        "a missing one is added after the update"
    );
}

#[test]
fn what_is_under_way_is_waited_for() {
    let tags = form().tags;
    let mut deploying = view("Updating", Some(OLD), 2, 2);
    deploying.pending_deployment_summary = Some(PendingView { endpoint_config_name: NEW.to_owned() });
    assert_eq!(due(&deploying, &tags), DueStep::Nothing, "the wanted form is being deployed");
    assert_eq!(due(&view("Updating", Some(NEW), 1, 2), &tags), DueStep::Nothing, "instances are being added");
    let mut creating = view("Creating", None, 0, 0);
    creating.production_variants.clear();
    creating.pending_deployment_summary = Some(PendingView { endpoint_config_name: NEW.to_owned() });
    assert_eq!(due(&creating, &tags), DueStep::Nothing);
    for busy in ["Updating", "RollingBack", "SystemUpdating", "Deleting", "Dreaming"] {
        assert_eq!(due(&view(busy, Some(OLD), 2, 2), &tags), DueStep::Wait, "{busy}");
    }
}

#[test]
fn a_change_that_was_undone_is_not_repeated_at_once() {
    // The endpoint was changed a moment before: that is not this change.
    let former = f64_of(NOW.0 - 5);
    let reading_of = |tags: &TagMap, changed: f64, now: i64| {
        let view = EndpointDescription { last_modified_time: changed, ..view("InService", Some(OLD), 2, 2) };
        Reading { view: &view, tags, form: &form(), now: Timestamp(now) }.due()
    };
    let before = EndpointDescription { last_modified_time: former, ..view("InService", Some(OLD), 2, 2) };
    let begun = Reading { view: &before, tags: &form().tags, form: &form(), now: NOW }.tags_of_change(&DueStep::Update);
    let taken = f64_of(NOW.0 + 5);
    assert_eq!(reading_of(&begun, former, NOW.0 + 60), DueStep::Update, "the service never took the call");
    assert_eq!(reading_of(&begun, taken, NOW.0 + 60), DueStep::Failed);
    assert_eq!(reading_of(&begun, taken, NOW.0 + 1805), DueStep::Update, "after half an hour");
    let other = tags(&[("replicas", "2"), (ATTEMPT, &format!("{OLD}:2:{former:.3}"))]);
    assert_eq!(reading_of(&other, taken, NOW.0 + 60), DueStep::Update, "another change is another attempt");
}

#[test]
fn after_a_change_of_the_form_that_lasted_its_instances_are_changed_at_once() {
    let changed = |config: &str| EndpointDescription {
        last_modified_time: f64_of(NOW.0 + 5),
        ..view("InService", Some(config), 1, 1)
    };
    let reading = |view: &EndpointDescription, tags: &TagMap| {
        Reading { view, tags, form: &form(), now: Timestamp(NOW.0 + 60) }.due()
    };
    let tags_of = |view: &EndpointDescription, step: &DueStep| {
        Reading { view, tags: &form().tags, form: &form(), now: NOW }.tags_of_change(step)
    };
    let updated = tags_of(&view("InService", Some(OLD), 1, 1), &DueStep::Update);
    assert_eq!(reading(&changed(NEW), &updated), DueStep::Scale);
    assert_eq!(reading(&changed(OLD), &updated), DueStep::Failed, "the form was undone");
    let scaled = tags_of(&view("InService", Some(NEW), 1, 1), &DueStep::Scale);
    assert_eq!(reading(&changed(NEW), &scaled), DueStep::Failed, "the instances were undone");
}

#[allow(clippy::cast_precision_loss, reason = "a small number of a test")]
const fn f64_of(seconds: i64) -> f64 {
    seconds as f64
}

#[test]
fn a_former_form_is_left_over_by_a_change_and_unused_from_the_next_one_on() {
    let former = view("InService", Some(OLD), 2, 2);
    let begun = Reading { view: &former, tags: &form().tags, form: &form(), now: NOW }.tags_of_change(&DueStep::Update);
    assert_eq!(begun[FORMER], "00000000000000bb");
    let leftovers =
        |view: &EndpointDescription, tags: &TagMap| Reading { view, tags, form: &form(), now: NOW }.leftovers();
    assert!(leftovers(&former, &begun).is_empty(), "it is still in force");
    assert_eq!(leftovers(&view("InService", Some(NEW), 2, 2), &begun), ["00000000000000bb"]);
    let scaled = view("InService", Some(NEW), 1, 1);
    let scaling = Reading { view: &scaled, tags: &begun, form: &form(), now: NOW }.tags_of_change(&DueStep::Scale);
    assert_eq!(scaling.get(FORMER), None, "a change of instances leaves the tag as it is");
}

#[test]
fn a_form_that_was_tried_in_vain_is_left_over_too_and_the_wanted_one_never() {
    let third = "llama-ifozqn2uokcb-00000000000000cc";
    let known = tags(&[(ATTEMPT, &format!("{third}:2:5")), (FORMER, "00000000000000aa:no:00000000000000dd")]);
    let before = view("InService", Some(OLD), 2, 2);
    let found = Reading { view: &before, tags: &known, form: &form(), now: NOW }.leftovers();
    assert_eq!(found, ["00000000000000dd", "00000000000000cc"]);
}

#[test]
fn every_state_of_the_service_has_its_progress_and_an_unknown_one_is_no_end() {
    let shown = |status| {
        let view = view(status, Some(NEW), 2, 2);
        let reading = Reading { view: &view, tags: &form().tags, form: &form(), now: NOW };
        (reading.progress() == Progress::Serving, reading.replicas().1)
    };
    for (status, expected) in [
        ("InService", (true, 2)),
        ("SystemUpdating", (true, 2)),
        ("UpdateRollbackFailed", (true, 2)),
        ("Updating", (false, 2)),
        ("RollingBack", (false, 2)),
        ("Creating", (false, 0)),
        ("OutOfService", (false, 0)),
        ("Failed", (false, 0)),
        ("Deleting", (false, 0)),
        ("Dreaming", (false, 2)),
    ] {
        assert_eq!(shown(status), expected, "{status}");
    }
}
