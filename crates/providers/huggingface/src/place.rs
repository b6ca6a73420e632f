//! The driver of one place.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint, names, reasons};
use roadstead_model as model;
use roadstead_provider::address::Reach;
use roadstead_provider::meter::ServiceMeter;
use roadstead_provider::probe::Probe;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::digest;
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, NewestInventory, Observation, Present, Progress,
    ProviderError, Redacted, Removal, Site, Trouble, TroubleKind, Wanted, Workload,
};
use roadstead_rest::{
    BaseUrl, BaseUrlError, Bearer, ClientParts, Insecure, PlaceListing, RestClient, ServiceRoute, Transport,
};
use roadstead_runtime::client::WriteGate;
use roadstead_runtime::clock::Clock;
use serde::Deserialize;

use crate::form::{HubForm, SOURCE};
use crate::listing::{NamespaceEndpoints, all};
use crate::seal::KeySeal;
use crate::service::{HubPaths, NAME, PROFILE, class_of_text, whoami};
use crate::terms::HubTerms;
use crate::view::{HubState, HubTags, HubView, KEY_DIGEST, SEALED_KEY, TEMPLATE};

/// Time between two readings of prices and quotas.
const TERMS_INTERVAL: Duration = Duration::from_mins(15);

/// The entries of an identity: the namespace, and the endpoint's UID there.
const NAMESPACE: &str = "namespace";
const UID: &str = "uid";

/// Addresses of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddresses {
    /// The control plane: `https://api.endpoints.huggingface.cloud/v2`.
    pub endpoints: BaseUrl,
    /// The Hub: `https://huggingface.co`.
    pub hub: BaseUrl,
}

/// Address of the control plane.
const ENDPOINTS: &str = "https://api.endpoints.huggingface.cloud/v2";
/// Address of the Hub.
const HUB: &str = "https://huggingface.co";

impl HubAddresses {
    /// The service's own addresses, or those below this address if there is one.
    ///
    /// # Errors
    /// If the address is none of a service.
    pub fn of(stand_in: Option<&BaseUrl>) -> Result<Self, BaseUrlError> {
        let (endpoints, hub, insecure) = match stand_in {
            Some(base) => (format!("{base}/v2"), base.to_string(), Insecure::Allowed),
            None => (ENDPOINTS.to_owned(), HUB.to_owned(), Insecure::Refused),
        };
        Ok(Self { endpoints: BaseUrl::parse(&endpoints, insecure)?, hub: BaseUrl::parse(&hub, insecure)? })
    }
}

/// The way to ask the endpoint at `url` whether it answers.
#[must_use]
pub fn probe(model: &str, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, model)
}

/// Parts of a driver.
pub struct HubParts {
    /// Addresses of the service.
    pub addresses: HubAddresses,
    /// Namespace of the endpoints: a user or an organization.
    pub namespace: String,
    /// Cloud of the endpoints, such as `aws`.
    pub cloud: String,
    /// Region of that cloud.
    pub region: String,
    /// The token.
    pub token: Redacted,
    /// The installation.
    pub install_id: String,
    /// Pause between two listings.
    pub listing_pause: Duration,
    /// Addresses to which the service and its endpoints may lead.
    pub reach: Reach,
    /// Gate for writes.
    pub gate: WriteGate,
    /// Counts the calls.
    pub meter: Arc<dyn ServiceMeter>,
    /// The time.
    pub clock: Clock,
}

/// The driver of one namespace in one region.
pub struct HuggingFace {
    endpoints: RestClient,
    hub: RestClient,
    paths: HubPaths,
    parts: Place,
    seal: Option<KeySeal>,
    identity: RwLock<String>,
    hub_uid: RwLock<String>,
    listed: Arc<NewestInventory>,
    listing: Mutex<Option<PlaceListing>>,
}

/// Facts of the place that do not change.
struct Place {
    namespace: String,
    cloud: String,
    region: String,
    install_id: String,
    listing_pause: Duration,
    reach: Reach,
    clock: Clock,
}

/// The user or an organization of a token.
#[derive(Deserialize)]
struct Account {
    id: String,
    name: String,
    #[serde(default)]
    orgs: Vec<Account>,
}

/// The existing and the wanted objects under an endpoint's name.
enum HubSurvey {
    Absent(HubForm),
    Foreign(ProviderError),
    Ours(Box<HubView>, HubForm),
}

