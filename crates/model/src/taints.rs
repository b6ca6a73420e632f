//! Taints and tolerations, of nodes and of targets.

use serde::{Deserialize, Serialize};

/// Keeps away what does not tolerate it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taint {
    /// Key of the taint.
    pub key: String,
    /// Value, often empty.
    #[serde(default)]
    pub value: String,
    /// Effect of the taint.
    pub effect: Effect,
}

/// Effect of a taint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Effect {
    /// On a target: nothing new is placed.
    NoPlacement,
    /// On a target: nothing new is placed, and the endpoints there are replaced elsewhere.
    Evict,
    /// On a node: no new pods.
    NoSchedule,
    /// On a node: no new pods, and those there leave.
    NoExecute,
    /// On a node: avoided where possible; the planner ignores it.
    PreferNoSchedule,
}

/// A toleration of a taint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Toleration {
    /// Key it is for; `None` with [`TolerationOperator::Exists`] is every key.
    #[serde(default)]
    pub key: Option<String>,
    /// Comparison of the value.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// Value for `Equal`.
    #[serde(default)]
    pub value: String,
    /// Effect it is for; `None` is every effect.
    #[serde(default)]
    pub effect: Option<Effect>,
}

/// Comparison of a toleration with the value of a taint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum TolerationOperator {
    /// Key and value are equal.
    #[default]
    Equal,
    /// The key is enough.
    Exists,
}

impl Toleration {
    /// True if this tolerates `taint`.
    #[must_use]
    pub fn tolerates(&self, taint: &Taint) -> bool {
        let key = match &self.key {
            Some(key) => *key == taint.key,
            None => self.operator == TolerationOperator::Exists,
        };
        key && self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.operator == TolerationOperator::Exists || self.value == taint.value)
    }
}

/// The first repelling taint that none of `tolerations` tolerates.
#[must_use]
pub fn first_untolerated<'t>(taints: &'t [Taint], tolerations: &[Toleration]) -> Option<&'t Taint> {
    taints
        .iter()
        .filter(|taint| taint.effect != Effect::PreferNoSchedule)
        .find(|taint| !tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

/// The first of `taints` that evicts what runs on its target, because none of `tolerations` tolerates it.
#[must_use]
pub fn first_evicting<'t>(taints: &'t [Taint], tolerations: &[Toleration]) -> Option<&'t Taint> {
    let evicts = |taint: &&Taint| taint.effect == Effect::Evict && !tolerations.iter().any(|one| one.tolerates(taint));
    taints.iter().find(evicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(effect: Effect) -> Taint {
        Taint { key: "gpu".into(), value: "yes".into(), effect }
    }

    fn toleration(key: Option<&str>, operator: TolerationOperator, value: &str) -> Toleration {
        Toleration { key: key.map(Into::into), operator, value: value.into(), effect: None }
    }

    #[test]
    fn tolerates_as_kubernetes_does() {
        use TolerationOperator::{Equal, Exists};
        for (toleration, expected) in [
            (toleration(Some("gpu"), Equal, "yes"), true),
            (toleration(Some("gpu"), Equal, "no"), false),
            (toleration(Some("gpu"), Exists, ""), true),
            (toleration(Some("cpu"), Exists, ""), false),
            (toleration(None, Exists, ""), true),
            (toleration(None, Equal, "yes"), false),
            (Toleration { effect: Some(Effect::NoExecute), ..toleration(None, Exists, "") }, false),
        ] {
            assert_eq!(toleration.tolerates(&taint(Effect::NoSchedule)), expected, "{toleration:?}");
        }
    }

    #[test]
    fn preference_keeps_nobody_away() {
        assert_eq!(first_untolerated(&[taint(Effect::PreferNoSchedule)], &[]), None);
        assert!(first_untolerated(&[taint(Effect::NoPlacement)], &[]).is_some());
    }

    #[test]
    fn only_an_untolerated_eviction_evicts() {
        let (taints, all) =
            ([taint(Effect::NoPlacement), taint(Effect::Evict)], [toleration(None, TolerationOperator::Exists, "")]);
        assert_eq!(first_evicting(&taints, &[]), Some(&taints[1]));
        assert_eq!(first_evicting(&taints, &all), None);
        assert_eq!(first_evicting(&taints[..1], &[]), None);
    }
}
