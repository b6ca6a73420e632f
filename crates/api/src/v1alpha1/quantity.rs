//! Kubernetes quantities, read exactly.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A text that is not a quantity, or one that is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a quantity such as 500m, 2, 64Gi or 1e3")]
pub struct InvalidQuantity {
    text: String,
}

/// The amount in thousandths, rounded up, as Kubernetes does.
///
/// # Errors
/// [`InvalidQuantity`] where the text is not a quantity, is negative, or exceeds what fits.
pub fn millis(quantity: &Quantity) -> Result<u64, InvalidQuantity> {
    parse(&quantity.0, 1000)
}

/// The amount in whole units (bytes, devices), rounded up, as Kubernetes does.
///
/// # Errors
/// [`InvalidQuantity`] where the text is not a quantity, is negative, or exceeds what fits.
pub fn units(quantity: &Quantity) -> Result<u64, InvalidQuantity> {
    parse(&quantity.0, 1)
}

/// `text` times `scale`, rounded up.
fn parse(text: &str, scale: u128) -> Result<u64, InvalidQuantity> {
    exact(text, scale)
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| InvalidQuantity { text: text.chars().take(40).collect() })
}

fn exact(text: &str, scale: u128) -> Option<u128> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let decimals = u32::try_from(fraction.len()).ok()?;
    let (numerator, denominator) = multiplier(suffix)?;
    let numerator = digits.checked_mul(numerator)?.checked_mul(scale)?;
    let denominator = denominator.checked_mul(10_u128.checked_pow(decimals)?)?;
    Some(numerator.div_ceil(denominator))
}

/// Value of a suffix, as a fraction.
fn multiplier(suffix: &str) -> Option<(u128, u128)> {
    let binary = |power: u32| Some((1_u128 << (10 * power), 1));
    let decimal = |power: u32| Some((10_u128.pow(power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = exponent.unsigned_abs();
            let factor = if power <= 18 { 10_u128.pow(power) } else { return None };
            Some(if exponent < 0 { (1, factor) } else { (factor, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        millis(&Quantity(text.to_owned())).ok()
    }

    #[test]
    fn quantities_are_read_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1000),
            ("500m", 500),
            ("1.5", 1500),
            (".5", 500),
            ("1e3", 1_000_000),
            ("1Ki", 1_024_000),
            ("100u", 1),
            ("2e-1", 200),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        assert_eq!(units(&Quantity("64Gi".to_owned())), Ok(64 << 30));
        assert_eq!(units(&Quantity("1500m".to_owned())), Ok(2));
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in ["", "m", "-1", "1.2.3", "1 Gi", "1gi", "ten", "1e99", "99999999999999999999Ei"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
