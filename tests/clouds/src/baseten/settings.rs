//! Settings of the fake: keys, teams, times, instance types and regions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Settings of Baseten's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BasetenSettings {
    /// Keys that exist from the beginning.
    pub keys: Vec<BasetenKey>,
    /// Id and name of each team; the first one is the default.
    pub teams: Vec<(String, String)>,
    /// Duration of a build.
    pub building_seconds: u32,
    /// Time from there until a replica has a machine.
    pub deploying_seconds: u32,
    /// Time from there until it serves; also the time of a change of replicas.
    pub loading_seconds: u32,
    /// Time after which a lack of machines shows.
    pub capacity_seconds: u32,
    /// Instance types.
    pub instances: Vec<BasetenInstance>,
    /// Machines that exist, by id of the instance type; of one that is not named there are always enough.
    pub machines: BTreeMap<String, u32>,
    /// Regions.
    pub regions: Vec<String>,
}

/// A key and its team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasetenKey {
    /// The key.
    pub key: String,
    /// Id of its team.
    pub team: String,
    /// Extent of its rights.
    #[serde(default)]
    pub rights: KeyRights,
}

/// Extent of a key's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyRights {
    /// Manages everything of its team.
    #[default]
    ManageAll,
    /// Calls endpoints only.
    Invoke,
}

/// An instance type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasetenInstance {
    /// Id.
    pub id: String,
    /// Type of its accelerators.
    pub gpu_type: String,
    /// Number of its accelerators.
    pub gpu_count: u32,
    /// Price in US dollars per minute.
    pub price_per_minute: f64,
}

impl BasetenInstance {
    /// The instance type as the service shows it.
    pub(super) fn shown(&self) -> Value {
        let Self { id, gpu_type, gpu_count, .. } = self;
        json!({
            "id": id, "name": id, "memory_limit_mib": 65_536, "millicpu_limit": 16_000, "gpu_count": gpu_count,
            "gpu_type": gpu_type, "gpu_memory_limit_mib": 24_576,
        })
    }
}

/// Key that exists without further settings.
pub const KEY: &str = "key-of-the-fake.with-all-rights";
/// Id of the team of that key.
pub const TEAM_ID: &str = "team-of-the-fake";
/// Name of that team.
pub const TEAM_NAME: &str = "Default";

fn instance(id: &str, gpu_type: &str, gpu_count: u32, price_per_minute: f64) -> BasetenInstance {
    BasetenInstance { id: id.to_owned(), gpu_type: gpu_type.to_owned(), gpu_count, price_per_minute }
}

impl Default for BasetenSettings {
    fn default() -> Self {
        Self {
            keys: vec![BasetenKey { key: KEY.to_owned(), team: TEAM_ID.to_owned(), rights: KeyRights::ManageAll }],
            teams: vec![(TEAM_ID.to_owned(), TEAM_NAME.to_owned()), ("other-team".to_owned(), "Other".to_owned())],
            building_seconds: 60,
            deploying_seconds: 30,
            loading_seconds: 120,
            capacity_seconds: 600,
            instances: vec![
                instance("L4x4x16", "L4", 1, 0.01414),
                instance("L4x4x48x192", "L4", 4, 0.06),
                instance("H100x1", "H100", 1, 0.10833),
                instance("H100x8", "H100", 8, 0.86667),
            ],
            machines: BTreeMap::new(),
            regions: vec!["us-east".to_owned(), "eu-west".to_owned()],
        }
    }
}
