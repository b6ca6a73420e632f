//! Measures of a benchmark.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Measured values by name, and series of points for plots. Units are those of the range file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measures {
    values: BTreeMap<String, f64>,
    series: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Measures {
    /// Records a value; a later one of the same name replaces it.
    pub fn record(&mut self, name: impl Into<String>, value: f64) {
        self.values.insert(name.into(), value);
    }

    /// Adds a point to a series.
    pub fn point(&mut self, series: impl Into<String>, x: f64, y: f64) {
        self.series.entry(series.into()).or_default().push((x, y));
    }

    /// The value of this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// All values by name.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The points of a series in the order in which they came.
    #[must_use]
    pub fn series(&self, name: &str) -> &[(f64, f64)] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Adds everything that another process has measured.
    pub(crate) fn extend(&mut self, other: Self) {
        self.values.extend(other.values);
        self.series.extend(other.series);
    }
}
