//! Settings of the fake: tokens, times, hardware and quotas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Settings of Hugging Face's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HuggingFaceSettings {
    /// Tokens.
    pub tokens: Vec<HubToken>,
    /// Time until a replica is scheduled.
    pub pending_seconds: u32,
    /// Time from there until it runs; also the time that waking takes.
    pub initializing_seconds: u32,
    /// Duration of an update.
    pub updating_seconds: u32,
    /// Time after which a lack of hardware shows.
    pub capacity_seconds: u32,
    /// Hardware on offer.
    pub hardware: Vec<Hardware>,
    /// Accelerators that exist, by id of the hardware; of hardware that is not named there are always enough.
    pub machines: BTreeMap<String, u32>,
}

/// A token and the namespaces that it reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubToken {
    /// The token.
    pub token: String,
    /// Its namespaces.
    pub namespaces: Vec<String>,
    /// Extent of its rights.
    #[serde(default)]
    pub scope: TokenScope,
}

/// Extent of a token's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenScope {
    /// Reads and changes.
    #[default]
    Write,
    /// Reads only.
    Read,
}

/// One kind of hardware in one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hardware {
    /// Cloud, such as `aws`.
    pub vendor: String,
    /// Region of the cloud.
    pub region: String,
    /// `cpu`, `gpu` or `neuron`.
    pub accelerator: String,
    /// Such as `nvidia-l4`.
    pub instance_type: String,
    /// Such as `x1`.
    pub instance_size: String,
    /// Accelerators of a replica.
    pub num_accelerators: u32,
    /// Memory of all of them in GB.
    pub gpu_memory_gb: u32,
    /// Price of a replica in US dollars per hour.
    pub price_per_hour: f64,
    /// `available`, `low_availability`, `not_available`, `reserved` or `deprecated`.
    pub status: String,
    /// Accelerators of this type that a namespace may use.
    pub max_accelerators: u32,
}

impl Hardware {
    /// Id of the hardware.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}-{}-{}", self.vendor, self.region, self.instance_type, self.instance_size)
    }

    /// The hardware as the service shows it.
    pub(super) fn shown(&self, used: u32) -> Value {
        json!({
            "id": self.id(), "accelerator": self.accelerator, "instanceType": self.instance_type,
            "instanceSize": self.instance_size, "architecture": self.instance_type,
            "numAccelerators": self.num_accelerators, "numCpus": 8, "memoryGb": 30.0,
            "gpuMemoryGb": self.gpu_memory_gb, "pricePerHour": self.price_per_hour, "status": self.status,
            "quota": {"maxAccelerators": self.max_accelerators, "usedAccelerators": used},
        })
    }
}

/// Token that exists without further settings.
pub const TOKEN: &str = "hf-token-of-the-fake";
/// Namespace of that token.
pub const NAMESPACE: &str = "acme";

fn hardware(region: &str, instance_type: &str, count: u32, memory: u32, price: f64) -> Hardware {
    Hardware {
        vendor: "aws".to_owned(),
        region: region.to_owned(),
        accelerator: "gpu".to_owned(),
        instance_type: instance_type.to_owned(),
        instance_size: format!("x{count}"),
        num_accelerators: count,
        gpu_memory_gb: count * memory,
        price_per_hour: price,
        status: "available".to_owned(),
        max_accelerators: 64,
    }
}

impl Default for HuggingFaceSettings {
    fn default() -> Self {
        let token =
            HubToken { token: TOKEN.to_owned(), namespaces: vec![NAMESPACE.to_owned()], scope: TokenScope::Write };
        let mut hardware: Vec<Hardware> = ["us-east-1", "eu-west-1"]
            .into_iter()
            .flat_map(|region| {
                [
                    hardware(region, "nvidia-l4", 1, 24, 0.8),
                    hardware(region, "nvidia-l4", 4, 24, 3.8),
                    hardware(region, "nvidia-a100", 1, 80, 2.5),
                    hardware(region, "nvidia-h200", 8, 141, 40.0),
                ]
            })
            .collect();
        // The documentation lists hardware that is not to be had, and keeps the deprecated.
        for (instance_type, status) in [("nvidia-t4", "deprecated"), ("nvidia-b200", "not_available")] {
            hardware
                .push(Hardware { status: status.to_owned(), ..self::hardware("us-east-1", instance_type, 1, 16, 0.5) });
        }
        Self {
            tokens: vec![token],
            pending_seconds: 30,
            initializing_seconds: 240,
            updating_seconds: 240,
            capacity_seconds: 600,
            hardware,
            machines: BTreeMap::new(),
        }
    }
}
