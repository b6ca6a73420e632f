//! Meaning of an operation's failure.

use roadstead_api::v1alpha1::reasons;
use roadstead_provider::ErrorClass;

use crate::wire::OperationError;

/// Number of `RESOURCE_EXHAUSTED` in google.rpc.Code.
const EXHAUSTED: i32 = 8;

/// Class and reason of a failure. The code alone does not tell a quota from a lack of machines.
#[must_use]
pub fn late(error: &OperationError) -> (ErrorClass, &'static str) {
    let text = error.message.to_lowercase();
    let told = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if told(&["quota"]) {
        (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED)
    } else if error.code == EXHAUSTED || told(&["out of capacity", "resource pool exhausted"]) {
        (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED)
    } else if told(&["image", "artifact registry"]) && told(&["not found", "does not exist", "permission", "pull"]) {
        (ErrorClass::Invalid, reasons::IMAGE_PULL_FAILED)
    } else {
        (ErrorClass::Transient, reasons::PROVIDER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_class_of_its_code_and_words() {
        for (code, text, class, reason) in [
            (
                8,
                "the service is temporarily out of capacity",
                ErrorClass::CapacityExhausted,
                reasons::CAPACITY_EXHAUSTED,
            ),
            (
                8,
                "The following quota metrics exceed quota limits: …",
                ErrorClass::QuotaExceeded,
                reasons::QUOTA_EXCEEDED,
            ),
            (8, "", ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED),
            (9, "Image europe-west4-docker.pkg.dev/a not found", ErrorClass::Invalid, reasons::IMAGE_PULL_FAILED),
            (3, "Model server never became ready", ErrorClass::Transient, reasons::PROVIDER_ERROR),
        ] {
            assert_eq!(late(&OperationError { code, message: text.to_owned() }), (class, reason), "{text}");
        }
    }
}
