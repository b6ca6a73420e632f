//! Simulated places: each target is a place in one simulated cloud, another process that is spoken to over HTTP.
//!
//! It is driven as a managed service would be: names are ours, creation is asynchronous, there is no watch but a listing
//! that can be waited for. `client` speaks with the cloud, `listing` keeps the inventory.

mod client;
pub mod cloud;
mod listing;
mod profile;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::Method;
use kube::ResourceExt;
use roadstead_model as model;
use serde_json::Value;

use self::client::CloudClient;
use self::listing::{Listed, ListingTask};
pub use self::profile::{capabilities, profile};
use crate::cloud::CloudAddress;
use crate::cloud::wire::{
    ClaimOrder, ClaimView, CreateOrder, EndpointView, Form, KeyView, PlaceView, Profile, UpdateOrder, key_digest,
};
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint, InferenceEndpointSpec, names, reasons};
use roadstead_provider::address::{self, Reach};
use roadstead_provider::probe::Probe;
use roadstead_provider::record::record;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::{digest, template_hash};
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, Observation, Present, Progress, ProviderError, Redacted,
    Removal, Site, Trouble, TroubleKind, Wanted, Workload,
};
use roadstead_runtime::client::WriteGate;

/// The entries of an identity: the place's name, and the endpoint's UID there. They are called as those of a cluster.
const PLACE: &str = "namespace";
const UID: &str = "uid";

/// The driver of one simulated place.
pub struct Simulated {
    client: CloudClient,
    place: String,
    install_id: String,
    profile: Profile,
    listed: Arc<Listed>,
    capabilities: Capabilities,
    listing: Mutex<Option<ListingTask>>,
}

impl Simulated {
    /// A driver for `place` in the cloud at `address`, which behaves as `profile` says; writes only while `gate` lets it.
    #[must_use]
    pub fn new(address: CloudAddress, place: String, install_id: String, profile: Profile, gate: WriteGate) -> Self {
        Self {
            client: CloudClient::new(address, gate),
            place,
            install_id,
            profile,
            listed: Arc::default(),
            capabilities: Capabilities::default(),
            listing: Mutex::new(None),
        }
    }

