//! Accelerators: their names, the resources that pods ask for, and what the labels of a node say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::rows;
use crate::labels::Labels;

const ACCELERATORS: &str = include_str!("../../data/accelerators.csv");
const INSTANCES: &str = include_str!("../../data/instances.csv");

/// The label with a node's instance type.
pub(super) const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// Stands in the table where a row holds other spellings of a name, not a label.
const ALIAS: &str = "alias";
/// The beta labels of AMD's node labeller have the values of its stable ones.
const AMD: (&str, &str) = ("beta.amd.com/", "amd.com/");
/// Labels whose value is a code: one that the table does not know says nothing, not even in its words.
const CODES: [&str; 2] = [INSTANCE_TYPE, "amd.com/gpu.device-id"];

/// An accelerator of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceleratorInfo {
    /// Catalogue name, like `H100`.
    pub name: &'static str,
    /// Kubernetes resource that pods ask for, like `nvidia.com/gpu`.
    pub resource_name: &'static str,
    /// Other spellings of the name.
    pub(super) aliases: BTreeSet<&'static str>,
    /// The words of the name.
    words: BTreeSet<String>,
}

/// Names of the catalogue.
pub(crate) type Kinds = BTreeSet<&'static str>;

static TABLE: LazyLock<BTreeMap<&'static str, AcceleratorInfo>> = LazyLock::new(|| {
    let mut table = BTreeMap::new();
    for row in rows(ACCELERATORS) {
        let [name, resource_name, ref label @ ..] = *row.as_slice() else { continue };
        let info = table.entry(name).or_insert_with(|| AcceleratorInfo {
            name,
            resource_name,
            aliases: BTreeSet::new(),
            words: words(name),
        });
        if let [ALIAS, values] = label {
            info.aliases.extend(values.split(' '));
        }
    }
    table
});

/// Label values by their label, each with the accelerators that it may name.
type Values = BTreeMap<&'static str, BTreeMap<&'static str, Kinds>>;

static VALUES: LazyLock<Values> = LazyLock::new(|| {
    let mut table = Values::new();
    for row in rows(ACCELERATORS) {
        if let [name, _, label, values] = *row.as_slice()
            && label != ALIAS
        {
            for value in values.split(' ') {
                table.entry(label).or_default().entry(value).or_default().insert(name);
            }
        }
    }
    table
});

/// Instance types by cloud, each with the name that it implies.
static TYPES: LazyLock<BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>> = LazyLock::new(|| {
    let mut table: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for row in rows(INSTANCES) {
        if let [cloud, name, types] = *row.as_slice() {
            table.entry(cloud).or_default().extend(types.split(' ').map(|type_| (type_, name)));
        }
    }
    table
});

/// The accelerator of exactly this catalogue name.
#[must_use]
pub fn accelerator(name: &str) -> Option<&'static AcceleratorInfo> {
    TABLE.get(name)
}

/// All accelerators of the catalogue by name.
pub(super) fn all() -> impl Iterator<Item = &'static AcceleratorInfo> {
    TABLE.values()
}

/// The accelerators that a label value of the tables names, under any label.
pub(super) fn of_value(value: &str) -> Kinds {
    VALUES.values().filter_map(|values| values.get(value)).flatten().copied().collect()
}

/// Statement of one node label about the accelerators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Naming {
    /// The label's key.
    pub(crate) key: String,
    /// The label's value.
    pub(crate) value: String,
    /// The accelerators that it may name; none if the catalogue does not know the product.
    pub(crate) kinds: Kinds,
}

/// Everything that the labels of a node in this cloud say of its accelerators.
pub(crate) fn claims(cloud: &str, labels: &Labels) -> Vec<Naming> {
    let mut claims = Vec::new();
    for (key, values) in VALUES.iter() {
        let beta = key.strip_prefix(AMD.1).map(|rest| format!("{}{rest}", AMD.0));
        for key in std::iter::once((*key).to_owned()).chain(beta) {
            let Some(value) = labels.get(&key) else { continue };
            let known = values.get(value.as_str()).cloned();
            if let Some(kinds) = known.or_else(|| (!is_code(&key)).then(|| kinds_of_words(&words(value)))) {
                claims.push(Naming { key, value: value.clone(), kinds });
            }
        }
    }
    if let Some(value) = labels.get(INSTANCE_TYPE)
        && let Some(name) = TYPES.get(cloud).and_then(|types| types.get(value.as_str()))
    {
        claims.push(Naming { key: INSTANCE_TYPE.to_owned(), value: value.clone(), kinds: Kinds::from([*name]) });
    }
    claims
}

fn is_code(key: &str) -> bool {
    CODES.iter().any(|code| key.ends_with(code))
}

impl Naming {
    /// True if it may name an accelerator that an offer calls `kind`; `None` if that is undecidable.
    pub(crate) fn is_of(&self, kind: &str) -> Option<bool> {
        let same = squashed(&self.value).contains(&squashed(kind));
        if self.kinds.is_empty() {
            return same.then_some(true);
        }
        let named = kinds_of(kind);
        Some(self.kinds.iter().any(|one| named.contains(one)) || (named.is_empty() && same))
    }
}

