//! Reports on an object that the operator cannot do its work on it: the operator panicked, its plan breaks a hard rule, or
//! the hub refuses a write.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_explain::OperatorMessage;
use roadstead_explain::operator::with_hub_cure;

use super::connections::{ConnectionState, TargetConnection};
use super::context::{Cached, Context};
use super::error::ActError;
use super::hub::Told;
use super::news::News;
use super::tell::tell;
use super::throttle::Urgency;
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, ServingTarget, limits, reasons};
use roadstead_runtime::cache::Key;
use roadstead_runtime::rate::RateLimit;

/// Reports of panics on one object: what else is true of it may be written in between, and would be undone each time.
const PANICS: RateLimit = RateLimit { burst: 1, interval: Duration::from_mins(1) };

/// A trouble, as the condition Ready reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorTrouble {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl OperatorTrouble {
    /// The operator panicked: nothing that the object said before is confirmed any more.
    #[must_use]
    pub fn panic() -> Self {
        Self { status: UNKNOWN, reason: reasons::INTERNAL_ERROR, message: OperatorMessage::Panicked.to_string() }
    }

    /// The trouble that an error is; `None` for what passes by itself, and for what a provider says.
    #[must_use]
    pub fn of(error: &ActError) -> Option<Self> {
        if matches!(error, ActError::Unsound { .. }) {
            let message = limits::message(&error.to_string());
            return Some(Self { status: UNKNOWN, reason: reasons::INTERNAL_ERROR, message });
        }
        let message = limits::message(&with_hub_cure(&error.to_string()));
        error.is_refusal().then_some(Self { status: FALSE, reason: reasons::HUB_REFUSED, message })
    }
}

/// A kind that troubles are reported on.
pub trait Troubled: Cached {
    /// Conditions that say the same as Ready.
    const ALIKE: &'static [(&'static str, &'static str)];
    /// Conditions that nothing but the operator's work confirms.
    const CONFIRMED: &'static [&'static str];
    /// Conditions that stay as they are.
    const KEPT: &'static [&'static str];

    /// The conditions of a status.
    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition>;

    /// The status is about this generation, as far as a refusal is.
    fn observe(_status: &mut Self::Status, _generation: i64) {}
}

impl Troubled for ModelDeployment {
    const ALIKE: &'static [(&'static str, &'static str)] = &[(conditions::RECONCILING, TRUE)];
    const CONFIRMED: &'static [&'static str] = &[];
    const KEPT: &'static [&'static str] = &[conditions::PLACED, conditions::WITHIN_BUDGET];

    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
        &mut status.conditions
    }
}

impl Troubled for InferenceEndpoint {
    const ALIKE: &'static [(&'static str, &'static str)] = &[];
    const CONFIRMED: &'static [&'static str] = &[];
    const KEPT: &'static [&'static str] = &[conditions::CREATED, conditions::SERVING, conditions::CHANGED_BY_ADMISSION];

    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
        &mut status.conditions
    }

    /// Its deployment believes Ready of the newest generation alone.
    fn observe(status: &mut Self::Status, generation: i64) {
        status.observed_generation = generation;
    }
}

impl Troubled for ServingTarget {
    const ALIKE: &'static [(&'static str, &'static str)] = &[];
    const CONFIRMED: &'static [&'static str] = &[conditions::REACHABLE, conditions::CREDENTIALS_VALID];
    const KEPT: &'static [&'static str] = &[conditions::NEEDS_ATTENTION, conditions::SWEPT];

    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition> {
        &mut status.conditions
    }
}

/// Reports a panic on the object under `key`.
pub async fn panicked<K: Troubled>(context: &Context, key: &Key) {
    let is_due = || {
        let now = context.clock.now();
        context.panics.retain(|_, spent| !spent.is_forgiven(now));
        context.panics.change(&(K::KIND, key.clone()), |spent| spent.take(PANICS, now))
    };
    if let Some(object) = K::cache(&context.caches).get(key).filter(|_| is_due()) {
        report(context, &object, &OperatorTrouble::panic()).await;
    }
}