    /// The same for a place that can do no more than this.
    #[must_use]
    pub fn able_to(self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self }
    }

    fn endpoint_path(&self, name: &str) -> String {
        format!("/places/{}/endpoints/{name}", self.place)
    }

    /// The endpoint of this name, of any installation.
    async fn read(&self, name: &str) -> Result<Option<EndpointView>, ProviderError> {
        let view: Option<EndpointView> = self.client.find(&self.endpoint_path(name), name).await?;
        if view.as_ref().is_some_and(|view| view.name != name || !names::is_uid(&view.uid)) {
            let message = format!("the cloud answers for endpoint {name} with another name or without a UID");
            return Err(ProviderError::new(ErrorClass::Transient, message));
        }
        Ok(view)
    }

    fn tags(&self, endpoint: &InferenceEndpoint) -> EndpointTags {
        EndpointTags::of(&self.install_id, endpoint)
    }

    /// Compares the existing objects with the wanted endpoint.
    async fn survey(&self, wanted: &Wanted) -> Result<CloudSurvey, ProviderError> {
        let endpoint = wanted.endpoint.as_ref();
        let form = form(&endpoint.spec, wanted)?;
        let Some(view) = self.read(&endpoint.name_any()).await? else { return Ok(CloudSurvey::Absent(form)) };
        Ok(if view.tags.is_same_endpoint(&self.tags(endpoint)) {
            CloudSurvey::Ours(Box::new(view), form)
        } else {
            CloudSurvey::Foreign(self.foreign(&view))
        })
    }

    /// True if the endpoint was made by this installation for a deployment in `namespace`.
    fn is_tagged(&self, view: &EndpointView, namespace: &str) -> bool {
        view.tags.install_id == self.install_id && view.tags.namespace == namespace
    }

    /// The error for something that has an endpoint's name and is not tagged as that endpoint.
    fn foreign(&self, view: &EndpointView) -> ProviderError {
        let EndpointTags { install_id, namespace, deployment, .. } = &view.tags;
        let message = format!(
            "endpoint {} at the cloud belongs to {namespace}/{deployment} of installation {install_id:?}; this operator \
             is {:?}. The operator does not change it: delete it there, or recreate it under another name",
            view.name, self.install_id
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }

    /// Deletes exactly this endpoint, and says whether it is gone.
    async fn delete(&self, view: &EndpointView) -> Result<Removal, ProviderError> {
        let path = self.endpoint_path(&view.name);
        if !view.deleting {
            let path = format!("{path}?uid={}", view.uid);
            self.client.send::<EndpointView>(Method::DELETE, &path, &Value::Null).await?;
        }
        Ok(match self.read(&view.name).await? {
            None => Removal::Gone,
            Some(_) => Removal::InProgress { message: format!("endpoint {} is being deleted", view.name) },
        })
    }

    /// Identity of an endpoint here.
    fn id_of(&self, view: &EndpointView) -> ExternalId {
        ExternalId::new(&self.listed.identity(), [(PLACE, self.place.as_str()), (UID, view.uid.as_str())])
    }

    fn present(&self, view: &EndpointView, form: &Form, wanted: &Wanted) -> Present {
        let progress =
            if view.serving { Progress::Serving } else { Progress::Starting { message: view.message.clone() } };
        let (class, reason) = if view.quota {
            (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED)
        } else {
            (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED)
        };
        let trouble = view.exhausted.then(|| Trouble {
            kind: TroubleKind::Plain,
            class,
            reason,
            message: view.message.clone(),
            since: None,
        });
        let url = self.client.address().url(&format!("/serve/{}/{}", self.place, view.name));
        Present {
            in_sync: in_sync(view, form) && !view.deleting,
            interrupts: false,
            changed_by_admission: Vec::new(),
            external_id: self.id_of(view),
            template_hash: form.template_hash.clone(),
            template_digest: digest(&form.template_hash),
            replicas: i32::try_from(view.replicas).unwrap_or(i32::MAX),
            ready_replicas: i32::try_from(view.ready_replicas).unwrap_or(i32::MAX),
            probe: Some(probe(&form.model, &url, wanted.api_key.clone())),
            url: Some(url),
            progress,
            trouble,
        }
    }
}

/// The way to ask the endpoint at `url` whether it answers.
#[must_use]
pub fn probe(model: &str, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, model)
}

/// The existing and the wanted objects under an endpoint's name.
enum CloudSurvey {
    Absent(Form),
    Foreign(ProviderError),
    Ours(Box<EndpointView>, Form),
}

#[async_trait]
impl Site for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let path = format!("/places/{}", self.place);
        let place: PlaceView = self.client.put(&path, &self.profile).await?;
        self.listed.identified(&place.identity);
        Ok(place.identity)
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let order = ClaimOrder { hub_uid: hub_uid.to_owned(), takeover: takeover.map(ToOwned::to_owned) };
        let path = format!("/places/{}/claims/{}", self.place, self.install_id);
        let claim: ClaimView = self.client.put(&path, &order).await?;
        Ok(if claim.hub_uid == hub_uid { Claim::Ours } else { Claim::Other { hub_uid: claim.hub_uid } })
    }

    fn watch(&self, listener: Listener) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if listing.is_none() {
            let path = format!("/places/{}/endpoints?installId={}", self.place, self.install_id);
            *listing = Some(ListingTask::start(self.client.clone(), path, Arc::clone(&self.listed), listener));
        }
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.listed.inventory.get()
    }

    /// Only the operator's flag sets the address of the cloud.
    fn reach(&self) -> Reach {
        address::anywhere
    }
}

/// A name that was free when it was read may have been taken by this operator's other request; the next observation says
/// who has it.
fn made_meanwhile(error: ProviderError, name: &str) -> ProviderError {
    if error.class == ErrorClass::Conflict {
        ProviderError::new(ErrorClass::Transient, format!("endpoint {name} was created concurrently: {error}"))
    } else {
        error
    }
}

