//! Marks of an instance: who made it, and for what. Pure.
//!
//! The service has no tags and returns no text of the caller but the name of an instance, which has 255 letters, digits, hyphens and
//! underscores at most. So the name holds the marks, in parts that two underscores divide. A part with another character than a lower-case
//! letter, a digit or a hyphen has an underscore and two hexadecimal digits in its place.

use roadstead_api::v1alpha1::CapacityType;
use roadstead_provider::tags::EndpointTags;

/// Longest name of an instance.
pub const MAX_NAME: usize = 255;
/// Between two parts of a name.
const BETWEEN: &str = "__";

/// Marks of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedicatedMarks {
    /// UID of the hub that made it.
    pub hub: String,
    /// Its owner, and its part in the plan.
    pub owner: EndpointTags,
}

impl DedicatedMarks {
    /// Name of the instance of `endpoint`, which begins with the endpoint's own name.
    #[must_use]
    pub fn name(&self, endpoint: &str) -> String {
        let Self { hub, owner } = self;
        // Instances are on demand: the capacity type is no part.
        let EndpointTags { install_id, namespace, deployment, target, offer, shape, capacity_type: _, slot } = owner;
        let slot = slot.to_string();
        let parts = [endpoint, install_id, namespace, deployment, target, offer, shape, &slot, hub];
        parts.map(written).join(BETWEEN)
    }

    /// The marks in the name of an instance; `None` where it is none of ours.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        let parts: Vec<String> = name.split(BETWEEN).map(read).collect::<Option<_>>()?;
        let [_, install_id, namespace, deployment, target, offer, shape, slot, hub] = parts.try_into().ok()?;
        let slot = slot.parse().ok()?;
        let capacity_type = CapacityType::OnDemand;
        let owner = EndpointTags { install_id, namespace, deployment, target, offer, shape, capacity_type, slot };
        Some(Self { hub, owner })
    }
}

/// Name of the endpoint in the name of an instance, or all of it where it is none of ours.
#[must_use]
pub fn endpoint(name: &str) -> &str {
    name.split_once(BETWEEN).map_or(name, |(endpoint, _)| endpoint)
}

fn written(part: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        _ => format!("_{byte:02X}"),
    };
    part.bytes().map(one).collect()
}

fn read(part: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use roadstead_conformance::HUB;
    use roadstead_conformance::request::record;

    use super::*;

    fn marks(change: impl FnOnce(&mut EndpointTags)) -> DedicatedMarks {
        let mut owner = EndpointTags::of("prod", &record("llama-ifozqn2uokcb"));
        change(&mut owner);
        DedicatedMarks { hub: HUB.to_owned(), owner }
    }

    #[test]
    fn a_name_holds_the_marks_and_begins_with_that_of_the_endpoint() {
        for marks in [
            marks(|_| {}),
            marks(|owner| "ocean.atl1".clone_into(&mut owner.target)),
            marks(|owner| "One_Big__Shape_".clone_into(&mut owner.shape)),
            marks(|owner| owner.slot = 1000),
        ] {
            let name = marks.name("llama-ifozqn2uokcb");
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert!(name.bytes().all(plain) && name.len() <= MAX_NAME, "{name}");
            assert_eq!((endpoint(&name), DedicatedMarks::read(&name)), ("llama-ifozqn2uokcb", Some(marks)));
        }
    }

    #[test]
    fn a_name_of_another_hand_has_no_marks() {
        let name = marks(|_| {}).name("e");
        for wrong in
            ["", "e", "my__instance", "e__a__b__c__d__e__f__g__h", &name[..name.len() - 40], &format!("{name}__x")]
        {
            assert_eq!(DedicatedMarks::read(wrong), None, "{wrong}");
        }
        assert_eq!(endpoint("my-instance"), "my-instance");
    }
}
