//! Hardware on offer, with its price and quota, as the service tells them to a namespace.

use std::collections::BTreeMap;

use roadstead_model::{MicroDollars, Timestamp};
use roadstead_provider::ServiceTerms;
use serde::Deserialize;
use serde_json::Number;

use crate::view::HubCompute;

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
    #[serde(default)]
    status: String,
    quota: Quota,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Quota {
    max_accelerators: u32,
    /// Of all endpoints of the namespace.
    #[serde(default)]
    used_accelerators: u32,
}

impl Vendors {
    /// The terms of one region's hardware by type and size, as an offer's `instanceType` names them (`nvidia-l4-x1`); `None`
    /// where the cloud has no such region. `ours` is the hardware of the installation's endpoints, whose part of a quota is free for them.
    pub(crate) fn terms<'a>(
        &self,
        cloud: &str,
        region: &str,
        ours: impl Iterator<Item = &'a HubCompute>,
        observed: Timestamp,
    ) -> Option<BTreeMap<String, ServiceTerms>> {
        let vendor = self.vendors.iter().find(|vendor| vendor.name == cloud)?;
        let region = vendor.regions.iter().find(|known| known.name == region)?;
        let name = |compute: &Compute| format!("{}-{}", compute.instance_type, compute.instance_size);
        let used = region.used(ours);
        let of_us = |compute: &Compute| used.get(compute.instance_type.as_str()).copied().unwrap_or_default();
        Some(region.computes.iter().map(|compute| (name(compute), compute.terms(of_us(compute), observed))).collect())
    }
}

impl Region {
    /// Accelerators of this hardware by type. All sizes of a type share a quota.
    fn used<'a>(&self, hardware: impl Iterator<Item = &'a HubCompute>) -> BTreeMap<&'a str, u32> {
        let mut used: BTreeMap<&str, u32> = BTreeMap::new();
        for HubCompute { instance_type, instance_size, scaling, .. } in hardware {
            let same = |size: &&Compute| size.instance_type == *instance_type && size.instance_size == *instance_size;
            let size = self.computes.iter().find(same).map_or(0, |size| size.num_accelerators);
            let known = used.entry(instance_type).or_default();
            *known = known.saturating_add(size.saturating_mul(scaling.max_replica));
        }
        used
    }
}

impl Compute {
    /// Its terms for an installation that uses so many accelerators of its type.
    fn terms(&self, ours: u32, observed: Timestamp) -> ServiceTerms {
        let Quota { max_accelerators, used_accelerators } = self.quota;
        let for_us = max_accelerators.saturating_sub(used_accelerators.saturating_sub(ours));
        let price = self.price_per_hour.as_ref().and_then(|price| MicroDollars::parse(&price.to_string()).ok());
        ServiceTerms {
            // Nothing here is free: zero is a defect of the listing.
            hourly: price.filter(|price| *price > MicroDollars::ZERO),
            most_instances: Some(for_us / self.num_accelerators.max(1)),
            available: self.is_available(),
            observed,
        }
    }

    /// True if the service has more of it. What is `reserved` may be so for this namespace.
    fn is_available(&self) -> Option<bool> {
        match self.status.as_str() {
            "available" | "low_availability" => Some(true),
            "not_available" | "deprecated" => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::HubScaling;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn read(price: &Value) -> ServiceTerms {
        read_beside(price, &[])
    }

    fn read_beside(price: &Value, ours: &[HubCompute]) -> ServiceTerms {
        let quota = json!({"maxAccelerators": 11, "usedAccelerators": 7});
        let compute = json!({"id": "i", "accelerator": "gpu", "instanceType": "nvidia-l4", "instanceSize": "x4",
                             "numAccelerators": 4, "pricePerHour": price, "status": "available", "quota": quota});
        let regions = json!([{"name": "eu-west-1", "computes": [compute]}]);
        let vendors: Vendors =
            serde_json::from_value(json!({"vendors": [{"name": "aws", "regions": regions}]})).unwrap();
        assert_eq!(vendors.terms("aws", "us-east-1", ours.iter(), NOW), None);
        vendors.terms("aws", "eu-west-1", ours.iter(), NOW).unwrap()["nvidia-l4-x4"]
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
    fn hardware_is_sold_out_only_where_the_service_says_so() {
        let available = |status: &str| {
            let compute = json!({"instanceType": "nvidia-l4", "instanceSize": "x1", "numAccelerators": 1, "status": status,
                                 "quota": {"maxAccelerators": 1}});
            serde_json::from_value::<Compute>(compute).unwrap().terms(0, NOW).available
        };
        assert_eq!([available("available"), available("low_availability")], [Some(true); 2]);
        assert_eq!([available("not_available"), available("deprecated")], [Some(false); 2]);
        assert_eq!([available("reserved"), available("a word of tomorrow"), available("")], [None; 3]);
    }

    #[test]
    fn a_quota_of_accelerators_is_one_of_whole_instances_without_what_others_use() {
        // 11 accelerators, of which 7 are in use; an instance has 4.
        let most = |ours: &[HubCompute]| read_beside(&json!(3.8), ours).most_instances;
        let one = |kind: &str| HubCompute {
            accelerator: "gpu".to_owned(),
            instance_type: kind.to_owned(),
            instance_size: "x4".to_owned(),
            scaling: HubScaling { min_replica: 1, max_replica: 1 },
        };
        assert_eq!(most(&[]), Some(1), "others use 7 of them");
        assert_eq!(most(&[one("nvidia-l4")]), Some(2), "others use 3 of them");
        assert_eq!(most(&[one("nvidia-a10g")]), Some(1), "other hardware has a quota of its own");
    }
}
