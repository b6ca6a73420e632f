//! Claim of a hub at a service that has nothing free to hold it: the endpoints of an installation say which hub made them.

use roadstead_provider::Claim;

/// Claim of the hub `hub_uid` on a place whose endpoints of its installation were made by these hubs; an empty one is not known. A hub
/// that is `takeover` gives way.
#[must_use]
pub fn claim_by_endpoints<'a>(hubs: impl IntoIterator<Item = &'a str>, hub_uid: &str, takeover: Option<&str>) -> Claim {
    let mut others = hubs.into_iter().filter(|hub| !hub.is_empty() && *hub != hub_uid && Some(*hub) != takeover);
    others.next().map_or(Claim::Ours, |other| Claim::Other { hub_uid: other.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_the_hub_that_made_its_endpoints() {
        let other = Claim::Other { hub_uid: "b".to_owned() };
        assert_eq!(claim_by_endpoints([], "a", None), Claim::Ours);
        assert_eq!(claim_by_endpoints(["", "a"], "a", None), Claim::Ours);
        assert_eq!(claim_by_endpoints(["a", "b"], "a", None), other);
        assert_eq!(claim_by_endpoints(["a", "b"], "a", Some("b")), Claim::Ours);
    }
}
