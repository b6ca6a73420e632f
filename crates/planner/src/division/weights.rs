//! The sum that a division minimises.

use super::supply::{Share, Supply, UnitPrice};

/// Weights of the minimised sum: `cost` times the adjusted cost minus `tokens` times the throughput.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    cost: i128,
    tokens: i128,
}

impl Weights {
    /// The adjusted cost alone.
    pub(super) const COST: Self = Self { cost: 1, tokens: 0 };

    /// The weights under which a division with the ratio of `shares` weighs nothing.
    pub(super) fn ratio_of(supplies: &[Supply], shares: &[Share]) -> Self {
        let sum = |of: fn(&UnitPrice) -> i128| {
            let priced = shares.iter().filter_map(|share| {
                let price = supplies.get(share.supply)?.price?;
                Some(of(&price).saturating_mul(share.replicas.into()))
            });
            priced.fold(0, i128::saturating_add)
        };
        Self { cost: sum(|price| price.tokens.into()), tokens: sum(|price| price.adjusted) }
    }

    /// The weight of a division.
    pub(super) fn sum(self, supplies: &[Supply], shares: &[Share]) -> i128 {
        let weights = shares
            .iter()
            .filter_map(|share| Some(self.of(supplies.get(share.supply)?)?.saturating_mul(share.replicas.into())));
        weights.fold(0, i128::saturating_add)
    }

    /// The weight of one replica; `None` is unknown.
    pub(super) fn of(self, supply: &Supply) -> Option<i128> {
        let price = supply.price?;
        let cost = price.adjusted.saturating_mul(self.cost);
        Some(cost.saturating_sub(self.tokens.saturating_mul(price.tokens.into())))
    }
}
