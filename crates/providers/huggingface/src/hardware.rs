//! Hardware on offer, with its price and quota, as the service tells them to a namespace.

use std::collections::BTreeMap;

use roadstead_model::{MicroDollars, Timestamp};
use roadstead_provider::ServiceTerms;
use serde::Deserialize;
use serde_json::Number;

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
    quota: Quota,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quota {
    max_accelerators: u32,
}

impl Vendors {
    /// The terms of one region's hardware by type and size, as an offer's `instanceType` names them (`nvidia-l4-x1`); `None`
    /// where the cloud has no such region.
    pub(crate) fn terms(
        &self,
        cloud: &str,
        region: &str,
        observed: Timestamp,
    ) -> Option<BTreeMap<String, ServiceTerms>> {
        let vendor = self.vendors.iter().find(|vendor| vendor.name == cloud)?;
        let region = vendor.regions.iter().find(|known| known.name == region)?;
        let name = |compute: &Compute| format!("{}-{}", compute.instance_type, compute.instance_size);
        Some(region.computes.iter().map(|compute| (name(compute), compute.terms(observed))).collect())
    }
}

impl Compute {
    fn terms(&self, observed: Timestamp) -> ServiceTerms {
        let price = self.price_per_hour.as_ref().and_then(|price| MicroDollars::parse(&price.to_string()).ok());
        ServiceTerms {
            // Nothing here is free: zero is a defect of the listing.
            hourly: price.filter(|price| *price > MicroDollars::ZERO),
            most_instances: Some(self.quota.max_accelerators / self.num_accelerators.max(1)),
            observed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn read(price: &Value) -> ServiceTerms {
        let quota = json!({"maxAccelerators": 11, "usedAccelerators": 3});
        let compute = json!({"id": "i", "accelerator": "gpu", "instanceType": "nvidia-l4", "instanceSize": "x4",
                             "numAccelerators": 4, "pricePerHour": price, "status": "available", "quota": quota});
        let regions = json!([{"name": "eu-west-1", "computes": [compute]}]);
        let vendors: Vendors =
            serde_json::from_value(json!({"vendors": [{"name": "aws", "regions": regions}]})).unwrap();
        assert_eq!(vendors.terms("aws", "us-east-1", NOW), None);
        vendors.terms("aws", "eu-west-1", NOW).unwrap()["nvidia-l4-x4"]
    }

    #[test]
    fn a_price_is_exact_and_a_missing_or_wrong_one_is_never_free() {
        assert_eq!(read(&json!(3.8)).hourly, Some(MicroDollars(3_800_000)));
        assert_eq!(read(&json!(40)).hourly, Some(MicroDollars(40_000_000)));
        for wrong in [json!(null), json!(0), json!(0.0), json!(-1), json!(1e-9), json!(1e300)] {
            assert_eq!(read(&wrong).hourly, None, "{wrong}");
        }
    }

    #[test]
    fn a_quota_of_accelerators_is_one_of_whole_instances() {
        assert_eq!(read(&json!(3.8)).most_instances, Some(2));
    }
}
