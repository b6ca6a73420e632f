//! Prices that the service states. Pure.

use roadstead_model::{MicroDollars, Timestamp};
use roadstead_provider::ServiceTerms;
use roadstead_rest::TermsByType;

use crate::wire::{PricedInstance, Prices};

/// Minutes of an hour: prices are by the minute.
const MINUTES: u128 = 60;
/// Decimals of a price by the minute that count.
const DECIMALS: usize = 12;
/// Parts of a micro-dollar that these decimals tell apart.
const PARTS: u128 = 1_000_000;

/// The terms of every instance type. The service states no quota.
pub fn terms(prices: &Prices, observed: Timestamp) -> TermsByType {
    let terms = |one: &PricedInstance| {
        let hourly = one.price.as_ref().and_then(|price| hourly(&price.to_string()));
        (one.instance_type.id.clone(), ServiceTerms { hourly, most_instances: None, available: None, observed })
    };
    prices.instance_types.iter().map(terms).collect()
}

/// The price of an hour, rounded up; `None` for anything that is no price. Nothing here is free: zero is a defect of the listing.
fn hourly(minute: &str) -> Option<MicroDollars> {
    let (whole, fraction) = minute.split_once('.').unwrap_or((minute, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > DECIMALS || fraction.len() > DECIMALS || !digits(whole) || !digits(fraction) {
        return None;
    }
    let minute: u128 = format!("{whole}{fraction:0<DECIMALS$}").parse().ok()?;
    let hourly = MicroDollars(u64::try_from((minute * MINUTES).div_ceil(PARTS)).ok()?);
    (hourly > MicroDollars::ZERO && hourly <= MicroDollars::MAX_PARSED).then_some(hourly)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(price: &Value) -> Option<MicroDollars> {
        let one = json!({"instance_type": {"id": "H100x1", "name": "H100"}, "price": price});
        let prices: Prices = serde_json::from_value(json!({"instance_types": [one]})).unwrap();
        terms(&prices, Timestamp(7))["H100x1"].hourly
    }

    #[test]
    fn a_price_by_the_minute_is_one_by_the_hour_and_a_missing_or_wrong_one_is_never_free() {
        assert_eq!(read(&json!(0.10833)), Some(MicroDollars(6_499_800)));
        assert_eq!(read(&json!(0.001_733_333)), Some(MicroDollars(104_000)), "rounded up");
        assert_eq!(read(&json!(1)), Some(MicroDollars(60_000_000)));
        for wrong in [json!(null), json!(0), json!(-1), json!(1e300)] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }
}