#[async_trait]
impl Workload for Simulated {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        Ok(match self.survey(wanted).await? {
            CloudSurvey::Absent(_) => Observation::Absent,
            CloudSurvey::Foreign(error) => Observation::Foreign { message: error.message },
            CloudSurvey::Ours(view, form) => Observation::Present(Box::new(self.present(&view, &form, wanted))),
        })
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        let name = wanted.endpoint.name_any();
        let view = match self.survey(wanted).await? {
            CloudSurvey::Foreign(error) => return Err(error),
            CloudSurvey::Absent(form) => {
                let order = CreateOrder { name, tags: self.tags(&wanted.endpoint), form };
                let path = format!("/places/{}/endpoints", self.place);
                let made = self.client.send::<EndpointView>(Method::POST, &path, &order).await;
                made.map_err(|error| made_meanwhile(error, &order.name))?
            }
            CloudSurvey::Ours(view, _) if view.deleting => {
                let message = format!("endpoint {name} is still being deleted");
                return Err(ProviderError::new(ErrorClass::Transient, message));
            }
            CloudSurvey::Ours(view, form) if !in_sync(&view, &form) => {
                let order = UpdateOrder { version: view.version, form };
                self.client.put::<EndpointView>(&self.endpoint_path(&name), &order).await?
            }
            CloudSurvey::Ours(view, _) => *view,
        };
        Ok(self.id_of(&view))
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        let name = endpoint.name_any();
        let made = endpoint.external_id().and_then(|id| id.get(UID));
        let removal = match self.read(&name).await? {
            Some(view) if self.is_tagged(&view, &endpoint.namespace().unwrap_or_default()) => {
                self.delete(&view).await?
            }
            // The created object still exists, or cannot be excluded.
            Some(view) if made.is_none_or(|uid| uid == view.uid) => return Err(self.foreign(&view)),
            Some(_) | None => Removal::Gone,
        };
        self.listed.inventory.removed(&name);
        Ok(removal)
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        let name = &found.name;
        let Some(view) = self.read(name).await? else { return Ok(Removal::Gone) };
        if !self.is_tagged(&view, &found.deployment.namespace) {
            return Err(self.foreign(&view));
        }
        if view.tags.deployment != found.deployment.name || view.uid != found.id {
            let message = format!(
                "endpoint {name} at the cloud has changed since it was listed; the operator does not delete it"
            );
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        self.delete(&view).await
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        match self.read(endpoint).await? {
            Some(view) if view.tags.install_id != self.install_id => return Err(self.foreign(&view)),
            Some(_) => {}
            None => return Ok(None),
        }
        let key: Option<KeyView> = self.client.find(&format!("{}/key", self.endpoint_path(endpoint)), endpoint).await?;
        let Some(key) = key else { return Ok(None) };
        if names::is_api_key(&key.api_key) {
            Ok(Some(Redacted::new(key.api_key)))
        } else {
            let message = format!("endpoint {endpoint} has no valid API key; delete it at the cloud");
            Err(ProviderError::new(ErrorClass::Invalid, message))
        }
    }
}

fn form(spec: &InferenceEndpointSpec, wanted: &Wanted) -> Result<Form, ProviderError> {
    let hash = template_hash(spec, &wanted.secrets)
        .map_err(|error| ProviderError::new(ErrorClass::Bug, format!("the template cannot be hashed: {error}")))?;
    let record = record(spec).map_err(|error| ProviderError::new(ErrorClass::Bug, error))?;
    Ok(Form {
        replicas: u32::try_from(spec.replicas).unwrap_or(0),
        accelerators: u32::try_from(spec.accelerator.count).unwrap_or(0),
        model: spec.model_name().to_owned(),
        template_hash: hash,
        api_key: wanted.api_key.expose().to_owned(),
        record: record.unwrap_or_default(),
    })
}

fn in_sync(view: &EndpointView, form: &Form) -> bool {
    view.replicas == form.replicas
        && view.template_hash == form.template_hash
        && view.record == form.record
        && view.key_digest == key_digest(&form.api_key)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
