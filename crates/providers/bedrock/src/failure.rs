//! Failures that Bedrock gives in words alone. Pure.

use roadstead_api::v1alpha1::reasons;
use roadstead_provider::ErrorClass;

/// Class and reason of a failure, which the service gives in words alone. Most are faults of the weights' copy or of their
/// architecture, which other places may run.
#[must_use]
pub fn late(text: &str) -> (ErrorClass, &'static str) {
    let text = text.to_lowercase();
    let told = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if told(&["quota", "limit exceeded"]) {
        (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED)
    } else if told(&["capacity"]) {
        (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED)
    } else if told(&["not supported", "unsupported", "access denied", "not found", "invalid"]) {
        (ErrorClass::Refused, reasons::ADMISSION_REFUSED)
    } else {
        (ErrorClass::Transient, reasons::PROVIDER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_class_of_its_words() {
        for (text, class) in [
            ("The model architecture is not supported", ErrorClass::Refused),
            ("Access denied to s3://weights/llama/", ErrorClass::Refused),
            ("Imported model quota exceeded", ErrorClass::QuotaExceeded),
            ("There is no capacity", ErrorClass::CapacityExhausted),
            ("Internal error", ErrorClass::Transient),
        ] {
            assert_eq!(late(text).0, class, "{text}");
        }
    }
}
