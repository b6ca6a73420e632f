//! Refusals by a cluster's admission, classified by their message because a code alone is insufficient; and their
//! cures.

use std::time::Duration;

use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_runtime::client::CallError;
use roadstead_runtime::text::bounded_with;

/// Reason that the client gives to an answer which is no status of an API server, such as a page of a proxy.
const NO_STATUS: &str = "Failed to parse error data";

/// The failure of a call to a member's API server, with its class, and with a cure where admission refused.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "callers pass it to map_err")]
pub fn provider_error(error: CallError) -> ProviderError {
    let class = class_of(&error);
    let refused = matches!(class, ErrorClass::Refused | ErrorClass::QuotaExceeded);
    match error.status().filter(|_| refused) {
        Some(status) => ProviderError::new(class, bounded_with(&error.to_string(), cure(&status.message))),
        None => ProviderError::new(class, &error),
    }
}

/// The class of an API server's refusal, by its status code and reason.
fn class_of(error: &CallError) -> ErrorClass {
    let Some(status) = error.status() else {
        return ErrorClass::Transient;
    };
    let retry_after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|after| *after > 0);
    if let Some(class) = class_of_object(status.code, &status.message) {
        return class;
    }
    match status.code {
        401 | 403 => ErrorClass::Unauthorized,
        // Whatever the code says, something in between knows nothing of the objects.
        400 | 404 | 422 if status.reason == NO_STATUS => ErrorClass::Transient,
        404 => ErrorClass::NotFound,
        400 | 413 | 422 => ErrorClass::Invalid,
        429 => ErrorClass::Throttled { after: retry_after.map(|after| Duration::from_secs(u64::from(after))) },
        // A 409 too: it was changed or made in between, and the next look shows by whom.
        _ => ErrorClass::Transient,
    }
}

/// The class of a refusal of pods, which comes as the words of the controller that makes them.
#[must_use]
pub fn class_of_pods(said: &str) -> ErrorClass {
    if is_quota(said) {
        ErrorClass::QuotaExceeded
    } else if may_pass(said) {
        ErrorClass::Transient
    } else {
        ErrorClass::Refused
    }
}

/// The class of an API server's refusal of an object by its admission; `None` if it was not its admission.
#[must_use]
pub fn class_of_object(code: u16, said: &str) -> Option<ErrorClass> {
    if code == 403 && is_quota(said) {
        return Some(ErrorClass::QuotaExceeded);
    }
    if says_no(said) || (code == 403 && is_forbidden_to_everybody(said)) {
        return Some(ErrorClass::Refused);
    }
    None
}

/// A quota that is used up. One that asks for a field which is missing is another matter: room does not help.
fn is_quota(said: &str) -> bool {
    said.contains("exceeded quota")
}

/// A policy's or a webhook's own no, whatever code it chose.
fn says_no(said: &str) -> bool {
    ["denied the request", "denied request", "violates PodSecurity"].iter().any(|no| said.contains(no))
}

/// A 403 that does not speak of who asked: it is not a lack of rights.
fn is_forbidden_to_everybody(said: &str) -> bool {
    said.contains(" is forbidden: ") && !(said.contains("User ") && said.contains("cannot "))
}

/// True if the same pods may be let in a little later, with nothing edited.
fn may_pass(said: &str) -> bool {
    !says_no(said) && !said.contains("is invalid") && (does_not_answer(said) || !said.contains("forbidden"))
        || said.contains("error looking up service account")
}

fn does_not_answer(said: &str) -> bool {
    ["failed calling webhook", "failed to call webhook", "Internal error occurred", "context deadline exceeded"]
        .iter()
        .any(|sign| said.contains(sign))
}