/// The names that an offer's accelerator type may mean: itself, or the name of which it is a spelling or variant.
pub(crate) fn kinds_of(kind: &str) -> Kinds {
    if let Some(info) = accelerator(kind) {
        return Kinds::from([info.name]);
    }
    let plain = squashed(kind);
    let spelled = |info: &&AcceleratorInfo| {
        squashed(info.name) == plain || info.aliases.iter().any(|alias| squashed(alias) == plain)
    };
    let spelled: Kinds = all().filter(spelled).map(|info| info.name).collect();
    if spelled.is_empty() { kinds_of_words(&words(kind)) } else { spelled }
}

/// The most telling names whose words are all there. Where no amount of memory is among the words, names that differ by
/// it alone may be meant as well.
fn kinds_of_words(found: &BTreeSet<String>) -> Kinds {
    let there: Vec<&AcceleratorInfo> = all().filter(|info| info.words.is_subset(found)).collect();
    let telling = |info: &&&AcceleratorInfo| {
        !there.iter().any(|other| other.words.len() > info.words.len() && other.words.is_superset(&info.words))
    };
    let mut kinds: Kinds = there.iter().filter(telling).map(|info| info.name).collect();
    if !kinds.is_empty() && !found.iter().any(|word| is_memory(word)) {
        let but_memory =
            |info: &&AcceleratorInfo| info.words.iter().all(|word| is_memory(word) || found.contains(word));
        kinds.extend(
            all()
                .filter(but_memory)
                .filter(|info| kinds.iter().any(|kind| info.extends(kind)))
                .map(|i| i.name)
                .collect::<Vec<_>>(),
        );
    }
    kinds
}

impl AcceleratorInfo {
    /// True if its name says more than `name`, by an amount of memory.
    fn extends(&self, name: &str) -> bool {
        let plain: BTreeSet<String> = self.words.iter().filter(|word| !is_memory(word)).cloned().collect();
        plain == words(name)
    }
}

