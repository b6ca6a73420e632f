//! The one way to write to the hub, and the reads that confirm a write.
//!
//! A creation is a POST, a change carries the version it was computed from, a deletion the UID and the version too
//! (ADR 0002); statuses pass the throttle; without the lease the client sends nothing.
//! An answer belongs into the cache: only `Context::took` can open it.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::ActError;
use super::throttle::{Subject, Throttle, Urgency};
use roadstead_api::v1alpha1::{
    InferenceEndpoint, InferenceEndpointStatus, ModelDeployment, ModelDeploymentStatus, ServingTarget,
    ServingTargetStatus, names,
};
use roadstead_runtime::cache::Key;
use roadstead_runtime::client::{CallError, call, call_opt};
use roadstead_runtime::clock::Clock;
use roadstead_runtime::patch::merge_patch;

/// A kind that the operator writes.
pub trait Written: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned {
    /// The name of this kind.
    const KIND: &'static str;

    /// The API of this kind in `namespace`, which a cluster-scoped kind ignores.
    fn api(client: &Client, namespace: &str) -> Api<Self>;
}

/// A kind of Roadstead's own.
pub trait Object: Written {
    /// The status of this kind.
    type Status: Serialize + PartialEq + Clone + Default;

    /// The status as the hub shows it.
    fn told(&self) -> Option<&Self::Status>;

    /// The generation that a status is about.
    fn observed(status: &Self::Status) -> i64;
}

impl Written for Secret {
    const KIND: &'static str = "Secret";

    fn api(client: &Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client.clone(), namespace)
    }
}

impl Written for ConfigMap {
    const KIND: &'static str = "ConfigMap";

    fn api(client: &Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client.clone(), namespace)
    }
}

impl Written for ModelDeployment {
    const KIND: &'static str = "ModelDeployment";

    fn api(client: &Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client.clone(), namespace)
    }
}

impl Object for ModelDeployment {
    type Status = ModelDeploymentStatus;

    fn told(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn observed(status: &Self::Status) -> i64 {
        status.observed_generation
    }
}

impl Written for InferenceEndpoint {
    const KIND: &'static str = "InferenceEndpoint";

    fn api(client: &Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client.clone(), namespace)
    }
}

impl Object for InferenceEndpoint {
    type Status = InferenceEndpointStatus;

    fn told(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn observed(status: &Self::Status) -> i64 {
        status.observed_generation
    }
}

impl Written for ServingTarget {
    const KIND: &'static str = "ServingTarget";

    fn api(client: &Client, _: &str) -> Api<Self> {
        Api::all(client.clone())
    }
}

impl Object for ServingTarget {
    type Status = ServingTargetStatus;

    fn told(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }

    fn observed(status: &Self::Status) -> i64 {
        status.observed_generation
    }
}

/// The hub's answer to a write: the object as it is now.
#[must_use = "it belongs into the cache: Context::took"]
#[derive(Debug)]
pub struct WriteAnswer<K>(K);

impl<K: Object> WriteAnswer<K> {
    /// The object, for the cache.
    pub(super) fn open(self) -> K {
        self.0
    }
}

/// The result of writing a status.
#[derive(Debug)]
pub enum Told<K> {
    /// It was written.
    Written(WriteAnswer<K>),
    /// It says nothing new.
    Same,
    /// The throttle holds it back for this long.
    HeldBack(Duration),
}

impl<K> Told<K> {
    /// The answer, if it was written.
    pub fn written(self) -> Option<WriteAnswer<K>> {
        match self {
            Self::Written(answer) => Some(answer),
            Self::Same | Self::HeldBack(_) => None,
        }
    }
}

/// The state that a quorum read must show before something is spent or destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The object in the generation that is known, not being deleted.
    Unchanged,
    /// The object, being deleted.
    Going,
}

/// The hub, as far as it is written to.
pub struct Hub {
    client: Client,
    clock: Clock,
    throttle: Throttle,
}

