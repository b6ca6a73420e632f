//! Questions of the core to a place itself: its identity, owner, abilities and inventory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_model::{self as model, Capabilities};

use crate::ProviderError;
use crate::address::{self, Reach};
use crate::probe::{self, Probe, ProbeAnswer};

/// Interval between two checks of a place that does not count calls, and of every place that is not usable.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// One place that serves models: a cluster, or one (provider, account, region).
#[async_trait]
pub trait Site: Send + Sync {
    /// The provider's name for metrics; a small fixed set.
    fn name(&self) -> &'static str;

    /// The abilities of the place. What it lacks is a verdict of the planner before anything is asked of it.
    fn capabilities(&self) -> Capabilities;

    /// The identity of the place, such as the UID of a cluster or an account with its region.
    ///
    /// # Errors
    /// Any [`ProviderError`]; `Unauthorized` means that the credentials are refused.
    async fn identity(&self) -> Result<String, ProviderError>;

    /// Claims the place for the hub `hub_uid`, taking it over from `takeover` if that hub holds it.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError>;

    /// Begins to watch the place: from now on its [`inventory`](Self::inventory) is kept, and `listener` receives its events.
    /// A place that is watched already goes on as before.
    fn watch(&self, listener: Listener);

    /// The newest inventory; `None` until everything has been listed once.
    fn inventory(&self) -> Option<Arc<Inventory>>;

    /// Message of the newest refusal to list endpoints or to read terms; `None` once that is allowed.
    fn refusal(&self) -> Option<String> {
        None
    }

    /// Interval between two checks of the identity and the claim while the place is usable.
    fn check_interval(&self) -> Duration {
        CHECK_INTERVAL
    }

    /// Addresses to which its endpoints may lead; a place that names their hosts itself may not name every one.
    fn reach(&self) -> Reach {
        address::elsewhere
    }

    /// Asks an endpoint there whether it answers.
    async fn ask(&self, probe: &Probe) -> ProbeAnswer {
        probe::ask(probe, self.reach()).await
    }
}

/// The owner of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This hub.
    Ours,
    /// Another hub that uses the same install id.
    Other {
        /// The UID of that hub's `kube-system` namespace.
        hub_uid: String,
    },
}

/// The capacity of a place and our endpoints there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    /// The machines with what is free on them; `None` where the place shows no such thing.
    pub nodes: Option<Vec<model::Node>>,
    /// Replicas that are bound to machines, by endpoint and machine.
    pub bound: BTreeMap<String, BTreeMap<String, u32>>,
    /// Every endpoint there that carries our install id.
    pub found: Vec<model::Found>,
    /// A sentence that says why `found` is incomplete; `None` if it is complete.
    pub cut: Option<String>,
    /// Terms that the place itself states, by instance type; empty where it states none.
    pub terms: BTreeMap<String, ServiceTerms>,
    /// Message of the newest refusal to read the terms; `None` once that is allowed.
    pub refused: Option<String>,
}

/// Price and quota of an instance type, as a service states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceTerms {
    /// Price of one whole instance for an hour; `None` where the service states none. It is never zero.
    pub hourly: Option<model::MicroDollars>,
    /// Instances that the account may have; `None` where the service states no quota.
    pub most_instances: Option<u32>,
    /// True if the service has further instances; `None` where it does not say so, or in a word that the driver does not know.
    pub available: Option<bool>,
    /// Time when they were read.
    pub observed: model::Timestamp,
}

/// News that a place reports by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEvent {
    /// [`Site::inventory`] has something new.
    Inventory,
    /// The endpoint of this name changed there.
    Endpoint(String),
}

/// Receiver of a place's reports.
pub type Listener = Arc<dyn Fn(ProviderEvent) + Send + Sync>;