/// Reports on the object under `key` that a try ended with `error`, where that does not pass by itself.
pub async fn failed<K: Troubled>(context: &Context, key: &Key, error: &ActError) {
    let Some(trouble) = OperatorTrouble::of(error) else { return };
    if let Some(object) = K::cache(&context.caches).get(key) {
        report(context, &object, &trouble).await;
    }
}

/// Reports a panic on a target: nothing is asked of it, and nothing new goes there.
pub async fn panicked_on_target(context: &Context, key: &Key) {
    let former = context.connections.get(&key.name);
    let connection = TargetConnection {
        provider: former.as_ref().and_then(|former| former.provider.clone()),
        identity: former.as_ref().and_then(|former| former.identity.clone()),
        fingerprint: former.as_ref().map(|former| former.fingerprint.clone()).unwrap_or_default(),
        state: ConnectionState::NotReady {
            reason: reasons::INTERNAL_ERROR,
            message: OperatorMessage::Panicked.to_string(),
            since: former.and_then(|former| former.state.not_ready_since()).unwrap_or_else(|| context.clock.wall()),
        },
    };
    context.connections.set(&key.name, connection);
    context.target_state_changed(&key.name);
    panicked::<ServingTarget>(context, key).await;
}

/// The status of `object` with the trouble.
fn troubled<K: Troubled>(object: &K, trouble: &OperatorTrouble, now: Timestamp) -> K::Status {
    let mut status = object.told().cloned().unwrap_or_default();
    let former = std::mem::take(K::conditions(&mut status));
    let mut set = Conditions::new(&former, object.meta().generation, now);
    set.set(conditions::READY, trouble.status, trouble.reason, &trouble.message);
    for (type_, status) in K::ALIKE {
        set.set(type_, status, trouble.reason, &trouble.message);
    }
    for type_ in K::CONFIRMED {
        if trouble.status == UNKNOWN {
            set.set(type_, UNKNOWN, trouble.reason, &trouble.message);
        } else {
            set.keep(type_);
        }
    }
    for type_ in K::KEPT {
        set.keep(type_);
    }
    *K::conditions(&mut status) = set.finish();
    if let Some(generation) = object.meta().generation.filter(|_| trouble.status == FALSE) {
        K::observe(&mut status, generation);
    }
    status
}

