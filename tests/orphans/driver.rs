//! The Kubernetes driver's removal of a found endpoint.

use std::sync::Arc;

use roadstead_api::v1alpha1::names;
use roadstead_kubernetes::Kubernetes;
use roadstead_model::Found;
use roadstead_provider::{ErrorClass, ProviderError, Removal, Site, Workload};

use crate::stage::{Stage, stage, text, until};

/// The driver of the member.
async fn driver(stage: &Stage) -> Kubernetes {
    Kubernetes::new(stage.member.client().await.unwrap(), "roadstead".into(), "prod".into())
}

/// Found endpoint of this name, once the driver has listed the member.
async fn found(driver: &Kubernetes, name: &str) -> Found {
    driver.watch(Arc::new(|_| {}));
    let start = std::time::Instant::now();
    loop {
        let inventory = driver.inventory();
        if let Some(found) = inventory.iter().flat_map(|inventory| &inventory.found).find(|found| found.name == name) {
            return found.clone();
        }
        assert!(start.elapsed().as_secs() < 30, "{name} is not found");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Runs a test's calls to the driver.
fn run(calls: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(calls);
}

fn class(result: Result<Removal, ProviderError>) -> Result<Removal, ErrorClass> {
    result.map_err(|error| error.class)
}

#[test]
fn what_was_found_goes_and_is_asked_for_until_it_is_gone() {
    let stage = stage();
    run(async {
        let name = stage.plant("prod", "lost", "east");
        stage.plant_key(&name);
        let driver = driver(&stage).await;
        let found = found(&driver, &name).await;
        let removal = driver.remove_found(&found).await.unwrap();
        assert!(matches!(&removal, Removal::InProgress { message } if message.contains(&name)), "{removal:?}");
        assert!(stage.is_leaving(&name) && stage.belongings(&name) == 0);
        assert!(matches!(driver.remove_found(&found).await.unwrap(), Removal::InProgress { .. }));
        stage.finish("deploy", &name);
        assert_eq!(class(driver.remove_found(&found).await), Ok(Removal::Gone));
    });
}

#[test]
fn another_thing_of_the_same_name_is_not_touched() {
    let stage = stage();
    run(async {
        let name = stage.plant("prod", "lost", "east");
        let driver = driver(&stage).await;
        let found = found(&driver, &name).await;
        stage.finish("deploy", &name);
        until("it is gone", || stage.on_member(&name).is_null(), String::new);
        stage.plant("prod", "lost", "east");
        stage.plant_key(&name);
        assert_eq!(class(driver.remove_found(&found).await), Err(ErrorClass::Conflict));
        assert!(!stage.is_leaving(&name) && stage.belongings(&name) == 1);
    });
}

#[test]
fn what_does_not_carry_our_tags_any_more_is_not_touched() {
    let stage = stage();
    run(async {
        let name = stage.plant("prod", "lost", "east");
        let driver = driver(&stage).await;
        let found = found(&driver, &name).await;
        for tag in [format!("{}=staging", names::LABEL_INSTALL_ID), format!("{}=another", names::LABEL_DEPLOYMENT)] {
            text(stage.member.kubectl().args(["label", "--overwrite", "deploy", &name, "-n", "roadstead", &tag]));
            assert_eq!(class(driver.remove_found(&found).await), Err(ErrorClass::Conflict), "{tag}");
        }
        assert!(!stage.is_leaving(&name));
    });
}
