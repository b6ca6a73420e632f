//! Instances that the quotas of a subscription allow. Pure.

use std::collections::BTreeMap;

use roadstead_model::Timestamp;
use roadstead_provider::ServiceTerms;
use roadstead_rest::TermsByType;

use crate::place::CognitivePlace;
use crate::wire::{AccountModel, CatalogDeployment, QuotaUsage};

/// Terms of each SKU of a place whose deployments of this installation are `ours`. Where its models have quotas of their own, the smallest
/// counts, without what others use of it.
#[must_use]
pub fn terms<'a>(
    place: &CognitivePlace,
    models: &[AccountModel],
    usages: &[QuotaUsage],
    ours: impl Iterator<Item = &'a CatalogDeployment>,
    observed: Timestamp,
) -> TermsByType {
    let mut own: BTreeMap<&str, f64> = BTreeMap::new();
    // One whose creation has failed uses nothing; one whose change has failed may show that as its own failure, and uses its units.
    let uses = |known: &&CatalogDeployment| known.properties.provisioning_state != "Failed" || known.was_changed();
    for deployment in ours.filter(uses) {
        if let Some(usage) = usage_name(models, deployment) {
            *own.entry(usage).or_default() += f64::from(deployment.sku.capacity);
        }
    }
    let for_us = |usage: &QuotaUsage| {
        let others = usage.current_value - own.get(usage.name.value.as_str()).copied().unwrap_or_default();
        usage.limit - others.max(0.0)
    };
    let limits: BTreeMap<&str, f64> = usages.iter().map(|usage| (usage.name.value.as_str(), for_us(usage))).collect();
    let mapped = || models.iter().filter(|known| place.models.values().any(|model| *model == known.model));
    let of_sku = |sku: &str, units: u32| {
        let quotas = mapped().flat_map(|model| &model.skus).filter(|known| known.name == sku);
        let smallest = quotas.filter_map(|known| limits.get(known.usage_name.as_str()).copied()).reduce(f64::min)?;
        let most_instances = Some(whole(smallest) / units.max(1));
        Some((sku.to_owned(), ServiceTerms { hourly: None, most_instances, available: None, observed }))
    };
    place.units.iter().filter_map(|(sku, units)| of_sku(sku, *units)).collect()
}

/// Name of the quota that a deployment uses.
fn usage_name<'a>(models: &'a [AccountModel], deployment: &CatalogDeployment) -> Option<&'a str> {
    let model = models.iter().find(|known| known.model == deployment.properties.model)?;
    let sku = model.skus.iter().find(|known| known.name == deployment.sku.name)?;
    Some(&sku.usage_name)
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
    fn the_smallest_quota_of_the_mapped_models_without_what_others_use_bounds_the_instances_of_a_sku() {
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
        let usage = |name: &str, limit: f64, used: f64| -> QuotaUsage {
            let name = json!({"value": format!("quota-{name}")});
            serde_json::from_value(json!({"name": name, "limit": limit, "currentValue": used})).unwrap()
        };
        let ours: CatalogDeployment = serde_json::from_value(json!({
            "name": "llama", "sku": {"name": "GlobalStandard", "capacity": 300},
            "properties": {"model": {"format": "f", "name": "b", "version": "1"}},
            "systemData": {"createdAt": "2026-12-01T01:00:00Z", "lastModifiedAt": "2026-12-01T01:00:00Z"},
        }))
        .unwrap();
        let models = [known("a"), known("b"), known("c")];
        let most_with = |ours: &CatalogDeployment, used: f64| {
            let usages = [usage("a", 1000.0, 0.0), usage("b", 450.0, used), usage("c", 1.0, 0.0)];
            let terms = terms(&place, &models, &usages, std::iter::once(ours), Timestamp(7));
            assert_eq!(terms.keys().collect::<Vec<_>>(), ["GlobalStandard"]);
            terms["GlobalStandard"].most_instances
        };
        let most = |used: f64| most_with(&ours, used);
        assert_eq!(most(300.0), Some(4), "all that is used is ours");
        assert_eq!(most(450.0), Some(3), "others use 150");
        assert_eq!(most(0.0), Some(4), "what was made a moment ago is not counted yet");
        let mut failed = ours.clone();
        "Failed".clone_into(&mut failed.properties.provisioning_state);
        assert_eq!(most_with(&failed, 150.0), Some(3), "what has failed uses nothing, so others use 150");
        "2026-12-01T02:00:00Z".clone_into(&mut failed.system_data.last_modified_at);
        assert_eq!(most_with(&failed, 300.0), Some(4), "only its change has failed");
    }
}
