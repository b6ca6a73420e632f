//! Sentences about the lack of a place.

use roadstead_model::Nowhere;

use crate::words::count;

/// The reasons that no place would do.
pub(crate) fn sentence(nowhere: &Nowhere) -> String {
    match nowhere {
        Nowhere::NoTarget => "no ServingTarget exists; create one".to_owned(),
        Nowhere::NoSuchTarget { target, namespace } => {
            format!("target {target} does not exist or does not allow namespace {namespace}")
        }
        Nowhere::NoneForNamespace { namespace, targets: 1 } => {
            format!(
                "the only target does not allow namespace {namespace}; label the namespace to match its \
                 allowedNamespaces, or edit them"
            )
        }
        Nowhere::NoneForNamespace { namespace, targets } => {
            format!(
                "none of the {targets} targets allows namespace {namespace}; label the namespace to match the \
                 allowedNamespaces of a target, or edit them"
            )
        }
        Nowhere::AllRejected { replicas, candidates, reasons, largest_fit } => {
            let reasons: Vec<String> =
                reasons.iter().map(|(reason, number)| format!("{number} {}", reason.as_str())).collect();
            let largest = largest_fit.as_ref().map_or_else(String::new, |fit| {
                let fits = count(fit.replicas, "replica");
                format!("; the largest fit is {fits} of {} on {}, offer {}", fit.shape, fit.target, fit.offer)
            });
            format!(
                "no place for {} ({candidates} checked): {}{largest}",
                count(*replicas, "replica"),
                reasons.join(", ")
            )
        }
    }
}
