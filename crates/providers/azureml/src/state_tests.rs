use roadstead_api::v1alpha1::ServingTarget;
use roadstead_conformance::request::{record, request};
use serde_json::json;

use super::*;
use crate::form::form;
use crate::place::AzureMlPlace;

const NOW: Timestamp = Timestamp(1_796_090_000);

fn target() -> ServingTarget {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
        "spec": {
            "cloud": "azure", "region": "westeurope", "type": "AzureML",
            "azureML": {"subscriptionID": "0b1f6471-1bf0-4dda-aec3-111122223333", "resourceGroup": "models", "workspace": "acme"},
            "offers": [{"name": "a3", "instanceType": "Standard_NC40ads_H100_v5", "accelerator": {"type": "H100", "count": 1},
                        "capacityType": "OnDemand", "hourlyPrice": "11.00"}],
        },
    }))
    .unwrap()
}

fn wanted_form(args: &[&str], replicas: i32) -> OnlineForm {
    let mut endpoint = record("llama-ifozqn2uokcb");
    endpoint.spec.template.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    endpoint.spec.replicas = replicas;
    let place = AzureMlPlace {
        subscription: "0b1f6471-1bf0-4dda-aec3-111122223333".to_owned(),
        resource_group: "models".to_owned(),
        workspace: "acme".to_owned(),
        region: "westeurope".to_owned(),
        endpoint: None,
    };
    form(&place, "prod", &request(endpoint, &target())).unwrap()
}

/// A deployment of this form in a state, with instances, that changed so many seconds ago.
fn deployment(form: &OnlineForm, state: &str, capacity: i32, ago: i64) -> OnlineDeploymentView {
    let changed = jiff::Timestamp::from_second(NOW.0 - ago).unwrap().to_string();
    serde_json::from_value(json!({
        "name": form.deployment_name, "tags": form.deployment.tags, "sku": {"name": "Default", "capacity": capacity},
        "properties": {"provisioningState": state},
        "systemData": {"createdAt": "2026-12-01T01:02:03Z", "lastModifiedAt": changed},
    }))
    .unwrap()
}

/// Everything that is there, and what is wanted.
struct Scene {
    form: OnlineForm,
    view: OnlineView,
    deployments: Vec<OnlineDeploymentView>,
    cause: Option<ArmOperationError>,
    key_is_set: bool,
}

impl Scene {
    fn new(form: OnlineForm, state: &str, traffic: &[&OnlineForm], deployments: Vec<OnlineDeploymentView>) -> Self {
        let traffic: BTreeMap<&str, u32> = traffic.iter().map(|form| (form.deployment_name.as_str(), 100)).collect();
        let creation = serde_json::to_value(form.creation()).unwrap();
        let view = serde_json::from_value(json!({
            "name": form.name, "tags": creation["tags"],
            "properties": {"provisioningState": state, "traffic": traffic},
            "systemData": {"createdAt": "2026-12-01T01:02:03Z"},
        }));
        Self { form, view: view.unwrap(), deployments, cause: None, key_is_set: false }
    }

    fn reading(&self) -> OnlineReading<'_> {
        let Self { form, view, deployments, cause, key_is_set } = self;
        OnlineReading { view, deployments, form, cause: cause.as_ref(), key_is_set: *key_is_set, now: NOW }
    }

    fn due(&self) -> OnlineStep {
        self.reading().due()
    }
}

fn one() -> OnlineForm {
    wanted_form(&[], 1)
}

fn serving() -> Scene {
    Scene::new(one(), "Succeeded", &[&one()], vec![deployment(&one(), "Succeeded", 1, 9)])
}

fn lacks_capacity() -> ArmOperationError {
    let message = "due to a lack of Azure Machine Learning capacity".to_owned();
    ArmOperationError { code: "OutOfQuota".to_owned(), message }
}

#[test]
fn an_endpoint_is_made_step_by_step() {
    let after = |state, traffic: &[&OnlineForm], deployments| Scene::new(one(), state, traffic, deployments).due();
    assert_eq!(after("Creating", &[], vec![]), OnlineStep::Nothing);
    assert_eq!(after("Succeeded", &[], vec![]), OnlineStep::Deploy);
    assert_eq!(after("Succeeded", &[], vec![deployment(&one(), "Creating", 1, 9)]), OnlineStep::Nothing);
    assert_eq!(after("Succeeded", &[], vec![deployment(&one(), "Succeeded", 1, 9)]), OnlineStep::Shift);
    assert_eq!(after("Updating", &[], vec![deployment(&one(), "Succeeded", 1, 9)]), OnlineStep::Nothing);
    assert_eq!(serving().due(), OnlineStep::Nothing);
    assert_eq!(serving().reading().progress(), Progress::Serving);
    assert_eq!(serving().reading().replicas(), (1, 1));
}