impl HuggingFace {
    /// A driver that has asked nothing.
    #[must_use]
    pub fn new(parts: HubParts) -> Self {
        let HubParts {
            addresses,
            namespace,
            cloud,
            region,
            token,
            install_id,
            listing_pause,
            reach,
            gate,
            meter,
            clock,
        } = parts;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach });
        let client = |base: BaseUrl| {
            RestClient::new(ClientParts {
                profile: PROFILE,
                base,
                transport: transport.clone(),
                credentials: Arc::new(Bearer::new(token.clone())),
                gate: Arc::clone(&gate),
                meter: Arc::clone(&meter),
                clock,
            })
        };
        Self {
            endpoints: client(addresses.endpoints),
            hub: client(addresses.hub),
            paths: HubPaths::of(&namespace),
            seal: KeySeal::of(&token),
            parts: Place { namespace, cloud, region, install_id, listing_pause, reach, clock },
            identity: RwLock::default(),
            hub_uid: RwLock::default(),
            listed: Arc::default(),
            listing: Mutex::new(None),
        }
    }

    /// The endpoint of this name, of any installation.
    async fn read(&self, name: &str) -> Result<Option<HubView>, ProviderError> {
        let view: HubView = match self.endpoints.call(self.paths.get(name)).await {
            Ok(answer) => answer.json()?,
            Err(failure) if failure.error.class == ErrorClass::NotFound => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        if !view.is_called(name) {
            let message =
                format!("Hugging Face answers for endpoint {name} with another name or without a creation time");
            return Err(ProviderError::new(ErrorClass::Transient, message));
        }
        Ok(Some(view))
    }

    fn tags(&self, endpoint: &InferenceEndpoint) -> HubTags {
        let hub = self.hub_uid.read().unwrap_or_else(PoisonError::into_inner).clone();
        HubTags { hub, owner: EndpointTags::of(&self.parts.install_id, endpoint) }
    }

    async fn survey(&self, wanted: &Wanted) -> Result<HubSurvey, ProviderError> {
        let name = wanted.endpoint.name_any();
        let tags = self.tags(&wanted.endpoint);
        let sealed = self.seal.as_ref().and_then(|seal| seal.seal(&name, &wanted.api_key));
        let form = HubForm::of(wanted, &tags, sealed)?;
        let Some(view) = self.read(&name).await? else { return Ok(HubSurvey::Absent(form)) };
        let ours = view.tags().is_some_and(|known| known.owner.is_same_endpoint(&tags.owner));
        Ok(if ours { HubSurvey::Ours(Box::new(view), form) } else { HubSurvey::Foreign(self.foreign(&view)) })
    }

    fn is_tagged(&self, view: &HubView, namespace: &str) -> bool {
        view.tags().is_some_and(|HubTags { owner, .. }| {
            owner.install_id == self.parts.install_id && owner.namespace == namespace
        })
    }

    /// The error for something that has an endpoint's name and is not tagged as that endpoint.
    fn foreign(&self, view: &HubView) -> ProviderError {
        let install_id = &self.parts.install_id;
        let owner = match view.tags() {
            Some(HubTags { owner: EndpointTags { install_id, namespace, deployment, .. }, .. }) => {
                format!("belongs to {namespace}/{deployment} of installation {install_id:?}")
            }
            None => "was not created by Roadstead".to_owned(),
        };
        let message = format!(
            "endpoint {} at Hugging Face {owner}; this operator is {install_id:?}. The operator does not change it: delete it \
             there, or recreate it under another name",
            view.name
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }

    fn id_of(&self, view: &HubView) -> ExternalId {
        let identity = self.identity.read().unwrap_or_else(PoisonError::into_inner);
        ExternalId::new(&identity, [(NAMESPACE, self.parts.namespace.as_str()), (UID, view.uid().as_str())])
    }

    async fn create(&self, form: &HubForm) -> Result<HubView, ProviderError> {
        let Place { cloud, region, .. } = &self.parts;
        let call = self.paths.create(&form.creation(cloud, region)?)?;
        let view: HubView = match self.endpoints.call(call).await {
            Ok(answer) => answer.json()?,
            // The name was free when it was read: the next observation says who has it.
            Err(failure) if failure.error.class == ErrorClass::Conflict => {
                let message = format!("endpoint {} was created concurrently: {}", form.name, failure.error);
                return Err(ProviderError::new(ErrorClass::Transient, message));
            }
            Err(failure) => return Err(failure.into()),
        };
        if form.replicas == 0 {
            self.endpoints.call(self.paths.pause(&form.name)).await?;
        }
        Ok(view)
    }

    /// Makes an existing endpoint what it should be.
    async fn correct(&self, view: &HubView, form: &HubForm) -> Result<(), ProviderError> {
        if !form.is_of(view) {
            self.endpoints.call(self.paths.update(&form.name, &form.update()?)?).await?;
        }
        if !form.is_awake_as(view) {
            let call = if form.replicas == 0 { self.paths.pause(&form.name) } else { self.paths.resume(&form.name) };
            self.endpoints.call(call).await?;
        }
        Ok(())
    }

    /// Deletes an endpoint; it is gone once the service does not know it any more.
    async fn delete(&self, name: &str) -> Result<Removal, ProviderError> {
        match self.endpoints.call(self.paths.delete(name)).await {
            Ok(_) => {}
            Err(failure) if failure.error.class == ErrorClass::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
        Ok(match self.read(name).await? {
            None => Removal::Gone,
            Some(_) => Removal::InProgress { message: format!("endpoint {name} is being deleted") },
        })
    }

    fn present(&self, view: &HubView, form: &HubForm, wanted: &Wanted) -> Present {
        let hash = view.variable(TEMPLATE).unwrap_or_default().to_owned();
        let state = view.state();
        let replicas = if state == HubState::Paused { 0 } else { view.compute.scaling.min_replica };
        let settled = matches!(state, HubState::Running | HubState::Paused | HubState::Zero);
        let ready = view.status.ready_replica.min(replicas);
        let progress = if settled && (ready == replicas || state == HubState::Zero) {
            Progress::Serving
        } else {
            Progress::Starting { message: told(view) }
        };
        let url = view.status.url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        Present {
            in_sync: form.is_of(view) && form.is_awake_as(view),
            interrupts: false,
            changed_by_admission: Vec::new(),
            external_id: self.id_of(view),
            template_digest: digest(&hash),
            template_hash: hash,
            replicas: i32::try_from(replicas).unwrap_or(i32::MAX),
            ready_replicas: i32::try_from(ready).unwrap_or(i32::MAX),
            probe: url.as_ref().map(|url| probe(wanted.endpoint.spec.model_name(), url, wanted.api_key.clone())),
            url,
            progress,
            trouble: (state == HubState::Failed).then(|| trouble(view)),
        }
    }
}

/// The state in words, with the service's own.
fn told(view: &HubView) -> String {
    let state = &view.status.state;
    match view.status.message.as_deref().filter(|message| !message.is_empty()) {
        Some(message) => format!("Hugging Face: {state}: {message}"),
        None => format!("Hugging Face: {state}"),
    }
}

/// The trouble of an endpoint that has failed.
fn trouble(view: &HubView) -> Trouble {
    let class = view.status.message.as_deref().and_then(class_of_text);
    let (class, reason) = match class {
        Some(ErrorClass::QuotaExceeded) => (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED),
        Some(ErrorClass::CapacityExhausted) => (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED),
        _ => (ErrorClass::Transient, reasons::CRASH_LOOP),
    };
    Trouble { kind: TroubleKind::Plain, class, reason, message: told(view), since: None }
}

#[async_trait]
impl Site for HuggingFace {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engines: Some([String::from("vllm")].into()),
            sources: Some([SOURCE.to_owned()].into()),
            whole_instances: true,
            ..Capabilities::default()
        }
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let account: Account = self.hub.call(whoami()).await?.json()?;
        let Place { namespace, cloud, region, .. } = &self.parts;
        let all =
            std::iter::once((&account.name, &account.id)).chain(account.orgs.iter().map(|org| (&org.name, &org.id)));
        let found = all.into_iter().find(|(name, _)| *name == namespace);
        let Some((_, id)) = found else {
            let message = format!("the token is not one of namespace {namespace}, its user or its organizations");
            return Err(ProviderError::new(ErrorClass::Unauthorized, message));
        };
        let identity = format!("{id}.{cloud}.{region}");
        identity.clone_into(&mut self.identity.write().unwrap_or_else(PoisonError::into_inner));
        Ok(identity)
    }

    /// A namespace has no place for a claim: the endpoints of the installation say which hub made them. A namespace without
    /// one is free.
    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.identity().await?;
        let views = all(&self.endpoints, &self.paths).await?;
        let tags = views.iter().filter_map(HubView::tags).filter(|tags| tags.owner.install_id == self.parts.install_id);
        let mut hubs = tags.map(|tags| tags.hub).filter(|hub| hub != hub_uid && Some(hub.as_str()) != takeover);
        if let Some(other) = hubs.next() {
            return Ok(Claim::Other { hub_uid: other });
        }
        hub_uid.clone_into(&mut self.hub_uid.write().unwrap_or_else(PoisonError::into_inner));
        Ok(Claim::Ours)
    }

    fn watch(&self, listener: Listener) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if listing.is_none() {
            let Place { install_id, listing_pause, cloud, region, clock, .. } = &self.parts;
            let (client, paths) = (self.endpoints.clone(), self.paths.clone());
            let terms = HubTerms::new(cloud, region, TERMS_INTERVAL, *clock);
            let place = NamespaceEndpoints { client, paths, install_id: install_id.clone(), terms };
            let listed = Arc::clone(&self.listed);
            *listing = Some(PlaceListing::start("listing of Hugging Face", place, *listing_pause, listed, listener));
        }
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.listed.get()
    }

    fn reach(&self) -> Reach {
        self.parts.reach
    }
}

