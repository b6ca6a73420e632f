//! Names, labels, annotations and finalizers: everything by which Roadstead recognises what it made.

use data_encoding::BASE32_NOPAD;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::{InferenceEndpoint, syntax};

/// Marks everything that an installation made.
pub const LABEL_INSTALL_ID: &str = "roadstead.dev/install-id";
/// The namespace of the deployment on the hub.
pub const LABEL_NAMESPACE: &str = "roadstead.dev/namespace";
/// The name of the deployment on the hub.
pub const LABEL_DEPLOYMENT: &str = "roadstead.dev/deployment";
/// The name of the endpoint; selects its pods.
pub const LABEL_ENDPOINT: &str = "roadstead.dev/endpoint";
/// On pods: the beginning of the hash of what their template was made from.
pub const LABEL_TEMPLATE: &str = "roadstead.dev/template-hash";
/// Says who manages an object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Says what an object is.
pub const LABEL_APP_NAME: &str = "app.kubernetes.io/name";
/// UID of the deployment whose traffic a Secret describes to gateways.
pub const LABEL_ROUTE: &str = "roadstead.dev/route";
/// Name of the Secret without a route by which an operator says that the routes of all its deployments have been published once,
/// and its value of [`LABEL_ROUTE`].
pub const ROUTES_PUBLISHED: &str = "published";
/// Marks the reports of gateways.
pub const LABEL_GATEWAY: &str = "roadstead.dev/gateway";
/// The value of [`LABEL_MANAGED_BY`], and the field manager of every write.
pub const MANAGED_BY: &str = "roadstead";
/// The field manager of every write.
pub const FIELD_MANAGER: &str = "roadstead";

/// The UID of the deployment on the hub.
pub const ANNOTATION_DEPLOYMENT_UID: &str = "roadstead.dev/deployment-uid";
/// The target for which an object was made.
pub const ANNOTATION_TARGET: &str = "roadstead.dev/target";
/// The offer for which an object was made.
pub const ANNOTATION_OFFER: &str = "roadstead.dev/offer";
/// The shape for which an object was made.
pub const ANNOTATION_SHAPE: &str = "roadstead.dev/shape";
/// The capacity type for which an object was made.
pub const ANNOTATION_CAPACITY_TYPE: &str = "roadstead.dev/capacity-type";
/// The slot for which an object was made.
pub const ANNOTATION_SLOT: &str = "roadstead.dev/slot";
/// The rendered pod template, as JSON.
pub const ANNOTATION_TEMPLATE: &str = "roadstead.dev/template";
/// The hash of what the pod template was rendered from.
pub const ANNOTATION_TEMPLATE_HASH: &str = "roadstead.dev/template-hash";
/// The form in which an endpoint was asked for, as JSON: what a rebuilt hub adopts it with.
pub const ANNOTATION_RECORD: &str = "roadstead.dev/record";

/// Set by users: look again now; echoed in `status.lastHandledReconcileAt`.
pub const ANNOTATION_REQUESTED_AT: &str = "roadstead.dev/requestedAt";
/// On a deployment: the target to which it is to move, once. The operator removes it when the move is done.
pub const ANNOTATION_MOVE_TO: &str = "roadstead.dev/move-to";
/// On a target, with any value: its endpoints are replaced elsewhere, as by a taint with the effect Evict and this key.
pub const ANNOTATION_EVACUATE: &str = "roadstead.dev/evacuate";
/// On a target, with any value: nothing new is placed there, as by a taint with the effect `NoPlacement` and this key.
pub const ANNOTATION_CORDON: &str = "roadstead.dev/cordon";
/// Set by users: targets that a first placement does not wait for, separated by commas.
pub const ANNOTATION_PLACE_WITHOUT: &str = "roadstead.dev/place-without";
/// Set by administrators on an endpoint, with its UID: its target is permanently gone.
pub const ANNOTATION_ABANDON: &str = "roadstead.dev/abandon";

