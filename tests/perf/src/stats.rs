//! Distributions of samples.

/// Samples in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution(Vec<f64>);

impl Distribution {
    /// The distribution of these samples.
    #[must_use]
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The smallest sample that so many percent of the samples do not exceed (nearest rank); zero if there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(0.0)
    }

    /// The greatest sample.
    #[must_use]
    pub fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(0.0)
    }

    /// The mean; zero if there are no samples.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody takes 2^52 samples")]
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "samples come back as they went in")]
    fn percentiles_are_samples_by_nearest_rank() {
        let samples = Distribution::of((1..=200).rev().map(f64::from));
        assert_eq!(samples.percentile(50), 100.0);
        assert_eq!(samples.percentile(99), 198.0);
        assert_eq!(samples.percentile(100), samples.most());
        assert_eq!(samples.mean(), 100.5);
        assert_eq!(Distribution::of([7.0]).percentile(1), 7.0);
        assert_eq!(Distribution::of([]).percentile(99), 0.0);
    }
}