/// Cure for a refusal, from its message.
#[must_use]
pub fn cure(said: &str) -> &'static str {
    let says = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    if is_quota(said) {
        "raise the ResourceQuota of the target's namespace, or request less"
    } else if says(&["must specify"]) {
        "set the requests and limits that it requires in spec.serving.resources, or change the ResourceQuota"
    } else if says(&["usage per", "limit to request ratio", "must be less than or equal to"]) {
        "change spec.serving.resources to fit the LimitRange of the target's namespace, or the LimitRange"
    } else if says(&["violates PodSecurity"]) {
        "the target's namespace must admit pods at level baseline: label it pod-security.kubernetes.io/enforce=baseline"
    } else if does_not_answer(said) {
        "restore the webhook on the target's cluster, or exempt the target's namespace from it"
    } else if says(&["is being terminated"]) {
        "the target's namespace is being deleted: create it again with the member manifest"
    } else if says_no(said) {
        "change the deployment as the policy requires, or exempt the target's namespace from it"
    } else {
        "change the deployment as it requires, or the policy of the target's cluster"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    const WEBHOOK_DOWN: &str = "Internal error occurred: failed calling webhook \"validate.kyverno.svc-fail\": failed to call \
         webhook: Post \"https://kyverno.svc:443/validate\": dial tcp 10.0.0.1:443: connect: connection refused";
    const LIMITS_ASKED: &str =
        "pods \"llama-x\" is forbidden: failed quota: limits: must specify limits.memory for: engine";
    const LIMIT_RANGE: &str =
        "pods \"llama-x\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi";
    const POD_SECURITY: &str =
        "pods \"llama-x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
    const DENIED: &str = "admission webhook \"validate.kyverno.svc-fail\" denied the request: label owner is required";
    const POLICY: &str = "deployments.apps \"llama-x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied \
         request: no latest tag";
    const NO_RIGHT: &str = "deployments.apps is forbidden: User \"system:serviceaccount:roadstead:hub\" cannot create \
         resource \"deployments\" in API group \"apps\" in the namespace \"roadstead\"";

    #[test]
    fn pods_are_refused_for_good_or_for_a_while_or_for_lack_of_quota() {
        let quota = "pods \"llama-x\" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8";
        assert_eq!(class_of_pods(quota), ErrorClass::QuotaExceeded);
        let invalid = "Pod \"llama-x\" is invalid: spec.containers[0].resources.requests: Invalid value: \"64Gi\": must be \
             less than or equal to memory limit of 1Gi";
        for for_good in [LIMITS_ASKED, LIMIT_RANGE, POD_SECURITY, DENIED, invalid] {
            assert_eq!(class_of_pods(for_good), ErrorClass::Refused, "{for_good}");
        }
        let account = "pods \"llama-x\" is forbidden: error looking up service account roadstead/default: serviceaccount \
             \"default\" not found";
        for for_a_while in [WEBHOOK_DOWN, account, "etcdserver: request timed out", "context deadline exceeded"] {
            assert_eq!(class_of_pods(for_a_while), ErrorClass::Transient, "{for_a_while}");
        }
    }

    #[test]
    fn objects_are_refused_by_admission_or_for_lack_of_rights() {
        for (code, said) in [(403, DENIED), (400, DENIED), (422, POLICY), (403, POLICY), (500, DENIED)] {
            assert_eq!(class_of_object(code, said), Some(ErrorClass::Refused), "{code} {said}");
        }
        let quota = "services \"llama-x\" is forbidden: exceeded quota: lbs, requested: services.loadbalancers=1";
        assert_eq!(class_of_object(403, quota), Some(ErrorClass::QuotaExceeded));
        let terminating = "secrets \"llama-x-key\" is forbidden: unable to create new content in namespace roadstead \
             because it is being terminated";
        assert_eq!(class_of_object(403, terminating), Some(ErrorClass::Refused));
        for (code, said) in
            [(403, NO_RIGHT), (500, WEBHOOK_DOWN), (504, "Timeout: request did not complete"), (403, "")]
        {
            assert_eq!(class_of_object(code, said), None, "{code} {said}");
        }
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (said, about) in [
            (LIMITS_ASKED, "spec.serving.resources"),
            (LIMIT_RANGE, "LimitRange"),
            (POD_SECURITY, "baseline"),
            (WEBHOOK_DOWN, "restore the webhook"),
            (DENIED, "as the policy requires"),
            (POLICY, "as the policy requires"),
        ] {
            assert!(cure(said).contains(about), "{said}: {}", cure(said));
        }
    }

    fn refused(code: u16, message: &str) -> ErrorClass {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        class_of(&CallError::Kube { call: "get", source: Box::new(kube::Error::Api(Box::new(status))) })
    }

    #[test]
    fn the_status_code_decides_the_class() {
        assert_eq!(refused(401, "Unauthorized"), ErrorClass::Unauthorized);
        assert_eq!(refused(403, "pods is forbidden: User cannot list"), ErrorClass::Unauthorized);
        assert_eq!(refused(403, "forbidden: exceeded quota: gpus, requested: 8"), ErrorClass::QuotaExceeded);
        assert_eq!(refused(400, "admission webhook \"w\" denied the request: no"), ErrorClass::Refused);
        assert_eq!(refused(422, "spec.replicas: Invalid value"), ErrorClass::Invalid);
        assert_eq!(refused(429, "slow down"), ErrorClass::Throttled { after: None });
        assert_eq!(refused(503, "etcd"), ErrorClass::Transient);
        assert_eq!(refused(409, "the object has been modified"), ErrorClass::Transient);
        assert_eq!(class_of(&CallError::Timeout { call: "get" }), ErrorClass::Transient);
    }
}
