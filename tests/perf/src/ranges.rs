//! Range files: what each measure means and where it must lie.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::measures::Measures;

/// The range file of a benchmark, in YAML.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ranges {
    /// One for each measure, in the order in which they are shown.
    pub(crate) ranges: Vec<Range>,
}

/// Limits of a measure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Range {
    /// Name of the measure.
    pub(crate) measure: String,
    /// Meaning of the measure, for people.
    pub(crate) what: String,
    /// Its unit, as the table shows it.
    #[serde(default)]
    pub(crate) unit: String,
    /// Kind of the measure.
    pub(crate) kind: Kind,
    /// It must not be less.
    #[serde(default)]
    pub(crate) at_least: Option<f64>,
    /// It must not be more.
    #[serde(default)]
    pub(crate) at_most: Option<f64>,
}

/// Kind of a measure: the same on every machine, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Instructions, writes, bytes, placed deployments: it gates.
    Count,
    /// One measure by another of the same run: it gates.
    Ratio,
    /// It depends on the machine and on what else it does: it informs.
    Time,
}

impl Kind {
    /// True if a measure outside its range breaks the build.
    pub(crate) const fn gates(self) -> bool {
        matches!(self, Self::Count | Self::Ratio)
    }
}

/// Position of a measure relative to its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is within.
    Within,
    /// It is less than it must be.
    Below,
    /// It is more than it may be.
    Above,
    /// The range file names it and nothing has measured it.
    NotMeasured,
    /// It was measured and the range file does not name it.
    NoRange,
}

/// One line of the outcome.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    /// Name of the measure.
    pub(crate) measure: String,
    /// The value, if there is one.
    pub(crate) value: Option<f64>,
    /// Its range, if there is one.
    pub(crate) range: Option<Range>,
    /// Verdict.
    pub(crate) verdict: Verdict,
}

impl Judged {
    /// True for counts and ratios, and for measures without a range.
    pub(crate) fn gates(&self) -> bool {
        self.range.as_ref().is_none_or(|range| range.kind.gates())
    }

    /// True if it breaks the build.
    pub(crate) fn breaks(&self) -> bool {
        match self.verdict {
            Verdict::Within => false,
            Verdict::Below | Verdict::Above => self.gates(),
            Verdict::NotMeasured | Verdict::NoRange => true,
        }
    }
}

impl Ranges {
    /// Reads a range file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{} is not a range file", file.display()))
    }

    /// The range of this measure.
    pub(crate) fn of(&self, measure: &str) -> Option<&Range> {
        self.ranges.iter().find(|range| range.measure == measure)
    }

    /// Holds what was measured against the ranges.
    pub(crate) fn judge(&self, measures: &Measures) -> Vec<Judged> {
        let ranged = self.ranges.iter().map(|range| {
            let value = measures.value(&range.measure);
            let verdict = value.map_or(Verdict::NotMeasured, |value| range.judge(value));
            Judged { measure: range.measure.clone(), value, range: Some(range.clone()), verdict }
        });
        let unknown = measures.values().filter(|(name, _)| self.of(name).is_none()).map(|(name, value)| Judged {
            measure: name.to_owned(),
            value: Some(value),
            range: None,
            verdict: Verdict::NoRange,
        });
        ranged.chain(unknown).collect()
    }
}

impl Range {
    fn judge(&self, value: f64) -> Verdict {
        if self.at_least.is_some_and(|least| value < least) {
            Verdict::Below
        } else if self.at_most.is_some_and(|most| value > most) {
            Verdict::Above
        } else {
            Verdict::Within
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.at_least, self.at_most) {
            (Some(least), Some(most)) if least.to_bits() == most.to_bits() => crate::table::number(least),
            (Some(least), Some(most)) => format!("{} .. {}", crate::table::number(least), crate::table::number(most)),
            (Some(least), None) => format!(">= {}", crate::table::number(least)),
            (None, Some(most)) => format!("<= {}", crate::table::number(most)),
            (None, None) => "any".to_owned(),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges() -> Ranges {
        let text = "
ranges:
  - {measure: writes, what: writes for each, kind: count, atLeast: 3, atMost: 4}
  - {measure: speed, what: ours by theirs, kind: ratio, atLeast: 0.2}
  - {measure: wait, what: until all are placed, unit: s, kind: time, atMost: 12}
";
        serde_saphyr::from_str(text).unwrap()
    }

    fn measures(values: &[(&str, f64)]) -> Measures {
        let mut measures = Measures::default();
        for (name, value) in values {
            measures.record(*name, *value);
        }
        measures
    }

    fn broken(values: &[(&str, f64)]) -> Vec<String> {
        let judged = ranges().judge(&measures(values));
        judged.into_iter().filter(Judged::breaks).map(|judged| judged.measure).collect()
    }

    /// Mean of each measure in a calibration file.
    fn means(file: &Path) -> Measures {
        let text = std::fs::read_to_string(file).unwrap();
        let calibration: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let mut measures = Measures::default();
        for (name, measure) in calibration["measures"].as_object().unwrap() {
            measures.record(name.clone(), measure["mean"].as_f64().unwrap());
        }
        measures
    }

    #[test]
    fn every_committed_calibration_lies_within_the_committed_ranges() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder.join("ranges")).unwrap() {
            let (ranges, name) = file.map(|file| (file.path(), file.file_name())).unwrap();
            let judged = Ranges::read(&ranges).unwrap().judge(&means(&folder.join("calibration").join(&name)));
            let broken: Vec<_> = judged.iter().filter(|judged| judged.breaks()).map(|judged| &judged.measure).collect();
            assert!(broken.is_empty(), "{}: {broken:?}", ranges.display());
        }
    }

    #[test]
    fn counts_and_ratios_gate_and_times_inform() {
        assert!(broken(&[("writes", 4.0), ("speed", 0.3), ("wait", 99.0)]).is_empty());
        assert_eq!(broken(&[("writes", 4.5), ("speed", 0.1), ("wait", 1.0)]), ["writes", "speed"]);
    }

    #[test]
    fn a_count_below_its_range_is_broken_too() {
        assert_eq!(broken(&[("writes", 2.0), ("speed", 0.3), ("wait", 1.0)]), ["writes"]);
    }

    #[test]
    fn what_is_not_measured_or_has_no_range_is_broken() {
        assert_eq!(broken(&[("writes", 4.0), ("speed", 0.3), ("other", 1.0)]), ["wait", "other"]);
    }

    #[test]
    fn ranges_read_well() {
        let texts: Vec<String> = ranges().ranges.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["3 .. 4", ">= 0.200", "<= 12"]);
    }
}
