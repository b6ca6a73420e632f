use std::collections::BTreeMap;

use roadstead_model::{CapacityType, DeploymentId, Found, Timestamp};
use roadstead_provider::{Present, address};

use super::*;
use crate::listing::{Listable, ListedPlace};
use crate::managed::EndpointOwner;

const NAME_OF_IT: &str = "llama-on-east";

/// A service with one endpoint until it is deleted.
#[derive(Default)]
struct One(Mutex<bool>);

impl One {
    fn is_gone(&self) -> bool {
        *self.0.lock().unwrap()
    }
}

fn found() -> Found {
    Found {
        name: NAME_OF_IT.to_owned(),
        id: "u".to_owned(),
        deployment: DeploymentId { namespace: "team-a".to_owned(), name: "llama".to_owned() },
        target: "east".to_owned(),
        offer: "a3".to_owned(),
        shape: "one".to_owned(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 1,
        runs: None,
        replicas: 1,
        ready_replicas: 1,
        created_at: Timestamp::default(),
    }
}

#[async_trait]
impl Listable for One {
    type Row = ();

    async fn list(&self) -> Result<ListedPlace<()>, ProviderError> {
        let inventory = Inventory { found: vec![found()], ..Inventory::default() };
        Ok(ListedPlace { rows: BTreeMap::new(), inventory })
    }
}

#[async_trait]
impl ManagedService for One {
    const NAME: &'static str = "one";
    const TITLE: &'static str = "One";
    type View = ();
    type Form = ();

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn install_id(&self) -> &'static str {
        "prod"
    }

    fn reach(&self) -> Reach {
        address::anywhere
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        Ok("place".to_owned())
    }

    async fn claim(&self, _: &str, _: &str, _: Option<&str>) -> Result<Claim, ProviderError> {
        Ok(Claim::Ours)
    }

    fn form(&self, _: &Wanted) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn find(&self, _: &str) -> Result<Option<()>, ProviderError> {
        Ok((!self.is_gone()).then_some(()))
    }

    fn ownership((): &()) -> EndpointOwnership {
        let owner = EndpointOwner {
            install_id: "prod".to_owned(),
            namespace: "team-a".to_owned(),
            deployment: "llama".to_owned(),
        };
        EndpointOwnership { name: NAME_OF_IT.to_owned(), uid: "u".to_owned(), owner: Some(owner) }
    }

    fn is_of((): &(), (): &()) -> bool {
        true
    }

    async fn present(&self, _: &Wanted, (): &(), (): &(), _: ExternalId) -> Result<Present, ProviderError> {
        Err(ProviderError::new(ErrorClass::Bug, "nothing is shown"))
    }

    async fn create(&self, (): &()) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn correct(&self, (): &(), (): &()) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn delete(&self, (): &()) -> Result<Removal, ProviderError> {
        *self.0.lock().unwrap() = true;
        Ok(Removal::Gone)
    }

    async fn key(&self, (): &()) -> Result<Option<Redacted>, ProviderError> {
        Ok(None)
    }
}

/// The driver after its only listing, which the test does not live to see repeated.
async fn listed() -> ServiceDriver<One> {
    let driver = ServiceDriver::new(One::default()).listing_every(Duration::from_hours(1));
    driver.watch(Arc::new(|_| {}));
    while driver.inventory().is_none() {
        tokio::task::yield_now().await;
    }
    driver
}

fn shown(driver: &ServiceDriver<One>) -> usize {
    driver.inventory().unwrap().found.len()
}

#[tokio::test]
async fn what_was_found_and_removed_is_listed_no_more_before_the_next_listing() {
    let driver = listed().await;
    assert_eq!(shown(&driver), 1);
    assert_eq!(driver.remove_found(&found()).await.unwrap(), Removal::Gone);
    assert_eq!(shown(&driver), 0);
}

#[tokio::test]
async fn what_somebody_else_removed_is_listed_no_more_once_its_removal_was_asked_for() {
    let driver = listed().await;
    driver.service.delete(&()).await.unwrap();
    assert_eq!(driver.remove_found(&found()).await.unwrap(), Removal::Gone);
    assert_eq!(shown(&driver), 0);
}
