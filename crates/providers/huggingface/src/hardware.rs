//! Hardware on offer, with prices, availability and quota, as the service tells them to a namespace.

use roadstead_model::{MicroDollars, Timestamp};
use serde::Deserialize;
use serde_json::Number;

/// Hardware of one region, as it was read at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubCatalogue {
    /// Path that told it.
    pub source: String,
    /// Time when it was read.
    pub observed: Timestamp,
    /// One entry for each instance type and size.
    pub hardware: Vec<HubHardware>,
}

/// One kind of hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubHardware {
    /// Type and size, as an offer's `instanceType` names them: `nvidia-l4-x1`.
    pub instance_type: String,
    /// Accelerators of one replica.
    pub accelerators: u32,
    /// Price of one replica for an hour; `None` where it is missing or no amount. It is never free.
    pub hourly: Option<MicroDollars>,
    /// Availability.
    pub availability: HubAvailability,
    /// Accelerators of this type that the namespace may use.
    pub most_accelerators: u32,
    /// Accelerators of this type that the namespace uses, whoever uses them.
    pub used_accelerators: u32,
}

/// Availability of hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubAvailability {
    /// It can be had.
    Available,
    /// It may be had.
    Low,
    /// It cannot be had now, or not by this namespace.
    NotAvailable,
    /// It is not for new endpoints.
    Deprecated,
    /// A word that this driver does not know.
    Unknown,
}

#[derive(Deserialize)]
pub(crate) struct Vendors {
    vendors: Vec<Vendor>,
}

#[derive(Deserialize)]
struct Vendor {
    name: String,
    regions: Vec<Region>,
}

#[derive(Deserialize)]
struct Region {
    name: String,
    computes: Vec<Compute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Compute {
    instance_type: String,
    instance_size: String,
    num_accelerators: u32,
    #[serde(default)]
    price_per_hour: Option<Number>,
    status: String,
    quota: Quota,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quota {
    max_accelerators: u32,
    used_accelerators: u32,
}

impl Vendors {
    /// The hardware of one region; `None` where the cloud has no such region.
    pub(crate) fn of(&self, cloud: &str, region: &str) -> Option<Vec<HubHardware>> {
        let vendor = self.vendors.iter().find(|vendor| vendor.name == cloud)?;
        let region = vendor.regions.iter().find(|known| known.name == region)?;
        Some(region.computes.iter().map(Compute::hardware).collect())
    }
}

impl Compute {
    fn hardware(&self) -> HubHardware {
        let price = self.price_per_hour.as_ref().and_then(|price| MicroDollars::parse(&price.to_string()).ok());
        HubHardware {
            instance_type: format!("{}-{}", self.instance_type, self.instance_size),
            accelerators: self.num_accelerators,
            // Nothing here is free: zero is a defect of the catalogue.
            hourly: price.filter(|price| *price > MicroDollars::ZERO),
            availability: match self.status.as_str() {
                "available" => HubAvailability::Available,
                "low_availability" => HubAvailability::Low,
                "not_available" | "reserved" => HubAvailability::NotAvailable,
                "deprecated" => HubAvailability::Deprecated,
                _ => HubAvailability::Unknown,
            },
            most_accelerators: self.quota.max_accelerators,
            used_accelerators: self.quota.used_accelerators,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(price: &Value, status: &str) -> HubHardware {
        let quota = json!({"maxAccelerators": 8, "usedAccelerators": 3});
        let compute = json!({"id": "i", "accelerator": "gpu", "instanceType": "nvidia-l4", "instanceSize": "x4",
                             "numAccelerators": 4, "pricePerHour": price, "status": status, "quota": quota});
        let regions = json!([{"name": "eu-west-1", "computes": [compute]}]);
        let vendors: Vendors =
            serde_json::from_value(json!({"vendors": [{"name": "aws", "regions": regions}]})).unwrap();
        assert_eq!(vendors.of("aws", "us-east-1"), None);
        vendors.of("aws", "eu-west-1").unwrap().remove(0)
    }

    #[test]
    fn a_price_is_exact_and_a_missing_or_wrong_one_is_never_free() {
        assert_eq!(read(&json!(3.8), "available").hourly, Some(MicroDollars(3_800_000)));
        assert_eq!(read(&json!(40), "available").hourly, Some(MicroDollars(40_000_000)));
        for wrong in [json!(null), json!(0), json!(0.0), json!(-1), json!(1e-9), json!(1e300)] {
            assert_eq!(read(&wrong, "available").hourly, None, "{wrong}");
        }
    }

    #[test]
    fn availability_and_quota_are_told() {
        let hardware = read(&json!(3.8), "low_availability");
        assert_eq!((hardware.instance_type.as_str(), hardware.accelerators), ("nvidia-l4-x4", 4));
        assert_eq!(hardware.availability, HubAvailability::Low);
        assert_eq!((hardware.most_accelerators, hardware.used_accelerators), (8, 3));
        assert_eq!(read(&json!(1), "reserved").availability, HubAvailability::NotAvailable);
        assert_eq!(read(&json!(1), "on_the_moon").availability, HubAvailability::Unknown);
    }
}