/// `80gb`, `141gb`.
fn is_memory(word: &str) -> bool {
    word.strip_suffix("gb").is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The words of a name, in small letters.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// A name in small letters, without anything between its words.
pub(super) fn squashed(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A label that nodes of other accelerators have, and its values there: the pods of an offer keep away from them.
/// Accelerators of another maker than that of `resource` have another resource, and need none of this.
pub(crate) fn values_of_others(cloud: &str, resource: &str, kinds: &Kinds) -> Vec<(&'static str, Vec<&'static str>)> {
    let maker = |resource: &str| resource.split('/').next().map(ToOwned::to_owned);
    let same_maker = |name: &str| accelerator(name).is_some_and(|info| maker(info.resource_name) == maker(resource));
    let others = |named: &Kinds| named.is_disjoint(kinds) && named.iter().any(|name| same_maker(name));
    let by_label = VALUES.iter().map(|(key, values)| {
        let values = values.iter().filter(|(_, named)| others(named));
        (*key, values.map(|(value, _)| *value).collect::<Vec<_>>())
    });
    let types = TYPES.get(cloud).into_iter().flatten().filter(|(_, name)| others(&Kinds::from([**name])));
    let types = (INSTANCE_TYPE, types.map(|(type_, _)| *type_).collect());
    by_label.chain([types]).filter(|(_, values)| !values.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: &str, value: &str) -> Labels {
        Labels::from([(key.into(), value.into())])
    }

    fn only(cloud: &str, key: &str, value: &str) -> Naming {
        claims(cloud, &node(key, value)).remove(0)
    }

    #[test]
    fn every_row_parses() {
        for row in rows(ACCELERATORS) {
            let [name, resource, rest @ ..] = row.as_slice() else { panic!("{row:?}") };
            assert!(resource.contains('/'), "{row:?}");
            assert_eq!(accelerator(name).map(|info| info.resource_name), Some(*resource), "{row:?}");
            match rest {
                [] | [ALIAS, _] => {}
                [label, values] => {
                    assert!(label.contains('/') && values.split(' ').all(crate::catalogue::is_label_value), "{row:?}");
                }
                _ => panic!("{row:?}"),
            }
        }
        for row in rows(INSTANCES) {
            let [cloud, name, types] = *row.as_slice() else { panic!("{row:?}") };
            assert!(accelerator(name).is_some() && ["aws", "gcp", "azure"].contains(&cloud), "{row:?}");
            assert!(types.split(' ').all(crate::catalogue::is_label_value), "{row:?}");
        }
    }

    #[test]
    fn a_name_stands_for_itself_and_no_alias_for_two() {
        let mut seen = BTreeSet::new();
        for info in all() {
            assert_eq!(kinds_of(info.name), Kinds::from([info.name]));
            for spelling in info.aliases.iter().chain([&info.name]) {
                assert!(seen.insert(squashed(spelling)), "{spelling} stands for two");
            }
        }
    }

    #[test]
    fn todays_accelerators_have_their_resource() {
        for (resource, names) in [
            (
                "nvidia.com/gpu",
                "GB300 GB200 B300 B200 H200 H100 GH200 H20 A100 A100-80GB A40 A30 A10 A10G L40S L40 L4 T4 V100 RTX-PRO-6000",
            ),
            ("amd.com/gpu", "MI355X MI350X MI325X MI308X MI300X MI300A MI250X MI210"),
            ("habana.ai/gaudi", "Gaudi Gaudi2 Gaudi3"),
            ("aws.amazon.com/neuron", "Trainium Trainium2 Trainium3 Inferentia Inferentia2"),
            ("google.com/tpu", "TPU-v4 TPU-v5e TPU-v5p TPU-v6e TPU-v7x"),
        ] {
            for name in names.split(' ') {
                assert_eq!(accelerator(name).map(|info| info.resource_name), Some(resource), "{name}");
            }
        }
        for name in ["h100", "mi355x", "MI400X", "B200 ", ""] {
            assert_eq!(accelerator(name), None, "{name:?} is no name, and nothing is guessed");
        }
    }

    #[test]
    fn labels_of_nodes_name_their_accelerator_in_known_and_unknown_spellings() {
        const PRODUCT: &str = "nvidia.com/gpu.product";
        for (cloud, key, value, kind) in [
            ("x", PRODUCT, "NVIDIA-H100-80GB-HBM3", "H100"),
            ("x", PRODUCT, "NVIDIA-H100-80GB-HBM3-SHARED", "H100"),
            ("x", PRODUCT, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "H100"),
            ("x", PRODUCT, "NVIDIA-H100-SXM5-96GB", "H100"),
            ("x", PRODUCT, "NVIDIA-A100-SXM4-80GB", "A100-80GB"),
            ("x", PRODUCT, "A100-PCIe-40GB", "A100"),
            ("x", PRODUCT, "Tesla-T4", "T4"),
            ("x", PRODUCT, "NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition", "RTX-PRO-6000"),
            ("gcp", "cloud.google.com/gke-accelerator", "nvidia-h100-mega-80gb", "H100"),
            ("gcp", "cloud.google.com/gke-tpu-accelerator", "tpu7x", "TPU-v7x"),
            ("aws", "karpenter.k8s.aws/instance-gpu-name", "l40s", "L40S"),
            ("aws", "eks.amazonaws.com/instance-gpu-name", "h200", "H200"),
            ("aws", INSTANCE_TYPE, "g4dn.xlarge", "T4"),
            ("azure", INSTANCE_TYPE, "Standard_ND96isr_MI300X_v5", "MI300X"),
            ("coreweave", "gpu.nvidia.com/class", "H100_NVLINK_80GB", "H100"),
            ("coreweave", "gpu.nvidia.com/model", "RTX_A5000", "RTX-A5000"),
            ("x", "amd.com/gpu.product-name", "AMD_Instinct_MI355X_OAM", "MI355X"),
            ("x", "beta.amd.com/gpu.product-name", "AMD_Instinct_MI300X_HF", "MI300X"),
            ("x", "amd.com/gpu.device-id", "74a1", "MI300X"),
        ] {
            assert_eq!(only(cloud, key, value).kinds, Kinds::from([kind]), "{key}={value}");
        }
        assert_eq!(claims("x", &node(INSTANCE_TYPE, "g4dn.xlarge")), [], "another cloud's names mean nothing");
        assert_eq!(claims("aws", &node(INSTANCE_TYPE, "m7i.large")), []);
        assert_eq!(claims("x", &node("amd.com/gpu.device-id", "ffff")), []);
        assert_eq!(only("x", PRODUCT, "NVIDIA-Rubin-R100").kinds, Kinds::new());
    }

    #[test]
    fn a_claim_is_compared_with_the_type_of_an_offer() {
        let says = |value: &str, kind: &str| only("x", "nvidia.com/gpu.product", value).is_of(kind);
        for (value, kind, expected) in [
            ("NVIDIA-H100-80GB-HBM3", "H100", Some(true)),
            ("NVIDIA-H100-80GB-HBM3", "h100", Some(true)),
            ("NVIDIA-H100-80GB-HBM3", "H100-MIG-1g.10gb", Some(true)),
            ("Tesla-T4", "H100", Some(false)),
            ("NVIDIA-A10G", "A10", Some(false)),
            ("NVIDIA-L40S", "L40", Some(false)),
            ("NVIDIA-A100-SXM4-80GB", "A100", Some(false)),
            ("NVIDIA-A100-SXM4-40GB", "A100-80GB", Some(false)),
            ("NVIDIA-A100-PG509", "A100-80GB", Some(true)),
            ("Tesla-T4", "house-blend", Some(false)),
            ("NVIDIA-Rubin-R100", "H100", None),
            ("NVIDIA-Rubin-R100", "Rubin-R100", Some(true)),
            ("NVIDIA-GeForce-RTX-4090", "RTX4090", Some(true)),
        ] {
            assert_eq!(says(value, kind), expected, "{value} {kind}");
        }
        let either = only("aws", "karpenter.k8s.aws/instance-gpu-name", "a100");
        assert_eq!(
            (either.is_of("A100"), either.is_of("A100-80GB"), either.is_of("H100")),
            (Some(true), Some(true), Some(false))
        );
    }
}
