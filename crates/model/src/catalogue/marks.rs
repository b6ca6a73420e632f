//! Labels by which a node says that its devices are not whole ones, or how its instance is bought.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::rows;
use crate::labels::Labels;

const MARKS: &str = include_str!("../../data/node_marks.csv");

/// Meaning of a node label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// Each device is a part of one.
    Slice,
    /// Several pods are given the same device.
    Shared,
    /// It can be taken away.
    Spot,
    /// It is bought in another way than as spot capacity.
    NotSpot,
}

/// Comparison of a label's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(BTreeSet<&'static str>),
    Exists,
    Above(u64),
    Contains(&'static str),
    Begins(BTreeSet<&'static str>),
    Ends(&'static str),
    /// `-48Q`: a profile of a virtual GPU.
    Profile,
}

struct Row {
    mark: Mark,
    key: &'static str,
    test: Test,
}

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| rows(MARKS).filter_map(|row| parse(&row)).collect());

fn parse(row: &[&'static str]) -> Option<Row> {
    let [mark, key, test, values] = *row else { return None };
    let mark = match mark {
        "Slice" => Mark::Slice,
        "Shared" => Mark::Shared,
        "Spot" => Mark::Spot,
        "NotSpot" => Mark::NotSpot,
        _ => return None,
    };
    let test = match test {
        "in" => Test::In(values.split(' ').collect()),
        "exists" => Test::Exists,
        "above" => Test::Above(values.parse().ok()?),
        "contains" => Test::Contains(values),
        "begins" => Test::Begins(values.split(' ').collect()),
        "ends" => Test::Ends(values),
        "profile" => Test::Profile,
        _ => return None,
    };
    Some(Row { mark, key, test })
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::In(values) => values.contains(value),
            Self::Exists => true,
            Self::Above(bound) => value.parse::<u64>().is_ok_and(|number| number > *bound),
            Self::Contains(part) => value.contains(part),
            Self::Begins(parts) => parts.iter().any(|part| value.starts_with(part)),
            Self::Ends(part) => value.ends_with(part),
            Self::Profile => value.rsplit_once('-').is_some_and(|(_, last)| {
                let digits = last.strip_suffix(['A', 'B', 'C', 'Q']).unwrap_or_default();
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }),
        }
    }
}

/// All marks of these labels, each with the key of the label that says so.
pub(crate) fn marks(labels: &Labels) -> Vec<(Mark, &'static str)> {
    let holds = |row: &&Row| labels.get(row.key).is_some_and(|value| row.test.holds(value));
    TABLE.iter().filter(holds).map(|row| (row.mark, row.key)).collect()
}

/// The mark that a resource itself bears, like `nvidia.com/mig-1g.10gb` or `nvidia.com/gpu.shared`.
pub(crate) fn mark_of_resource(resource: &str) -> Option<Mark> {
    let device = resource.split_once('/').map_or(resource, |(_, device)| device);
    if ["mig-", "cpx", "dpx", "qpx", "tpx"].iter().any(|prefix| device.starts_with(prefix)) {
        return Some(Mark::Slice);
    }
    device.ends_with(".shared").then_some(Mark::Shared)
}

/// Labels that say so for certain by their values or by being there at all (no values).
pub(crate) fn values_of(mark: Mark) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    TABLE.iter().filter(move |row| row.mark == mark).filter_map(|row| match &row.test {
        Test::In(values) => Some((row.key, values.iter().copied().collect())),
        Test::Exists => Some((row.key, Vec::new())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_parses() {
        for row in rows(MARKS) {
            assert!(parse(&row).is_some(), "{row:?}");
        }
    }

    #[test]
    fn slices_shares_and_spot_are_known_by_labels() {
        use Mark::{NotSpot, Shared, Slice, Spot};
        for (key, value, expected) in [
            ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3", None),
            ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3-SHARED", Some(Shared)),
            ("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", Some(Slice)),
            ("nvidia.com/gpu.product", "NVIDIA-A40-48Q", Some(Shared)),
            ("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-40GB", None),
            ("nvidia.com/gpu.sharing-strategy", "none", None),
            ("nvidia.com/gpu.sharing-strategy", "time-slicing", Some(Shared)),
            ("nvidia.com/gpu.sharing-strategy", "mps", Some(Shared)),
            ("nvidia.com/gpu.replicas", "1", None),
            ("nvidia.com/gpu.replicas", "4", Some(Shared)),
            ("nvidia.com/mig.strategy", "single", None),
            ("nvidia.com/vgpu.present", "true", Some(Shared)),
            ("cloud.google.com/gke-gpu-partition-size", "1g.10gb", Some(Slice)),
            ("cloud.google.com/gke-gpu-sharing-strategy", "time-sharing", Some(Shared)),
            ("amd.com/compute-memory-partition", "spx_nps1", None),
            ("amd.com/compute-memory-partition", "cpx_nps4", Some(Slice)),
            ("node.kubernetes.io/instance-type", "Standard_NV6ads_A10_v5", Some(Slice)),
            ("karpenter.sh/capacity-type", "spot", Some(Spot)),
            ("karpenter.sh/capacity-type", "on-demand", Some(NotSpot)),
            ("cloud.google.com/gke-spot", "true", Some(Spot)),
        ] {
            let found = marks(&Labels::from([(key.into(), value.into())]));
            assert_eq!(found.first().map(|(mark, _)| *mark), expected, "{key}={value}");
        }
        assert_eq!(mark_of_resource("nvidia.com/gpu"), None);
        assert_eq!(mark_of_resource("nvidia.com/mig-3g.40gb"), Some(Slice));
        assert_eq!(mark_of_resource("nvidia.com/gpu.shared"), Some(Shared));
    }
}
