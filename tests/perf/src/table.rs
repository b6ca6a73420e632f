//! The outcome as a table for people.

use std::fmt::Write;

use crate::ranges::{Judged, Kind, Verdict};

/// A number as people read it: whole ones with separators, others with three significant digits or so.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

/// The table, and a line that sums it up.
pub(crate) fn render(bench: &str, judged: &[Judged]) -> String {
    let rows: Vec<[String; 5]> = judged.iter().map(row).collect();
    let head = ["measure", "measured", "range", "verdict", "what"].map(ToOwned::to_owned);
    let widths: Vec<usize> = (0..4)
        .map(|column| rows.iter().chain([&head]).filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let [measure, measured, range, verdict] = widths.as_slice() else { return String::new() };
    let mut text = String::new();
    for [name, value, within, ruling, what] in std::iter::once(&head).chain(&rows) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:measure$}  {value:>measured$}  {within:>range$}  {ruling:verdict$}  {what}");
    }
    text.push_str(&sum(bench, judged));
    text
}

fn row(judged: &Judged) -> [String; 5] {
    let range = judged.range.as_ref();
    let unit = range.map_or("", |range| range.unit.as_str());
    let measured = judged.value.map_or_else(|| "-".to_owned(), |value| format!("{} {unit}", number(value)));
    [
        judged.measure.clone(),
        measured.trim_end().to_owned(),
        range.map_or_else(|| "-".to_owned(), ToString::to_string),
        verdict(judged),
        range.map_or_else(String::new, |range| range.what.clone()),
    ]
}

fn verdict(judged: &Judged) -> String {
    let gates = judged.range.as_ref().is_some_and(|range| range.kind.gates());
    match judged.verdict {
        Verdict::Within if gates => "holds",
        Verdict::Within => "well",
        Verdict::Below if gates => "BROKEN: below",
        Verdict::Above if gates => "BROKEN: above",
        Verdict::Below => "below (informs)",
        Verdict::Above => "above (informs)",
        Verdict::NotMeasured => "BROKEN: not measured",
        Verdict::NoRange => "BROKEN: no range",
    }
    .to_owned()
}

fn sum(bench: &str, judged: &[Judged]) -> String {
    let broken = judged.iter().filter(|judged| judged.breaks()).count();
    let is_time = |judged: &&Judged| judged.range.as_ref().is_some_and(|range| range.kind == Kind::Time);
    let off = judged.iter().filter(is_time).filter(|judged| matches!(judged.verdict, Verdict::Above | Verdict::Below));
    let gates = judged.len() - judged.iter().filter(is_time).count();
    let times = match off.count() {
        0 => String::new(),
        off => format!("; {off} outside the range of a quiet machine, which informs only"),
    };
    match broken {
        0 => format!("{bench}: all {gates} gates hold{times}\n"),
        broken => format!("{bench}: {broken} BROKEN{times}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::Measures;
    use crate::ranges::Ranges;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [
            (0.0, "0"),
            (1_234_567.0, "1,234,567"),
            (999.0, "999"),
            (-1_000.0, "-1,000"),
            (1_234.56, "1,235"),
            (12.345, "12.3"),
            (1.234, "1.23"),
            (0.12345, "0.123"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_table_says_what_is_broken() {
        let text = "ranges: [{measure: writes, what: for each, kind: count, atMost: 4}, {measure: wait, what: in all, unit: s, kind: time, atMost: 12}]";
        let ranges: Ranges = serde_saphyr::from_str(text).unwrap();
        let mut measures = Measures::default();
        measures.record("writes", 5.0);
        measures.record("wait", 13.5);
        let expected = "\
measure  measured  range  verdict          what
writes          5   <= 4  BROKEN: above    for each
wait       13.5 s  <= 12  above (informs)  in all
b: 1 BROKEN; 1 outside the range of a quiet machine, which informs only
";
        assert_eq!(render("b", &ranges.judge(&measures)), expected);
    }
}