/// Holds a deployment until its endpoints are gone.
pub const FINALIZER_DEPLOYMENT: &str = "roadstead.dev/deployment";
/// Holds a target until no endpoint is on it.
pub const FINALIZER_TARGET: &str = "roadstead.dev/target";
/// Holds an endpoint until its provider has confirmed that it is gone.
pub const FINALIZER_ENDPOINT: &str = "roadstead.dev/endpoint";

/// The key of an API key in its Secret.
pub const API_KEY: &str = "apiKey";
/// Prefix of every API key.
pub const API_KEY_PREFIX: &str = "rs-";

/// Characters of the deployment's name that an endpoint's name keeps.
const NAME_CHARS: usize = 17;
/// Characters of the hash in an endpoint's name: 60 bits.
const HASH_CHARS: usize = 12;

/// The name of an endpoint everywhere: on the hub, on members, at providers. At most 30 characters.
///
/// The fields are hashed with their lengths, so that no two different tuples read the same.
#[must_use]
pub fn endpoint_name(
    install_id: &str,
    namespace: &str,
    name: &str,
    target: &str,
    shape: &str,
    capacity_type: &str,
    slot: u32,
) -> String {
    let slot = slot.to_string();
    let mut digest = Sha256::new();
    for field in [install_id, namespace, name, target, shape, capacity_type, &slot] {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field.as_bytes());
    }
    let hash: String = BASE32_NOPAD.encode(&digest.finalize()).to_ascii_lowercase().chars().take(HASH_CHARS).collect();
    let start: String = name.chars().take(NAME_CHARS).collect();
    format!("{}-{hash}", start.trim_end_matches('-'))
}

/// True if `text` can be the name of an endpoint.
#[must_use]
pub fn is_endpoint_name(text: &str) -> bool {
    let hash =
        |part: &str| part.len() == HASH_CHARS && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    text.rsplit_once('-').is_some_and(|(start, end)| (1..=NAME_CHARS).contains(&start.len()) && hash(end))
}

/// The Secret on a member that holds the API key of an endpoint.
#[must_use]
pub fn key_secret(endpoint: &str) -> String {
    format!("{endpoint}-key")
}

/// The Secret beside a deployment that holds the key of its callers, where the deployment names none.
#[must_use]
pub fn callers_secret(deployment: &str) -> String {
    format!("{deployment}-callers")
}

/// The Secret in the namespace of routes that holds the route of the deployment with this UID.
#[must_use]
pub fn route_secret(uid: &str) -> String {
    format!("route-{uid}")
}

/// The Secret on the hub that holds the API key of `endpoint`. It carries the beginning of the record's UID: a record
/// that is made anew has another Secret than its former, which the hub's garbage collector takes whenever it comes to it.
#[must_use]
pub fn hub_key_secret(endpoint: &InferenceEndpoint) -> String {
    let uid: String = endpoint.uid().unwrap_or_default().chars().take(8).collect();
    format!("{}-{uid}", key_secret(&endpoint.name_any()))
}