#[async_trait]
impl Workload for HuggingFace {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        Ok(match self.survey(wanted).await? {
            HubSurvey::Absent(_) => Observation::Absent,
            HubSurvey::Foreign(error) => Observation::Foreign { message: error.message },
            HubSurvey::Ours(view, form) => Observation::Present(Box::new(self.present(&view, &form, wanted))),
        })
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        let view = match self.survey(wanted).await? {
            HubSurvey::Foreign(error) => return Err(error),
            HubSurvey::Absent(form) => self.create(&form).await?,
            HubSurvey::Ours(view, form) => {
                self.correct(&view, &form).await?;
                *view
            }
        };
        Ok(self.id_of(&view))
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        let name = endpoint.name_any();
        let made = endpoint.external_id().and_then(|id| id.get(UID));
        let removal = match self.read(&name).await? {
            Some(view) if self.is_tagged(&view, &endpoint.namespace().unwrap_or_default()) => {
                self.delete(&name).await?
            }
            // The created object still exists, or cannot be excluded.
            Some(view) if made.is_none_or(|uid| uid == view.uid()) => return Err(self.foreign(&view)),
            Some(_) | None => Removal::Gone,
        };
        self.listed.removed(&name);
        Ok(removal)
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        let name = &found.name;
        let Some(view) = self.read(name).await? else { return Ok(Removal::Gone) };
        if !self.is_tagged(&view, &found.deployment.namespace) {
            return Err(self.foreign(&view));
        }
        let same =
            view.tags().is_some_and(|tags| tags.owner.deployment == found.deployment.name) && view.uid() == found.id;
        if !same {
            let message = format!(
                "endpoint {name} at Hugging Face has changed since it was listed; the operator does not delete it"
            );
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        self.delete(name).await
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        let Some(view) = self.read(endpoint).await? else { return Ok(None) };
        if view.tags().is_none_or(|tags| tags.owner.install_id != self.parts.install_id) {
            return Err(self.foreign(&view));
        }
        // With a new token the seal of the former one does not open: a new key is made.
        let sealed = view.variable(SEALED_KEY).unwrap_or_default();
        let Some(key) = self.seal.as_ref().and_then(|seal| seal.open(endpoint, sealed)) else { return Ok(None) };
        if names::is_api_key(key.expose()) && view.variable(KEY_DIGEST) == Some(digest(key.expose()).as_str()) {
            return Ok(Some(key));
        }
        let message = format!("endpoint {endpoint} has no valid API key; delete it at Hugging Face");
        Err(ProviderError::new(ErrorClass::Invalid, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_both_parts_of_the_service_at_one_address() {
        let shown = |stand_in: Option<&BaseUrl>| {
            let HubAddresses { endpoints, hub } = HubAddresses::of(stand_in).unwrap();
            (endpoints.to_string(), hub.to_string())
        };
        assert_eq!(shown(None), (ENDPOINTS.to_owned(), HUB.to_owned()));
        let stand_in = BaseUrl::parse("http://127.0.0.1:4566", Insecure::Allowed).unwrap();
        let both = ("http://127.0.0.1:4566/v2".to_owned(), "http://127.0.0.1:4566".to_owned());
        assert_eq!(shown(Some(&stand_in)), both);
    }
}
