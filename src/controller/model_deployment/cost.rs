//! The parts of an endpoint that may be billed.

use roadstead_model::MicroDollars;

use roadstead_api::v1alpha1::conditions::{self, READY};
use roadstead_api::v1alpha1::{Dollars, InferenceEndpoint, reasons};

/// Dollars per hour of the replicas that exist or are being asked for; `None` is unknown. Replicas that its place refuses do
/// not exist, and cost nothing.
#[must_use]
pub fn billed(endpoint: &InferenceEndpoint) -> Option<MicroDollars> {
    let spec = &endpoint.spec;
    let decided = spec.hourly_cost.as_ref().and_then(Dollars::known)?;
    let existing = endpoint.status.as_ref().map_or(0, |status| status.replicas);
    if !is_refused(endpoint) || existing >= spec.replicas {
        return Some(decided);
    }
    let (existing, wanted) = (u64::try_from(existing).unwrap_or(0), u64::try_from(spec.replicas).unwrap_or(1).max(1));
    Some(decided.share(existing, wanted))
}

/// True if its place refuses the missing parts, or nothing of it was requested.
fn is_refused(endpoint: &InferenceEndpoint) -> bool {
    let Some(status) = &endpoint.status else { return false };
    let ready = conditions::find(&status.conditions, READY).map(|ready| ready.reason.as_str());
    match ready {
        Some(reasons::PODS_REFUSED | reasons::QUOTA_EXCEEDED | reasons::ADMISSION_REFUSED) => true,
        Some(reasons::SECRET_MISSING | reasons::SECRET_TOO_LARGE | reasons::NOT_ALLOWED | reasons::NAME_CONFLICT) => {
            status.create_intent.is_none() && status.external_id.is_none()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(reason: &str, replicas: i32, asked: bool) -> InferenceEndpoint {
        let intent = asked.then(|| json!({"attempt": 1, "time": "1970-01-01T00:00:10Z"}));
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint", "metadata": {"name": "llama-x"},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 4, "hourlyCost": "20.00", "reason": "InitialPlacement",
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
            "status": {
                "observedGeneration": 1, "replicas": replicas, "createIntent": intent,
                "conditions": [{"type": "Ready", "status": "False", "reason": reason, "message": "m",
                                "lastTransitionTime": "1970-01-01T00:00:10Z"}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn refused_replicas_cost_nothing_and_those_that_are_asked_for_do() {
        for (reason, replicas, asked, cost) in [
            ("PodsRefused", 0, true, "0.00"),
            ("PodsRefused", 3, true, "15.00"),
            ("QuotaExceeded", 1, true, "5.00"),
            ("AdmissionRefused", 0, true, "0.00"),
            ("AdmissionRefused", 4, true, "20.00"),
            ("SecretMissing", 0, false, "0.00"),
            ("SecretMissing", 4, true, "20.00"),
            ("Starting", 0, true, "20.00"),
            ("ProviderError", 0, true, "20.00"),
        ] {
            let billed = billed(&endpoint(reason, replicas, asked));
            assert_eq!(billed, MicroDollars::parse(cost).ok(), "{reason} {replicas}");
        }
        let mut unpriced = endpoint("PodsRefused", 0, true);
        unpriced.spec.hourly_cost = None;
        assert_eq!(billed(&unpriced), None);
    }
}