/// Writes the trouble into the status of `object`, and tells of it once.
async fn report<K: Troubled>(context: &Context, object: &Arc<K>, trouble: &OperatorTrouble) {
    let mut told = object.told().cloned().unwrap_or_default();
    let was_told = conditions::find(K::conditions(&mut told), conditions::READY)
        .is_some_and(|ready| (ready.status.as_str(), ready.reason.as_str()) == (trouble.status, trouble.reason));
    let status = troubled(object.as_ref(), trouble, context.clock.wall());
    match context.hub.tell(object.as_ref(), &told, &status, Urgency::Now).await {
        Ok(Told::Written(answer)) if was_told => drop(context.took(answer)),
        Ok(Told::Written(answer)) => {
            tell(context, object.as_ref(), &News::new(trouble.reason, trouble.message.clone()));
            context.took(answer);
        }
        Ok(Told::Same | Told::HeldBack(_)) => {}
        Err(error) => {
            tracing::warn!(%error, object = object.name_any(), reason = trouble.reason, "cannot write the status");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::test_context;
    use roadstead_runtime::client::CallError;

    fn target(status: &Value) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
            "metadata": {"name": "east", "uid": "u", "resourceVersion": "1"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": []},
            "status": status,
        }))
        .unwrap()
    }

    fn condition(type_: &str, status: &str) -> Value {
        json!({"type": type_, "status": status, "reason": "Said", "message": "",
               "lastTransitionTime": "2026-08-01T12:00:00Z"})
    }

    /// Type, status and reason of each condition.
    fn brief(conditions: &[Condition]) -> Vec<(&str, &str, &str)> {
        conditions.iter().map(|one| (one.type_.as_str(), one.status.as_str(), one.reason.as_str())).collect()
    }

    #[test]
    fn nothing_that_was_confirmed_stays_true_on_an_object_that_the_operator_panics_on() {
        let told = json!({"observedGeneration": 1, "conditions": [
            condition("Ready", "True"), condition("Reachable", "True"), condition("CredentialsValid", "True"),
            condition("Swept", "True"),
        ]});
        let status = troubled(&target(&told), &OperatorTrouble::panic(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            brief(&status.conditions),
            [
                ("Ready", "Unknown", "InternalError"),
                ("Reachable", "Unknown", "InternalError"),
                ("CredentialsValid", "Unknown", "InternalError"),
                ("Swept", "True", "Said"),
            ]
        );
    }

    /// A deployment that nothing was decided about.
    fn new_deployment() -> Value {
        json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "llama", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "1"},
            "spec": {"serving": {"engine": "custom", "image": "i:1",
                                 "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]}},
        })
    }

    #[tokio::test]
    async fn a_plan_that_breaks_a_hard_rule_shows_on_a_new_deployment() {
        let (context, writes) = test_context::writing_context(new_deployment());
        let key = Key::new("team", "llama");
        context.caches.deployments.apply(serde_json::from_value(new_deployment()).unwrap());
        let error = ActError::Unsound { violations: "east: a rule of the deployment".to_owned() };
        failed::<ModelDeployment>(&context, &key, &error).await;
        let writes = writes.lock().unwrap().clone();
        let conditions: Vec<Condition> = serde_json::from_value(writes[0]["status"]["conditions"].clone()).unwrap();
        assert_eq!(
            brief(&conditions),
            [("Ready", "Unknown", "InternalError"), ("Reconciling", "True", "InternalError")]
        );
        assert!(conditions[0].message.contains("east: a rule of the deployment"), "{}", conditions[0].message);
    }

    #[test]
    fn what_passes_by_itself_is_no_trouble() {
        let refused = |code| {
            let status =
                kube::core::Status { code, message: "exceeded quota".to_owned(), ..kube::core::Status::default() };
            let source = CallError::Kube { call: "create", source: Box::new(kube::Error::Api(Box::new(status))) };
            OperatorTrouble::of(&ActError::Write { verb: "create", object: "Secret team/a".to_owned(), source })
        };
        for code in [401, 404, 408, 409, 410, 429, 502, 503, 504] {
            assert_eq!(refused(code), None, "{code}");
        }
        for code in [400, 403, 413, 422, 500] {
            let trouble = refused(code).unwrap();
            assert_eq!((trouble.status, trouble.reason), (FALSE, reasons::HUB_REFUSED), "{code}");
            assert!(trouble.message.starts_with("the hub refuses to create Secret team/a: "), "{}", trouble.message);
        }
        assert_eq!(OperatorTrouble::of(&ActError::Stale { object: "a".to_owned() }), None);
    }

    #[tokio::test]
    async fn a_target_that_the_operator_panics_on_again_is_not_usable_since_the_first_time() {
        let context = test_context::context();
        context.caches.targets.apply(target(&json!({"observedGeneration": 1})));
        let first = Timestamp::UNIX_EPOCH;
        let state = ConnectionState::NotReady {
            reason: reasons::INTERNAL_ERROR,
            message: OperatorMessage::Panicked.to_string(),
            since: first,
        };
        let connection = TargetConnection { provider: None, identity: None, state, fingerprint: String::new() };
        context.connections.set("east", connection);
        panicked_on_target(&context, &Key::cluster("east")).await;
        let state = context.connections.get("east").unwrap().state.clone();
        assert!(matches!(state, ConnectionState::NotReady { since, .. } if since == first), "{state:?}");
    }
}