impl Hub {
    /// The hub behind `client`, which stops writes without the lease.
    #[must_use]
    pub fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, throttle: Throttle::default() }
    }

    fn api<K: Written>(&self, object: &K) -> Api<K> {
        K::api(&self.client, &object.namespace().unwrap_or_default())
    }

    /// Creates `object`.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that there is one of this name.
    pub async fn create<K: Object>(&self, object: &K) -> Result<WriteAnswer<K>, ActError> {
        self.post(object).await.map(WriteAnswer)
    }

    /// Creates a Secret, which no cache keeps.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that there is one of this name.
    pub async fn create_secret(&self, secret: &Secret) -> Result<Secret, ActError> {
        self.post(secret).await
    }

    /// Writes a Secret in place of `former`, or creates it.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that it changed since it was read.
    pub async fn put_secret(&self, former: Option<&Secret>, secret: &Secret) -> Result<Secret, ActError> {
        let Some(former) = former else { return self.create_secret(secret).await };
        let change = json!({
            "metadata": {"resourceVersion": former.resource_version(), "labels": secret.labels()}, "data": secret.data,
        });
        let (api, name) = (self.api(secret), secret.name_any());
        let written = call("patch secret", api.patch(&name, &author(), &Patch::Merge(change))).await;
        written.map_err(|error| refused("change", secret, error))
    }

    /// Deletes exactly this object of a kind that is not Roadstead's own; gone already is fine.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that it changed since it was read.
    pub async fn discard<K: Written>(&self, object: &K) -> Result<(), ActError> {
        self.remove(object).await.map(drop)
    }

    async fn post<K: Written>(&self, object: &K) -> Result<K, ActError> {
        let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
        call("create", self.api(object).create(&params, object)).await.map_err(|error| refused("create", object, error))
    }

    /// Writes `status` in place of `former`, if it says something new and the throttle lets it through.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that the object changed since it was read.
    pub async fn tell<K: Object>(
        &self,
        object: &K,
        former: &K::Status,
        status: &K::Status,
        urgency: Urgency,
    ) -> Result<Told<K>, ActError> {
        let subject = subject(object);
        // Mostly nothing is new, and this is the cheapest way to see it.
        if former == status {
            self.throttle.settled(&subject);
            return Ok(Told::Same);
        }
        if K::observed(former) != K::observed(status) {
            self.throttle.edited(&subject);
        }
        if let Some(wait) = self.throttle.wait(&subject, urgency, self.clock.now()) {
            return Ok(Told::HeldBack(wait));
        }
        let written = self.patch_status(object, former, status).await?;
        self.throttle.settled(&subject);
        let Some(written) = written else { return Ok(Told::Same) };
        self.throttle.wrote(&subject, self.clock.now());
        Ok(Told::Written(written))
    }

    /// Writes `status` whatever was written before: what follows must not be done before it is recorded.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that the object changed since it was read.
    pub async fn record<K: Object>(
        &self,
        object: &K,
        former: &K::Status,
        status: &K::Status,
    ) -> Result<Option<WriteAnswer<K>>, ActError> {
        self.patch_status(object, former, status).await
    }

    async fn patch_status<K: Object>(
        &self,
        object: &K,
        former: &K::Status,
        status: &K::Status,
    ) -> Result<Option<WriteAnswer<K>>, ActError> {
        let Some(change) = merge_patch(&serde_json::to_value(former)?, &serde_json::to_value(status)?) else {
            return Ok(None);
        };
        let patch = json!({"metadata": {"resourceVersion": object.resource_version()}, "status": change});
        let (api, name) = (self.api(object), object.name_any());
        let written = call("patch status", api.patch_status(&name, &author(), &Patch::Merge(patch))).await;
        written.map(|written| Some(WriteAnswer(written))).map_err(|error| refused("write the status of", object, error))
    }

    /// Changes `object` (not its status) by a merge patch.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that the object changed since it was read.
    pub async fn patch<K: Object>(&self, object: &K, mut change: Value) -> Result<WriteAnswer<K>, ActError> {
        if let Some(change) = change.as_object_mut()
            && let Some(metadata) = change.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
        {
            metadata.insert("resourceVersion".to_owned(), json!(object.resource_version()));
        }
        let (api, name) = (self.api(object), object.name_any());
        let written = call("patch", api.patch(&name, &author(), &Patch::Merge(change))).await;
        written.map(WriteAnswer).map_err(|error| refused("change", object, error))
    }

    /// Adds or removes our finalizer; `None` if it is as wanted already, or the object is gone.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that the object changed since it was read.
    pub async fn set_finalizer<K: Object>(
        &self,
        object: &K,
        finalizer: &str,
        wanted: bool,
    ) -> Result<Option<WriteAnswer<K>>, ActError> {
        if has_finalizer(object, finalizer) == wanted {
            return Ok(None);
        }
        let mut finalizers: Vec<&str> =
            object.finalizers().iter().map(String::as_str).filter(|held| *held != finalizer).collect();
        if wanted {
            finalizers.push(finalizer);
        }
        match self.patch(object, json!({"metadata": {"finalizers": finalizers}})).await {
            Err(error) if error.is_not_found() => Ok(None),
            written => written.map(Some),
        }
    }

    /// Removes our finalizer; what may go with it is no matter of the cache's.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that the object changed since it was read.
    pub async fn release<K: Object>(&self, object: &K, finalizer: &str) -> Result<(), ActError> {
        self.set_finalizer(object, finalizer, false).await.map(drop)
    }

    /// Asks for the deletion of exactly this `object`, in the version in which it was seen; gone already is fine.
    ///
    /// Returns the object as it is while it is being deleted, or `None` if it is gone.
    ///
    /// # Errors
    /// [`ActError`]; a conflict means that the object changed since it was read.
    pub async fn delete<K: Object>(&self, object: &K) -> Result<Option<WriteAnswer<K>>, ActError> {
        self.remove(object).await.map(|left| left.map(WriteAnswer))
    }

    async fn remove<K: Written>(&self, object: &K) -> Result<Option<K>, ActError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: object.uid(), resource_version: object.resource_version() }),
            ..DeleteParams::default()
        };
        match call("delete", self.api(object).delete(&object.name_any(), &params)).await {
            Ok(answer) => Ok(answer.left()),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(refused("delete", object, error)),
        }
    }

    /// A quorum read: nothing is spent or destroyed on the word of a cache. Returns whether the object is there, which it
    /// is as expected.
    ///
    /// # Errors
    /// [`ActError::Stale`] if it is otherwise than expected.
    pub async fn confirm<K: Object>(&self, object: &K, expect: Expect) -> Result<bool, ActError> {
        let Some(newest) = call_opt("get", self.api(object).get_metadata(&object.name_any())).await? else {
            return Ok(false);
        };
        let going = newest.meta().deletion_timestamp.is_some();
        let same = newest.uid() == object.uid()
            && match expect {
                Expect::Unchanged => !going && newest.meta().generation == object.meta().generation,
                Expect::Going => going,
            };
        if same { Ok(true) } else { Err(stale(object)) }
    }

    /// The object is gone: nothing of it is remembered.
    pub fn forget<K: Object>(&self, key: &Key) {
        self.throttle.forget(&(K::KIND, key.clone()));
    }
}

/// The kind and key under which the throttle knows a status.
fn subject<K: Object>(object: &K) -> Subject {
    (K::KIND, Key::of(object))
}

/// The error of a write that did not succeed.
fn refused<K: Written>(verb: &'static str, object: &K, error: CallError) -> ActError {
    ActError::Write { verb, object: format!("{} {}", K::KIND, Key::of(object)), source: error }
}

/// The error that `object` is not as it was when it was decided about.
pub fn stale<K: Resource<DynamicType = ()>>(object: &K) -> ActError {
    ActError::Stale { object: Key::of(object).to_string() }
}

/// The author that every write names.
fn author() -> PatchParams {
    PatchParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// True if `object` holds this finalizer.
pub fn has_finalizer(object: &impl ResourceExt, finalizer: &str) -> bool {
    object.finalizers().iter().any(|held| held == finalizer)
}