/// True if `text` is an API key as Roadstead makes them.
#[must_use]
pub fn is_api_key(text: &str) -> bool {
    text.strip_prefix(API_KEY_PREFIX).is_some_and(|rest| {
        rest.len() == 43 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// Shortest and longest key that a place issues.
const ISSUED_KEY_CHARS: std::ops::RangeInclusive<usize> = 8..=512;

/// True if `text` can be an API key that a place issued: visible characters alone.
#[must_use]
pub fn is_issued_key(text: &str) -> bool {
    ISSUED_KEY_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The longest UID, as statuses hold it.
const UID_CHARS: usize = 64;

/// True if `text` can be the UID of an object or a place. Statuses and addresses contain it, so foreign text is
/// refused.
#[must_use]
pub fn is_uid(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=UID_CHARS).contains(&text.len()) && text.bytes().all(plain)
}

/// True if the tags of something that a place returns are such as objects of the hub have.
#[must_use]
pub fn are_tags(namespace: &str, deployment: &str, target: &str, offer: &str, shape: &str) -> bool {
    let names = [namespace, deployment, offer].into_iter().all(syntax::is_dns_label);
    let values = [target, shape].into_iter().all(|tag| !tag.is_empty() && syntax::is_label_value(tag));
    names && values
}

/// An install id that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "install id {id:?} is invalid: write 1 to 32 lower-case letters, digits and hyphens, \
     beginning with a letter and not ending with a hyphen"
)]
pub struct InvalidInstallId {
    id: String,
}

/// Checks an install id.
///
/// # Errors
/// [`InvalidInstallId`] with the form that is wanted.
pub fn check_install_id(id: &str) -> Result<(), InvalidInstallId> {
    let bytes = id.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let valid = (1..=32).contains(&bytes.len())
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(|last| *last != b'-')
        && bytes.iter().all(inner);
    if valid { Ok(()) } else { Err(InvalidInstallId { id: id.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(deployment: &str, slot: u32) -> String {
        endpoint_name("prod", "team-a", deployment, "gke-eu", "h100x2", "OnDemand", slot)
    }

    #[test]
    fn a_name_is_short_and_tells_its_deployment() {
        let name = name_of("llama-3-3-70b-instruct", 0);
        assert!(name.starts_with("llama-3-3-70b-ins-"), "{name}");
        assert_eq!(name.len(), 30);
        assert!(name_of("a", 0).starts_with("a-"));
        assert!(name_of("abcdefghijklmnop-xyz", 0).starts_with("abcdefghijklmnop-"));
        assert!(!name_of("abcdefghijklmnop-xyz", 0).contains("--"));
    }

    #[test]
    fn every_field_counts_and_no_two_tuples_read_the_same() {
        assert_ne!(name_of("llama", 0), name_of("llama", 1));
        assert_ne!(
            endpoint_name("a", "bc", "m", "t", "s", "Spot", 0),
            endpoint_name("ab", "c", "m", "t", "s", "Spot", 0)
        );
    }

    #[test]
    fn a_name_never_changes() {
        assert_eq!(name_of("llama", 0), "llama-ifozqn2uokcb");
    }

    #[test]
    fn install_ids_have_a_form() {
        for good in ["a", "prod", "prod-eu-1", &"a".repeat(32)] {
            assert_eq!(check_install_id(good), Ok(()), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "A", "a_b", &"a".repeat(33)] {
            assert!(check_install_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uids_have_a_form() {
        assert!(is_uid("0b5d9e1c-6f0e-4d7e-9a55-2b6f0e4d7e9a") && is_uid(&"a".repeat(64)));
        for bad in ["", "a b", "a\nb", "../a", "a?b=c", "ä", &"a".repeat(65)] {
            assert!(!is_uid(bad), "{bad}");
        }
    }

    #[test]
    fn names_of_endpoints_have_a_form() {
        assert!(is_endpoint_name(&endpoint_name("prod", "team", "llama-70b", "east", "one", "OnDemand", 0)));
        for other in ["llama", "llama-70b", "llama-0123456789ab", "-abcdefghijkl", "Llama-abcdefghijk"] {
            assert!(!is_endpoint_name(other), "{other}");
        }
    }

    #[test]
    fn keys_that_a_place_issues_are_plain_words() {
        assert!(is_issued_key("di_0123456789") && is_issued_key("abcd.0123-XYZ"));
        for other in ["", "short", "with a space", "line\nbreak", &"k".repeat(513)] {
            assert!(!is_issued_key(other), "{other:?}");
        }
    }

    #[test]
    fn api_keys_have_a_form() {
        assert!(is_api_key(&format!("rs-{}", "a".repeat(43))));
        assert!(!is_api_key(&"a".repeat(46)));
        assert!(!is_api_key(&format!("rs-{}\n", "a".repeat(42))));
    }
}
