//! The forms of Kubernetes' names and labels, where no schema can hold them: keys of maps.

/// The longest name or value of a label.
const NAME: usize = 63;
/// The longest domain before a label's name.
const DOMAIN: usize = 253;

/// Whether `text` is a DNS label: what namespaces and containers are called.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether `text` is a label's value; the empty one is legal.
#[must_use]
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_name(text)
}

/// Whether `text` is the key of a label or of an annotation: a name, or a domain, a slash and a name.
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

/// What is wrong with a label, if anything.
#[must_use]
pub fn label_fault(key: &str, value: &str) -> Option<String> {
    if !is_label_key(key) {
        return Some(format!(
            "{key:?} is not the key of a label: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit \
             at both ends, and if need be a domain and a slash before it"
        ));
    }
    (!is_label_value(value)).then(|| {
        format!(
            "{value:?} is not the value of a label: use at most 63 letters, digits, '-', '_' and '.', with a letter or \
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
    fn a_fault_names_what_is_wrong() {
        assert_eq!(label_fault("a", "b"), None);
        assert!(label_fault("a b", "b").unwrap().contains("key"));
        assert!(label_fault("a", "b c").unwrap().contains("value"));
    }
}
