//! Instances that the quotas of a subscription allow. Pure.

use std::collections::BTreeMap;

use roadstead_model::Timestamp;
use roadstead_provider::ServiceTerms;
use roadstead_rest::TermsByType;

use crate::place::CognitivePlace;
use crate::wire::{AccountModel, QuotaUsage};

/// Terms of each SKU of a place. Where its models have quotas of their own, the smallest counts.
#[must_use]
pub fn terms(
    place: &CognitivePlace,
    models: &[AccountModel],
    usages: &[QuotaUsage],
    observed: Timestamp,
) -> TermsByType {
    let limits: BTreeMap<&str, f64> = usages.iter().map(|usage| (usage.name.value.as_str(), usage.limit)).collect();
    let mapped = || models.iter().filter(|known| place.models.values().any(|model| *model == known.model));
    let of_sku = |sku: &str, units: u32| {
        let quotas = mapped().flat_map(|model| &model.skus).filter(|known| known.name == sku);
        let smallest = quotas.filter_map(|known| limits.get(known.usage_name.as_str()).copied()).reduce(f64::min)?;
        let most_instances = Some(whole(smallest) / units.max(1));
        Some((sku.to_owned(), ServiceTerms { hourly: None, most_instances, observed }))
    };
    place.units.iter().filter_map(|(sku, units)| of_sku(sku, *units)).collect()
}

/// A number of units, which the service writes with a point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast of a float saturates")]
fn whole(units: f64) -> u32 {
    units as u32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::place::CatalogModel;

    #[test]
    fn the_smallest_quota_of_the_mapped_models_bounds_the_instances_of_a_sku() {
        let model =
            |name: &str| CatalogModel { format: "f".to_owned(), name: name.to_owned(), version: "1".to_owned() };
        let place = CognitivePlace {
            subscription: String::new(),
            resource_group: String::new(),
            account: String::new(),
            region: String::new(),
            models: ["a", "b"].map(|name| (name.to_owned(), model(name))).into(),
            units: [("GlobalStandard".to_owned(), 100), ("Standard".to_owned(), 1)].into(),
            endpoint: None,
        };
        let known = |name: &str| -> AccountModel {
            let sku = json!({"name": "GlobalStandard", "usageName": format!("quota-{name}")});
            serde_json::from_value(json!({"format": "f", "name": name, "version": "1", "skus": [sku]})).unwrap()
        };
        let usage = |name: &str, limit: f64| -> QuotaUsage {
            serde_json::from_value(json!({"name": {"value": format!("quota-{name}")}, "limit": limit})).unwrap()
        };
        let usages = [usage("a", 1000.0), usage("b", 450.0), usage("c", 1.0)];
        let terms = terms(&place, &[known("a"), known("b"), known("c")], &usages, Timestamp(7));
        let expected = ServiceTerms { hourly: None, most_instances: Some(4), observed: Timestamp(7) };
        assert_eq!(terms, [("GlobalStandard".to_owned(), expected)].into());
    }
}
