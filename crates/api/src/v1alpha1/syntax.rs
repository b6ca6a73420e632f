//! The forms of Kubernetes' names and labels, where no schema can hold them: keys of maps, and references to images.

use std::sync::LazyLock;

use regex::Regex;

/// The longest name or value of a label.
const NAME: usize = 63;
/// The longest domain before a label's name.
const DOMAIN: usize = 253;

/// The longest name of an image, its registry included, that container runtimes read.
const IMAGE_NAME: usize = 255;

/// Pattern of an image reference as container runtimes read it, without their defaults: an optional registry, a name in
/// lower case, and a tag, a digest or both. A macro, because the schema's rule and [`image_fault`] need a literal.
macro_rules! image_pattern {
    () => {
        concat!(
            r"^((\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*)",
            r"(:[0-9]+)?/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*",
            r"(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}(@(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}))?",
            r"|@(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}))$"
        )
    };
}
pub(crate) use image_pattern;

/// Message for an image that is not such a reference.
pub const IMAGE_MESSAGE: &str = "write an image reference that ends with a tag or a digest, such as \
     vllm/vllm-openai:v0.20.0; its name is in lower case and has no spaces";

static IMAGE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(image_pattern!()).ok());

/// Problem of an image reference, if any.
#[must_use]
pub fn image_fault(image: &str) -> Option<String> {
    if !IMAGE.as_ref().is_some_and(|form| form.is_match(image)) {
        return Some(format!("{image:?}: {IMAGE_MESSAGE}"));
    }
    let before_digest = image.split('@').next().unwrap_or_default();
    // The last colon begins a tag, unless it is that of the registry's port.
    let name =
        before_digest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(before_digest, |(name, _)| name);
    (name.len() > IMAGE_NAME).then(|| {
        format!(
            "its name has {} characters, more than the {IMAGE_NAME} that container runtimes read; shorten it",
            name.len()
        )
    })
}

/// True if `text` is a DNS label: what namespaces and containers are called.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// True if `text` is a label's value; the empty one is legal.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_name(text)
}

/// True if `text` is the key of a label or of an annotation: a name, or a domain, a slash and a name.
#[must_use]
pub fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => {
            let parts = |domain: &str| domain.split('.').all(is_dns_label);
            domain.len() <= DOMAIN && parts(domain) && is_label_name(name)
        }
        None => is_label_name(text),
    }
}

fn is_label_name(text: &str) -> bool {
    let outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= NAME && text.bytes().all(inner) && outer(text.bytes().next()) && outer(text.bytes().next_back())
}

/// Problem of a label, if any.
#[must_use]
pub fn label_fault(key: &str, value: &str) -> Option<String> {
    if !is_label_key(key) {
        return Some(format!(
            "{key:?} is not a label key: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit \
             at both ends, optionally after a domain and a slash"
        ));
    }
    (!is_label_value(value)).then(|| {
        format!(
            "{value:?} is not a label value: use at most 63 letters, digits, '-', '_' and '.', with a letter or \
             digit at both ends"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_kubernetes() {
        for good in ["a", "A.b_c-9", "example.com/a", "node.kubernetes.io/instance-type", &"a".repeat(63)] {
            assert!(is_label_key(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "/a", "a/", "a/b/c", "Ex.com/a", "a..b/c", &"a".repeat(64)] {
            assert!(!is_label_key(bad), "{bad}");
        }
    }

    #[test]
    fn values_are_those_of_kubernetes() {
        for good in ["", "a", "Standard_ND96isr_H100_v5", "1.2"] {
            assert!(is_label_value(good), "{good}");
        }
        for bad in ["_a", "a.", "a/b", "ü", &"a".repeat(64)] {
            assert!(!is_label_value(bad), "{bad}");
        }
    }

    #[test]
    fn an_image_has_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in [
            "vllm/vllm-openai:v0.20.0".to_owned(),
            "engine:latest".to_owned(),
            "host:5000/name:tag".to_owned(),
            "[2001:db8::1]:5000/name:tag".to_owned(),
            "Registry.example.com/a/b_c--d:v1.2_x".to_owned(),
            format!("host:5000/name@{digest}"),
            format!("name:tag@{digest}"),
            format!("name@sha512:{}", "0".repeat(128)),
            format!("{}:{}", "a".repeat(255), "t".repeat(128)),
        ] {
            assert_eq!(image_fault(&good), None, "{good}");
        }
        for bad in [
            "vllm/vllm-openai",
            "host:5000/name",
            "localhost/name",
            "name:",
            "name@",
            "name@sha256:0a",
            "name:tag@",
            "Name:tag",
            "a/Name:tag",
            "a//b:tag",
            "a..b:tag",
            "-a:tag",
            "name:tag ",
            "name:tag\n",
            "https://host/name:tag",
            ":tag",
            "",
        ] {
            assert!(image_fault(bad).is_some_and(|fault| fault.contains("a tag or a digest")), "{bad}");
        }
        assert!(image_fault(&format!("name@sha256:{}", "0A".repeat(32))).is_some(), "runtimes read lower case alone");
        let long = format!("host:5000/{}:tag", "a".repeat(246));
        assert!(image_fault(&long).unwrap().contains("has 256 characters"));
    }

    #[test]
    fn a_fault_names_what_is_wrong() {
        assert_eq!(label_fault("a", "b"), None);
        assert!(label_fault("a b", "b").unwrap().contains("key"));
        assert!(label_fault("a", "b c").unwrap().contains("value"));
    }
}
