//! Models and prices as the service lists them. Pure.

use roadstead_model::{MicroDollars, Timestamp};
use roadstead_provider::{ErrorClass, ProviderError, ServiceTerms};
use roadstead_rest::TermsByType;

use crate::form::DedicatedForm;
use crate::wire::{GpuPrice, GpuPrices, ModelCatalogue};

/// Models that a message names.
const MAX_NAMED: usize = 8;

/// The terms of a region's GPUs. The service states no quota.
#[must_use]
pub fn terms(prices: &GpuPrices, region: &str, observed: Timestamp) -> TermsByType {
    let here = prices.sizes.iter().filter(|size| size.region == region);
    let terms = |size: &GpuPrice| {
        let stated = size.price_per_hour.as_deref().filter(|_| size.currency == "USD");
        let hourly = stated.and_then(|price| MicroDollars::parse(price).ok());
        // Nothing here is free: zero is a defect of the listing.
        let hourly = hourly.filter(|price| *price > MicroDollars::ZERO);
        (size.gpu_slug.clone(), ServiceTerms { hourly, most_instances: None, available: None, observed })
    };
    here.map(terms).collect()
}

/// Checks that the service serves the wanted model on the wanted GPUs. It would accept the creation all the same, and fail later without a
/// reason.
///
/// # Errors
/// `Refused` where it does not, with the models that it serves there, or where the model needs a token of Hugging Face.
pub fn check(catalogue: &ModelCatalogue, form: &DedicatedForm) -> Result<(), ProviderError> {
    let DedicatedForm { slug, gpu, .. } = form;
    let runs_here = |gpus: &[String]| gpus.iter().any(|known| known == gpu);
    let models = || catalogue.gpu_model_configs.iter();
    match models().find(|model| model.model_slug == *slug && runs_here(&model.gpu_slugs)) {
        Some(model) if model.is_gated_model && form.hugging_face_token.is_none() => {
            let message = format!(
                "DigitalOcean needs a token of Hugging Face for model {slug}: give it as HF_TOKEN in the Secret of \
                 spec.model.credentialsSecretRef"
            );
            // Another place may serve it without a token of its own.
            Err(ProviderError::new(ErrorClass::Refused, message))
        }
        Some(_) => Ok(()),
        None => {
            let all: Vec<&str> =
                models().filter(|model| runs_here(&model.gpu_slugs)).map(|model| model.model_slug.as_str()).collect();
            let (named, rest) = all.split_at(all.len().min(MAX_NAMED));
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let there = if named.is_empty() { "none".to_owned() } else { format!("{}{more}", named.join(", ")) };
            let message = format!(
                "DigitalOcean does not serve model {slug} on {gpu}; it serves there: {there}. Map the model's source to one of them in \
                 spec.digitalOcean.models of the target"
            );
            Err(ProviderError::new(ErrorClass::Refused, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn price(of: &Value, currency: &str) -> Option<MicroDollars> {
        let size = json!({"gpu_slug": "g", "price_per_hour": of, "region": "atl1", "currency": currency});
        let prices: GpuPrices = serde_json::from_value(json!({"enabled_regions": ["atl1"], "sizes": [size]})).unwrap();
        assert!(terms(&prices, "nyc2", Timestamp(7)).is_empty(), "a price of another region counts");
        terms(&prices, "atl1", Timestamp(7))["g"].hourly
    }

    #[test]
    fn a_price_is_exact_and_a_missing_or_wrong_one_is_never_free() {
        assert_eq!(price(&json!("3.39"), "USD"), Some(MicroDollars(3_390_000)));
        assert_eq!(price(&json!("2"), "USD"), Some(MicroDollars(2_000_000)));
        for wrong in [json!(null), json!("0"), json!("-1"), json!("free"), json!("")] {
            assert_eq!(price(&wrong, "USD"), None, "{wrong}");
        }
        assert_eq!(price(&json!("3.39"), "EUR"), None);
    }
}
