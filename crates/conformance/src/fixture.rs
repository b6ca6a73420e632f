//! Fixtures: the places that a driver brings, and the ways to disturb them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget};
use roadstead_provider::Provider;

use crate::faults::Fault;
use crate::oddity::Oddity;
use crate::request::LLAMA;

/// The installation of the cases where places are played.
pub const PROD: &str = "prod";

/// The number of endpoints in the case of the long listing: two pages or more at every service.
pub const MANY: usize = 2_000;

/// Behaviour of a place from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// Accepts what it is asked, and does it after a while.
    Ordinary,
    /// Accepts creations and finds no room for them afterwards.
    LacksCapacity,
    /// Accepts creations and finds a quota used up afterwards.
    LacksQuota,
    /// Holds as many endpoints of the installation `prod` as [`Fixture::many`] says.
    Crowded,
}

/// The most calls that a driver may make for an endpoint that is as it should be, without listings and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallBudget {
    /// In a look.
    pub observe: usize,
    /// In a request to bring about what is there.
    pub ensure: usize,
}

/// Habits of a service as far as not every service has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habits {
    /// It keeps the record of an endpoint's form.
    pub keeps_records: bool,
    /// It says why something fails late; of one that does not, each such failure counts as a lack of capacity.
    pub tells_reasons: bool,
    /// Name by which it serves the model of the cases.
    pub model: String,
    /// It deletes an endpoint that it is still making; of one that does not, the removal waits for the end of the creation.
    pub stops_creations: bool,
    /// Calls that its driver needs.
    pub budget: CallBudget,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            keeps_records: true,
            tells_reasons: true,
            model: LLAMA.to_owned(),
            stops_creations: true,
            budget: CallBudget { observe: 1, ensure: 1 },
        }
    }
}

/// A driver's way to its own places, in the test.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Endpoints in the case of the long listing. Fewer than [`MANY`] only where the rate of the service allows no more in the time of
    /// a test.
    fn many(&self) -> usize {
        MANY
    }

    /// The reason why no place here plays this; `None` where each does.
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str>;

    /// A new place that behaves so.
    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>>;
}

/// Times of the cases at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tempo {
    /// Longer than anything takes that goes well.
    pub patience: Duration,
    /// Pause between two looks.
    pub pause: Duration,
}

/// One place, and drivers for it.
#[async_trait]
pub trait Place: Send + Sync {
    /// The target's declaration.
    fn target(&self) -> ServingTarget;

    /// Habits of its service.
    fn habits(&self) -> Habits {
        Habits::default()
    }

    /// Ids of the installation of the cases, and of another one.
    fn installations(&self) -> [&str; 2] {
        [PROD, "staging"]
    }

    /// Times of the cases: of a place that is played, whose clock runs fast.
    fn tempo(&self) -> Tempo {
        Tempo { patience: Duration::from_mins(2), pause: Duration::from_millis(25) }
    }

    /// Changes a wanted endpoint to one that the place can run; a place that is played runs any.
    fn adapt(&self, endpoint: &mut InferenceEndpoint) {
        let _ = endpoint;
    }

    /// A new driver for an installation, as the operator uses it after its start ([`Discreet`]); nothing was asked of it.
    ///
    /// [`Discreet`]: roadstead_provider::discreet::Discreet
    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>>;

    /// Has something go wrong, or everything go well again.
    fn set(&self, fault: Option<Fault>);

    /// Has the service do something odd with the calls from now on, or nothing odd any more.
    ///
    /// # Errors
    /// If the place cannot play it.
    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()>;

    /// Lets the place do a part of what it does by itself: replicas start, what is being deleted goes. Called again and
    /// again.
    async fn work(&self) -> anyhow::Result<()>;

    /// Takes the endpoint of this name away as an administrator of the place would.
    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()>;

    /// Number of calls so far that were no listings and no streams.
    fn calls(&self) -> usize;

    /// Makes something of this name as somebody else would who knows nothing of Roadstead: without any mark.
    ///
    /// # Errors
    /// If the place cannot play [`Oddity::NameTaken`].
    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()>;

    /// Names of all endpoints that exist at the place and cost money, whoever made them.
    async fn holds(&self) -> anyhow::Result<Vec<String>>;
}
