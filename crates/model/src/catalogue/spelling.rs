//! The table's spelling of a cloud, a region or an accelerator that somebody writes differently.
//!
//! Names are compared letter by letter everywhere else; this warns of a slip and changes nothing.

use std::collections::BTreeSet;

use super::accelerators::{accelerator, all, kinds_of, of_value, squashed, words};
use super::{REGION_TABLE, rows};

const CLOUDS: &str = include_str!("../../data/clouds.csv");

/// Words around the name of an accelerator that say nothing of its kind.
const NOISE: [&str; 18] = [
    "nvidia", "amd", "intel", "habana", "aws", "google", "tesla", "instinct", "geforce", "gpu", "sxm", "sxm4", "sxm5",
    "pcie", "oam", "hbm3", "hbm3e", "nvlink",
];

fn clouds() -> BTreeSet<&'static str> {
    REGION_TABLE.keys().map(|(cloud, _)| *cloud).collect()
}

/// The name of a cloud in the tables, where `cloud` is not that name but another one of it.
#[must_use]
pub fn cloud_spelled(cloud: &str) -> Option<&'static str> {
    let plain = squashed(cloud);
    let known = clouds();
    if known.contains(cloud) {
        return None;
    }
    let named = known.into_iter().find(|known| squashed(known) == plain);
    named.or_else(|| {
        rows(CLOUDS).find_map(|row| match *row.as_slice() {
            [cloud, others] => others.split(' ').any(|name| name == plain).then_some(cloud),
            _ => None,
        })
    })
}

/// The region of the tables that `region` means, with its cloud, where no region of that cloud has exactly this name.
#[must_use]
pub fn region_spelled(cloud: &str, region: &str) -> Option<(&'static str, &'static str)> {
    let cloud = cloud_spelled(cloud).unwrap_or(cloud);
    let regions = || REGION_TABLE.keys().copied();
    if regions().any(|(of, name)| of == cloud && name == region) {
        return None;
    }
    if !clouds().contains(cloud) {
        return None;
    }
    let here = || regions().filter(|(of, _)| *of == cloud);
    let plain = squashed(region);
    let same = here().find(|(_, name)| squashed(name) == plain);
    let of_zone = || here().find(|(_, name)| is_zone(region, name));
    let elsewhere = || regions().find(|(_, name)| *name == region);
    same.or_else(of_zone).or_else(elsewhere)
}

/// True if `zone` is a zone of `region`, as clouds name them: `eu-central-1a`, `europe-west4-b`, `westeurope-1`.
fn is_zone(zone: &str, region: &str) -> bool {
    let Some(rest) = zone.to_ascii_lowercase().strip_prefix(&region.to_ascii_lowercase()).map(ToOwned::to_owned) else {
        return false;
    };
    let rest = rest.trim_start_matches(['-', '_']);
    let lettered = region.ends_with(|c: char| c.is_ascii_digit());
    rest.len() == 1 && rest.bytes().all(|byte| if lettered { byte.is_ascii_lowercase() } else { byte.is_ascii_digit() })
}

/// The name of an accelerator in the tables, where `kind` is not that name but another spelling of it.
#[must_use]
pub fn accelerator_spelled(kind: &str) -> Option<&'static str> {
    if accelerator(kind).is_some() {
        return None;
    }
    let plain = squashed(kind);
    let spelled =
        all().find(|info| squashed(info.name) == plain || info.aliases.iter().any(|alias| squashed(alias) == plain));
    if let Some(info) = spelled {
        return Some(info.name);
    }
    if let Some(name) = of_value(kind).first() {
        return Some(name);
    }
    let named = kinds_of(kind);
    let name = named.first().filter(|_| named.len() == 1)?;
    let rest: BTreeSet<String> = words(kind).difference(&words(name)).cloned().collect();
    rest.iter().all(|word| NOISE.contains(&word.as_str())).then_some(*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cloud_of_the_regions_is_a_row() {
        let listed: BTreeSet<_> = rows(CLOUDS).filter_map(|row| row.first().copied()).collect();
        assert_eq!(listed, clouds());
    }

    #[test]
    fn clouds_are_known_by_other_names() {
        for (written, known) in [
            ("aws", None),
            ("AWS", Some("aws")),
            ("Amazon-Web-Services", Some("aws")),
            ("Azure", Some("azure")),
            ("google-cloud", Some("gcp")),
            ("GKE", Some("gcp")),
            ("on-premises", None),
            ("my-aws", None),
        ] {
            assert_eq!(cloud_spelled(written), known, "{written}");
        }
    }

    #[test]
    fn regions_are_known_by_zones_display_names_and_other_letters() {
        for (cloud, written, known) in [
            ("aws", "eu-central-1", None),
            ("AWS", "eu-central-1", None),
            ("aws", "eu-central-1a", Some(("aws", "eu-central-1"))),
            ("AWS", "eu-central-1a", Some(("aws", "eu-central-1"))),
            ("aws", "EU-Central-1", Some(("aws", "eu-central-1"))),
            ("gcp", "europe-west4-b", Some(("gcp", "europe-west4"))),
            ("azure", "WestEurope", Some(("azure", "westeurope"))),
            ("azure", "West-Europe", Some(("azure", "westeurope"))),
            ("azure", "West Europe", Some(("azure", "westeurope"))),
            ("azure", "westeurope-1", Some(("azure", "westeurope"))),
            ("aws", "europe-west4", Some(("gcp", "europe-west4"))),
            ("aws", "eu-mars-1", None),
            ("aws", "us-east-1-bos-1a", None),
            ("on-premises", "eu-central-1", None),
        ] {
            assert_eq!(region_spelled(cloud, written), known, "{cloud} {written}");
        }
    }

    #[test]
    fn accelerators_are_known_by_other_spellings_and_labels_but_not_by_variants() {
        for (written, known) in [
            ("H100", None),
            ("h100", Some("H100")),
            ("mi355x", Some("MI355X")),
            ("A100-40GB", Some("A100")),
            ("a100_80gb", Some("A100-80GB")),
            ("NVIDIA-H100-80GB-HBM3", Some("H100")),
            ("nvidia-h100-80gb", Some("H100")),
            ("nvidia-l4", Some("L4")),
            ("Tesla-T4", Some("T4")),
            ("AMD_Instinct_MI300X_OAM", Some("MI300X")),
            ("tpu-v6e-slice", Some("TPU-v6e")),
            ("Trainium1", Some("Trainium")),
            ("gaudi-3", Some("Gaudi3")),
            ("H100-MIG-1g.10gb", None),
            ("Ascend910B", None),
        ] {
            assert_eq!(accelerator_spelled(written), known, "{written}");
        }
    }
}
