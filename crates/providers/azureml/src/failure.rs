//! Meaning of an operation's failure.

use roadstead_api::v1alpha1::reasons;
use roadstead_azure::{ArmOperationError, exhausted};
use roadstead_provider::ErrorClass;

/// Class and reason of a failure.
#[must_use]
pub fn late(error: &ArmOperationError) -> (ErrorClass, &'static str) {
    let text = error.message.to_lowercase();
    let told = |words: &[&str]| words.iter().any(|words| text.contains(words));
    match exhausted(&error.code, &error.message) {
        Some(ErrorClass::CapacityExhausted) => (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED),
        Some(class) => (class, reasons::QUOTA_EXCEEDED),
        None if told(&["image"]) && told(&["not found", "does not exist", "unauthorized", "pull", "download"]) => {
            (ErrorClass::Invalid, reasons::IMAGE_PULL_FAILED)
        }
        None => (ErrorClass::Transient, reasons::PROVIDER_ERROR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_a_class_and_a_reason_by_its_code_and_words() {
        for (code, text, class, reason) in [
            (
                "OutOfQuota",
                "failed to provision due to a lack of Azure Machine Learning capacity. Retry later",
                ErrorClass::CapacityExhausted,
                reasons::CAPACITY_EXHAUSTED,
            ),
            ("OutOfQuota", "Not enough subscription CPU quota", ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED),
            ("BadArgument", "Unable to download user container image", ErrorClass::Invalid, reasons::IMAGE_PULL_FAILED),
            ("InternalServerError", "", ErrorClass::Transient, reasons::PROVIDER_ERROR),
        ] {
            let error = ArmOperationError { code: code.to_owned(), message: text.to_owned() };
            assert_eq!(late(&error), (class, reason), "{code} {text}");
        }
    }
}
