//! The rules of kstatus (`sigs.k8s.io/cli-utils/pkg/kstatus/status`), for tests.

use kube::Resource;
use serde::Serialize;

use roadstead_api::v1alpha1::conditions;

/// Result of kstatus for an object of an unknown kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kstatus {
    /// It is as its spec wants it.
    Current,
    /// It is on its way.
    InProgress,
    /// It needs an edit.
    Failed,
    /// It is being deleted.
    Terminating,
}

/// Result of kstatus for `object`.
pub fn kstatus<K: Resource + Serialize>(object: &K) -> Kstatus {
    if object.meta().deletion_timestamp.is_some() {
        return Kstatus::Terminating;
    }
    let status = serde_json::to_value(object).unwrap()["status"].clone();
    let observed = status["observedGeneration"].as_i64();
    if observed.is_some() && observed != object.meta().generation {
        return Kstatus::InProgress;
    }
    let says = |type_: &str| {
        let mut all = status["conditions"].as_array().into_iter().flatten();
        all.find(|one| one["type"] == type_).and_then(|one| one["status"].as_str().map(ToOwned::to_owned))
    };
    match (says(conditions::RECONCILING).as_deref(), says(conditions::STALLED).as_deref()) {
        (Some(conditions::TRUE), _) => return Kstatus::InProgress,
        (_, Some(conditions::TRUE)) => return Kstatus::Failed,
        _ => {}
    }
    match says(conditions::READY).as_deref() {
        Some(conditions::FALSE | conditions::UNKNOWN) => Kstatus::InProgress,
        _ => Kstatus::Current,
    }
}
