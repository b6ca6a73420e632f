//! Built-in knowledge: where the regions of clouds are, and what accelerators are called.
//!
//! The tables are data files with their sources at the top; what is not in them is unknown.

mod accelerators;
mod marks;
mod spelling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

pub use accelerators::{AcceleratorInfo, accelerator};
pub(crate) use accelerators::{Kinds, Naming, claims, kinds_of, values_of_others};
pub(crate) use marks::{Mark, mark_of_resource, marks, values_of};
pub use spelling::{accelerator_spelled, cloud_spelled, region_spelled};

use crate::target::Location;

const REGIONS: &str = include_str!("../../data/regions.csv");
const JURISDICTIONS: &str = include_str!("../../data/jurisdictions.csv");

type RegionTable = BTreeMap<(&'static str, &'static str), &'static str>;

static REGION_TABLE: LazyLock<RegionTable> = LazyLock::new(|| {
    rows(REGIONS)
        .filter_map(|row| match row.as_slice() {
            [cloud, region, country, _place] => Some(((*cloud, *region), *country)),
            _ => None,
        })
        .collect()
});

static UNIONS: LazyLock<Vec<(&'static str, BTreeSet<&'static str>)>> = LazyLock::new(|| {
    rows(JURISDICTIONS)
        .filter_map(|row| match row.as_slice() {
            [name, countries] => Some((*name, countries.split(' ').collect())),
            _ => None,
        })
        .collect()
});

/// Rows of a table: comments and empty lines left out, fields between commas.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split(',').collect())
}

/// Location of a region, if the built-in table has it.
#[must_use]
pub fn locate(cloud: &str, region: &str) -> Option<Location> {
    let country = REGION_TABLE.get(&(cloud, region))?;
    Some(Location { country: (*country).to_owned(), jurisdictions: jurisdictions_of(country) })
}

/// The jurisdictions that a country (ISO 3166-1 alpha-2) lies in: itself, and the unions it belongs to.
#[must_use]
pub fn jurisdictions_of(country: &str) -> BTreeSet<String> {
    let unions = UNIONS.iter().filter(|(_, countries)| countries.contains(country));
    unions.map(|(name, _)| (*name).to_owned()).chain([country.to_owned()]).collect()
}

/// True if a text of a table can be the value of a label.
#[cfg(test)]
fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jurisdictions(cloud: &str, region: &str) -> BTreeSet<String> {
        locate(cloud, region).unwrap_or_else(|| panic!("{cloud} {region} is unknown")).jurisdictions
    }

    #[test]
    fn every_region_row_parses_and_is_unique() {
        let mut seen = BTreeSet::new();
        for row in rows(REGIONS) {
            let [cloud, region, country, place] = *row.as_slice() else { panic!("{row:?}") };
            assert!(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()), "{row:?}");
            assert!(!place.is_empty() && !region.is_empty() && region.trim() == region, "{row:?}");
            assert!(seen.insert((cloud, region)), "{row:?} stands twice");
        }
        let clouds: BTreeSet<_> = seen.iter().map(|(cloud, _)| *cloud).collect();
        let wanted = [
            "aws",
            "azure",
            "coreweave",
            "digitalocean",
            "gcp",
            "hetzner",
            "lambda",
            "nebius",
            "oci",
            "ovh",
            "scaleway",
        ];
        assert_eq!(clouds.into_iter().collect::<Vec<_>>(), wanted);
        assert_eq!(REGION_TABLE.len(), seen.len());
    }

    #[test]
    fn every_jurisdiction_row_parses() {
        for row in rows(JURISDICTIONS) {
            let [name, countries] = *row.as_slice() else { panic!("{row:?}") };
            assert!(countries.split(' ').all(|country| country.len() == 2), "{name}");
        }
        assert_eq!(UNIONS[0].1.len(), 27, "members of the EU");
        assert_eq!(UNIONS[1].1.len(), 31, "members of the EEA, and the EU as a whole");
    }

    #[test]
    fn an_area_of_all_member_states_is_in_the_unions_and_in_no_country() {
        let jurisdictions = jurisdictions("azure", "datazone-eu");
        assert_eq!(jurisdictions, BTreeSet::from(["EEA".to_owned(), "EU".to_owned()]));
        assert!(locate("azure", "global").is_none(), "anywhere");
    }

    #[test]
    fn what_looks_european_is_not_always_the_union() {
        for (cloud, region) in [
            ("aws", "eu-west-2"),
            ("aws", "eu-central-2"),
            ("gcp", "europe-west2"),
            ("gcp", "europe-west6"),
            ("azure", "uksouth"),
            ("azure", "switzerlandnorth"),
            ("azure", "norwayeast"),
            ("oci", "eu-zurich-1"),
            ("oci", "eu-jovanovac-1"),
            ("coreweave", "EU-NORTH-02"),
            ("coreweave", "EU-WEST-02"),
            ("nebius", "eu-north2"),
            ("ovh", "UK1"),
        ] {
            assert!(!jurisdictions(cloud, region).contains("EU"), "{cloud} {region}");
        }
        for (cloud, region) in
            [("aws", "eu-west-1"), ("gcp", "europe-west4"), ("azure", "westeurope"), ("hetzner", "fsn1")]
        {
            let found = jurisdictions(cloud, region);
            assert!(found.contains("EU") && found.contains("EEA"), "{cloud} {region}");
        }
    }

    #[test]
    fn countries_are_jurisdictions_too() {
        for (cloud, region, wanted) in [
            ("aws", "us-east-1", "US"),
            ("aws", "eu-west-2", "UK"),
            ("aws", "eu-central-2", "CH"),
            ("azure", "norwayeast", "EEA"),
            ("aws", "ca-central-1", "CA"),
            ("aws", "ap-south-1", "IN"),
            ("aws", "ap-northeast-1", "JP"),
            ("aws", "ap-southeast-1", "SG"),
            ("aws", "ap-southeast-2", "AU"),
            ("aws", "sa-east-1", "BR"),
        ] {
            assert!(jurisdictions(cloud, region).contains(wanted), "{region}");
        }
    }

    #[test]
    fn unknown_regions_are_nowhere() {
        assert_eq!(locate("aws", "eu-mars-1"), None);
        assert_eq!(locate("gcp", "us-east-1"), None, "a region belongs to its cloud");
    }
}
