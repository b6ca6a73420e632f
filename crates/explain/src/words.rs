//! Amounts and lists as people read them.

use roadstead_model::{MicroDollars, Unpriced};

/// An hourly cost, such as `$12.50/h`; `None` is unknown.
#[must_use]
pub fn per_hour(cost: Option<MicroDollars>) -> String {
    cost.map_or_else(|| "an unknown price".to_owned(), |cost| format!("${cost}/h"))
}

/// An hourly cost of something bought: `for $12.50/h`, or `at an unknown price`.
pub(crate) fn at_cost(cost: Option<MicroDollars>) -> String {
    cost.map_or_else(|| "at an unknown price".to_owned(), |cost| format!("for ${cost}/h"))
}

/// The cause of an unknown hourly cost.
pub(crate) fn unpriced(cause: Option<Unpriced>) -> String {
    match cause {
        None | Some(Unpriced::Missing) => "price unknown".to_owned(),
        Some(Unpriced::Unreadable) => "the price is not an amount".to_owned(),
        Some(Unpriced::Expired { at }) => format!("the price expired at {at}"),
        Some(Unpriced::ByTokens) => "charged per token; hourly cost unknown".to_owned(),
        Some(Unpriced::NoAccelerators) => "charged per accelerator, but the offer has none".to_owned(),
    }
}

/// `1 replica`, `2 replicas`.
pub(crate) fn count(number: u32, noun: &str) -> String {
    count_of(u64::from(number), noun)
}

/// Like [`count`], for large numbers.
pub(crate) fn count_of(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The first few items between commas, and how many more there are.
pub(crate) fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    const LIMIT: usize = 8;
    let mut texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let more = texts.len().saturating_sub(LIMIT);
    texts.truncate(LIMIT);
    if more > 0 {
        texts.push(format!("and {more} more"));
    }
    texts.join(", ")
}

/// The first names, and the number of the others.
pub(crate) fn named(names: &[String], limit: usize) -> String {
    let first = names.iter().take(limit).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(limit) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// Bytes as GiB with one decimal where it is not whole, or as MiB: `64 GiB`, `1.5 GiB`, `512 MiB`; rounded down.
pub(crate) fn gibibytes(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    if bytes < GIB {
        return format!("{} MiB", bytes >> 20);
    }
    let (whole, tenths) = (bytes / GIB, bytes % GIB * 10 / GIB);
    if tenths == 0 { format!("{whole} GiB") } else { format!("{whole}.{tenths} GiB") }
}

/// Thousandths of a core as cores: `1 core`, `7.5 cores`.
pub(crate) fn cores(millis: u64) -> String {
    let (whole, rest) = (millis / 1_000, millis % 1_000);
    if rest == 0 {
        return count_of(whole, "core");
    }
    format!("{whole}.{} cores", format!("{rest:03}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use roadstead_model::Timestamp;

    use super::*;

    #[test]
    fn an_unknown_cost_has_its_cause() {
        let expired = Unpriced::Expired { at: Timestamp(1_785_585_600) };
        for (cause, text) in [
            (None, "price unknown"),
            (Some(Unpriced::Missing), "price unknown"),
            (Some(Unpriced::Unreadable), "the price is not an amount"),
            (Some(expired), "the price expired at 2026-08-01T12:00:00Z"),
            (Some(Unpriced::ByTokens), "charged per token; hourly cost unknown"),
            (Some(Unpriced::NoAccelerators), "charged per accelerator, but the offer has none"),
        ] {
            assert_eq!(unpriced(cause), text);
        }
    }

    #[test]
    fn amounts_read_well() {
        assert_eq!(gibibytes(64 << 30), "64 GiB");
        assert_eq!(gibibytes(3 << 29), "1.5 GiB");
        assert_eq!(gibibytes(512 << 20), "512 MiB");
        assert_eq!(cores(1_000), "1 core");
        assert_eq!(cores(7_500), "7.5 cores");
        assert_eq!(cores(50), "0.05 cores");
        assert_eq!(count(1, "slot"), "1 slot");
        assert_eq!(count(0, "slot"), "0 slots");
        assert_eq!(list([1, 2, 3]), "1, 2, 3");
        assert_eq!(list(1..=20), "1, 2, 3, 4, 5, 6, 7, 8, and 12 more");
    }
}
