//! Meaning of the service's sentences: it has few codes, and tells most by text.

use roadstead_api::v1alpha1::reasons;
use roadstead_provider::ErrorClass;
use roadstead_rest::RestFailure;

/// Code of most refusals.
const VALIDATION: &str = "ValidationException";

/// True if the failure says that the resource does not exist.
#[must_use]
pub fn is_missing(failure: &RestFailure) -> bool {
    let code = failure.code();
    let told = |words: &str| failure.message().contains(words);
    (code == VALIDATION && (told("Could not find") || told("does not exist"))) || code == "ResourceNotFound"
}

/// True if the failure says that the name is taken.
#[must_use]
pub fn is_taken(failure: &RestFailure) -> bool {
    let told = |words: &str| failure.message().contains(words);
    let taken = told("Cannot create already existing") || told("already exists");
    [VALIDATION, "ResourceInUse", "ResourceAlreadyExists"].contains(&failure.code()) && taken
}

/// The failure with the class that its sentence gives it. A resource that changes cannot be changed for the moment; a
/// resource that another call names and that is not visible yet will be.
#[must_use]
pub fn refined(failure: RestFailure) -> RestFailure {
    let passes = failure.message().contains("in-progress") || is_missing(&failure) || failure.code() == "ResourceInUse";
    if passes && [ErrorClass::Invalid, ErrorClass::Conflict, ErrorClass::NotFound].contains(&failure.error.class) {
        return failure.of_class(ErrorClass::Transient);
    }
    failure
}

/// Class and reason of a `FailureReason`, which the service gives in words alone.
#[must_use]
pub fn late(text: &str) -> (ErrorClass, &'static str) {
    let told = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if told(&["service limit", "ResourceLimitExceeded", "quota"]) {
        (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED)
    } else if told(&["InsufficientInstanceCapacity", "CapacityError", "ML compute capacity"]) {
        (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED)
    } else if told(&["image", "ECR"]) && told(&["not found", "does not exist", "AccountAccess denied", "pull"]) {
        (ErrorClass::Invalid, reasons::IMAGE_PULL_FAILED)
    } else {
        (ErrorClass::Transient, reasons::PROVIDER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use roadstead_provider::ProviderError;
    use roadstead_rest::ErrorEnvelope;

    use super::*;

    fn refused(code: &str, message: &str) -> RestFailure {
        let envelope = ErrorEnvelope { code: code.to_owned(), message: message.to_owned() };
        RestFailure {
            envelope: Some(envelope),
            ..RestFailure::from(ProviderError::new(ErrorClass::Invalid, "refused"))
        }
    }

    #[test]
    fn a_missing_and_a_taken_name_are_told_by_text() {
        let missing = refused(VALIDATION, "Could not find endpoint \"arn:aws:sagemaker:eu-west-1:1:endpoint/a\".");
        let taken = refused(VALIDATION, "Cannot create already existing endpoint \"arn:aws:sagemaker:…:endpoint/a\".");
        let group = refused(VALIDATION, "ModelPackageGroup arn:aws:sagemaker:…:model-package-group/a does not exist.");
        assert_eq!([&missing, &taken, &group].map(is_missing), [true, false, true]);
        assert_eq!([&missing, &taken, &group].map(is_taken), [false, true, false]);
        assert!(!is_missing(&refused("AccessDeniedException", "Could not find a policy")));
    }

    #[test]
    fn what_passes_by_itself_is_transient() {
        let class = |code, message| refined(refused(code, message)).error.class;
        assert_eq!(class(VALIDATION, "Cannot update in-progress endpoint \"a\"."), ErrorClass::Transient);
        assert_eq!(class(VALIDATION, "Could not find model \"a\"."), ErrorClass::Transient);
        assert_eq!(class(VALIDATION, "Value 'x' at 'instanceType' failed to satisfy constraint"), ErrorClass::Invalid);
    }

    #[test]
    fn a_late_failure_has_the_class_of_its_words() {
        for (text, class, reason) in [
            (
                "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error.",
                ErrorClass::CapacityExhausted,
                reasons::CAPACITY_EXHAUSTED,
            ),
            (
                "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different type.",
                ErrorClass::CapacityExhausted,
                reasons::CAPACITY_EXHAUSTED,
            ),
            (
                "The account-level service limit 'ml.p5.48xlarge for endpoint usage' is 0 Instances",
                ErrorClass::QuotaExceeded,
                reasons::QUOTA_EXCEEDED,
            ),
            (
                "The primary container for production variant main did not pass the ping health check.",
                ErrorClass::Transient,
                reasons::PROVIDER_ERROR,
            ),
        ] {
            assert_eq!(late(text), (class, reason), "{text}");
        }
    }
}