#[test]
fn another_form_takes_the_requests_before_the_former_one_goes() {
    let (old, new) = (one(), wanted_form(&["--seed=1"], 1));
    let scene = |traffic: &[&OnlineForm], state| {
        let deployments = vec![deployment(&old, "Succeeded", 1, 9), deployment(&new, state, 1, 9)];
        Scene::new(new.clone(), "Succeeded", traffic, deployments)
    };
    let alone = Scene::new(new.clone(), "Succeeded", &[&old], vec![deployment(&old, "Succeeded", 1, 9)]);
    assert_eq!(alone.due(), OnlineStep::Deploy);
    assert_eq!(scene(&[&old], "Creating").due(), OnlineStep::Nothing);
    assert_eq!(scene(&[&old], "Creating").reading().replicas(), (2, 1));
    assert_eq!(scene(&[&old], "Succeeded").due(), OnlineStep::Shift);
    assert_eq!(scene(&[&new], "Succeeded").due(), OnlineStep::Retire(old.deployment_name.clone()));
}

#[test]
fn a_change_to_something_else_is_waited_for() {
    let (old, new) = (one(), wanted_form(&["--seed=1"], 1));
    let scene = Scene::new(new, "Succeeded", &[], vec![deployment(&old, "Creating", 1, 9)]);
    assert_eq!(scene.due(), OnlineStep::Wait);
    let mut scene = serving();
    scene.form = wanted_form(&[], 3);
    assert_eq!(scene.due(), OnlineStep::Scale);
    scene.deployments = vec![deployment(&wanted_form(&[], 2), "Scaling", 1, 9)];
    assert_eq!(scene.due(), OnlineStep::Wait);
    scene.deployments = vec![deployment(&scene.form, "Scaling", 1, 9)];
    assert_eq!((scene.due(), scene.reading().replicas()), (OnlineStep::Nothing, (1, 1)));
}

#[test]
fn a_first_deployment_that_fails_is_trouble_once_its_cause_is_known_and_tried_again_before() {
    let mut scene = Scene::new(one(), "Succeeded", &[], vec![deployment(&one(), "Failed", 1, 9)]);
    assert_eq!((scene.due(), scene.reading().replicas()), (OnlineStep::Deploy, (0, 0)));
    scene.cause = Some(lacks_capacity());
    assert_eq!(scene.due(), OnlineStep::Nothing);
    assert_eq!(scene.reading().failed_at_first(), Some(&lacks_capacity()));
}

#[test]
fn a_change_that_fails_is_tried_again_after_half_an_hour_and_the_former_form_serves() {
    let (old, new) = (one(), wanted_form(&["--seed=1"], 1));
    let scene = |ago| {
        let deployments = vec![deployment(&old, "Succeeded", 1, 9), deployment(&new, "Failed", 1, ago)];
        let scene = Scene::new(new.clone(), "Succeeded", &[&old], deployments);
        Scene { cause: Some(lacks_capacity()), ..scene }
    };
    assert_eq!(scene(1799).due(), OnlineStep::Failed(Box::new(lacks_capacity())));
    assert_eq!(scene(1799).reading().replicas(), (1, 1));
    assert_eq!(scene(1799).reading().failed_at_first(), None);
    assert_eq!(scene(1801).due(), OnlineStep::Deploy);
    let scaled = wanted_form(&[], 2);
    let failed = |ago| Scene::new(scaled.clone(), "Succeeded", &[&scaled], vec![deployment(&scaled, "Failed", 1, ago)]);
    assert!(matches!(failed(9).due(), OnlineStep::Failed(_)));
    assert_eq!((failed(1801).due(), failed(9).reading().replicas()), (OnlineStep::Scale, (1, 1)));
}

#[test]
fn another_key_is_set_and_then_noted() {
    let mut scene = serving();
    scene.form.key_digest = "other".to_owned();
    assert_eq!(scene.due(), OnlineStep::SetKey);
    assert_ne!(scene.reading().progress(), Progress::Serving);
    scene.key_is_set = true;
    assert_eq!(scene.due(), OnlineStep::Tag);
    assert_eq!(scene.reading().tags()[KEY], "other");
}

#[test]
fn tags_of_others_are_kept_and_change_nothing() {
    let mut scene = serving();
    scene.view.tags.insert("cost-center".to_owned(), "7".to_owned());
    assert_eq!(scene.due(), OnlineStep::Nothing);
    scene.view.tags.remove("roadstead-mark-0");
    assert_eq!((scene.due(), scene.reading().tags()["cost-center"].as_str()), (OnlineStep::Tag, "7"));
}

#[test]
fn an_endpoint_that_could_not_be_made_is_made_again() {
    assert_eq!(Scene::new(one(), "Failed", &[], vec![]).due(), OnlineStep::Repair);
}

#[test]
fn a_state_that_this_version_does_not_know_is_left_alone_and_told_and_ends_no_service() {
    let scene = Scene::new(one(), "Unheard", &[], vec![]);
    assert_eq!(scene.due(), OnlineStep::Nothing);
    let told = format!("{:?}", scene.reading().progress());
    assert!(told.contains("Unheard"), "{told}");

    let form = one();
    let deployed = deployment(&form, "Unheard", 1, 0);
    assert_eq!(Scene::new(form.clone(), "Succeeded", &[&form], vec![deployed.clone()]).reading().replicas(), (1, 1));
    assert_eq!(Scene::new(form, "Succeeded", &[], vec![deployed]).reading().replicas(), (1, 0), "it takes no requests");
}
