//! The driver of every managed service: the order of questions and changes, and the rules of ownership.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint, names};
use roadstead_model as model;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{self, Credential, Probe, ProbeAnswer};
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, NewestInventory, Observation, ProviderError, Redacted,
    Removal, Site, Wanted, Workload,
};

use crate::listing::PlaceListing;
use crate::managed::{EndpointOwner, EndpointOwnership, ManagedService};

/// Interval between two listings, which have their own calls, bounded by the limits of most services.
const LISTING_INTERVAL: Duration = Duration::from_secs(20);

/// Interval between two checks of identity and claim: that of an endpoint's probes.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The entries of an identity, beside the place's. They are called as those of a cluster.
const NAME: &str = "namespace";
const UID: &str = "uid";

/// The driver of one account, project or namespace of a service.
pub struct ServiceDriver<S: ManagedService> {
    service: Arc<S>,
    site: RwLock<String>,
    known: Arc<NewestInventory>,
    interval: Duration,
    listing: Mutex<Option<PlaceListing>>,
}

/// The existing endpoint beside the wanted one.
enum ServiceSurvey<V> {
    Absent,
    Foreign(ProviderError),
    Ours(V),
}

impl<S: ManagedService> ServiceDriver<S> {
    /// A driver; nothing is asked before it is used.
    #[must_use]
    pub fn new(service: S) -> Self {
        let (service, known, listing) = (Arc::new(service), Arc::default(), Mutex::default());
        Self { service, site: RwLock::default(), known, interval: LISTING_INTERVAL, listing }
    }

    /// The same with another interval between two listings.
    #[must_use]
    pub fn listing_every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    fn site(&self) -> String {
        self.site.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn external_id(&self, view: &S::View) -> ExternalId {
        let EndpointOwnership { name, uid, .. } = S::ownership(view);
        ExternalId::new(&self.site(), [(NAME, name.as_str()), (UID, uid.as_str())])
    }

    /// The endpoint of this name, of any installation. An answer that names another one is not believed.
    async fn find(&self, name: &str) -> Result<Option<(S::View, EndpointOwnership)>, ProviderError> {
        let Some(view) = self.service.find(name).await? else { return Ok(None) };
        let ownership = S::ownership(&view);
        if ownership.name == name && names::is_uid(&ownership.uid) {
            return Ok(Some((view, ownership)));
        }
        let message = format!("{} answers for endpoint {name} with another name or without a creation time", S::TITLE);
        Err(ProviderError::new(ErrorClass::Transient, message))
    }

    /// The endpoint of this object's name, of any installation, and the identity that is on record for it.
    async fn find_recorded<'a>(
        &self,
        endpoint: &'a InferenceEndpoint,
    ) -> Result<(Option<(S::View, EndpointOwnership)>, Option<&'a str>), ProviderError> {
        let (name, made) = (endpoint.name_any(), endpoint.external_id().and_then(|id| id.get(UID)));
        if let Some(uid) = made {
            self.service.recall(&name, uid);
        }
        Ok((self.find(&name).await?, made))
    }

    /// Compares the existing endpoint with the wanted one.
    async fn survey(&self, form: &S::Form, wanted: &Wanted) -> Result<ServiceSurvey<S::View>, ProviderError> {
        let (found, _) = self.find_recorded(&wanted.endpoint).await?;
        Ok(match found {
            None => ServiceSurvey::Absent,
            Some((view, _)) if S::is_of(&view, form) => ServiceSurvey::Ours(view),
            Some((_, ownership)) => ServiceSurvey::Foreign(self.foreign(&ownership)),
        })
    }

    /// The error for something that has an endpoint's name and is not marked as that endpoint.
    fn foreign(&self, ownership: &EndpointOwnership) -> ProviderError {
        let whose = match &ownership.owner {
            Some(EndpointOwner { install_id, namespace, deployment }) => {
                format!("belongs to {namespace}/{deployment} of installation {install_id:?}")
            }
            None => "was not created by Roadstead".to_owned(),
        };
        let message = format!(
            "endpoint {} at {} {whose}; this operator is {:?}. The operator does not change it: delete it there, or recreate it \
             under another name",
            ownership.name,
            S::TITLE,
            self.service.install_id()
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }

    /// True if this installation made an endpoint for a deployment in `namespace`.
    fn is_ours(&self, ownership: &EndpointOwnership, namespace: &str) -> bool {
        let owner = ownership.owner.as_ref();
        owner.is_some_and(|owner| owner.install_id == self.service.install_id() && owner.namespace == namespace)
    }

    /// Records a removal that is complete.
    fn removed(&self, name: &str, removal: Removal) -> Removal {
        if removal == Removal::Gone {
            self.known.removed(name);
        }
        removal
    }
}

#[async_trait]
impl<S: ManagedService> Site for ServiceDriver<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn capabilities(&self) -> Capabilities {
        self.service.capabilities()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let identity = self.service.identity().await?;
        identity.clone_into(&mut self.site.write().unwrap_or_else(PoisonError::into_inner));
        Ok(identity)
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.service.claim(&self.site(), hub_uid, takeover).await
    }

    fn watch(&self, listener: Listener) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if listing.is_none() {
            let (service, known) = (Arc::clone(&self.service), Arc::clone(&self.known));
            *listing = Some(PlaceListing::start(S::TITLE, service, self.interval, known, listener));
        }
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.known.get()
    }

    fn refusal(&self) -> Option<String> {
        self.known.refusal()
    }

    fn check_interval(&self) -> Duration {
        CHECK_INTERVAL
    }

    fn reach(&self) -> Reach {
        self.service.reach()
    }

    async fn ask(&self, asked: &Probe) -> ProbeAnswer {
        if let Some(answer) = self.service.ask(asked).await {
            return answer;
        }
        match self.service.token().await {
            Ok(None) => probe::ask(asked, self.reach()).await,
            Ok(Some(token)) => {
                let asked = Probe { credential: Credential::bearer(token), ..asked.clone() };
                probe::ask(&asked, self.reach()).await
            }
            // Says nothing about the endpoint.
            Err(error) => ProbeAnswer::NotPermitted { message: error.message },
        }
    }
}

#[async_trait]
impl<S: ManagedService> Workload for ServiceDriver<S> {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        let form = self.service.form(wanted)?;
        Ok(match self.survey(&form, wanted).await? {
            ServiceSurvey::Absent => Observation::Absent,
            ServiceSurvey::Foreign(error) => Observation::Foreign { message: error.message },
            ServiceSurvey::Ours(view) => {
                let present = self.service.present(wanted, &view, &form, self.external_id(&view)).await?;
                Observation::Present(Box::new(present))
            }
        })
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        let form = self.service.form(wanted)?;
        let view = match self.survey(&form, wanted).await? {
            ServiceSurvey::Foreign(error) => return Err(error),
            ServiceSurvey::Absent => self.service.create(&form).await?,
            ServiceSurvey::Ours(view) => {
                self.service.correct(&view, &form).await?;
                view
            }
        };
        Ok(self.external_id(&view))
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        let (name, namespace) = (endpoint.name_any(), endpoint.namespace().unwrap_or_default());
        let (there, made) = self.find_recorded(endpoint).await?;
        let removal = match there {
            Some((view, ownership)) if self.is_ours(&ownership, &namespace) => self.service.delete(&view).await?,
            // The created endpoint still exists, or cannot be excluded.
            Some((_, ownership)) if made.is_none_or(|uid| uid == ownership.uid) => {
                return Err(self.foreign(&ownership));
            }
            Some(_) | None => self.service.delete_parts(&name, &namespace).await?,
        };
        Ok(self.removed(&name, removal))
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        let (name, namespace) = (&found.name, &found.deployment.namespace);
        self.service.recall(name, &found.id);
        let Some((view, ownership)) = self.find(name).await? else {
            return Ok(self.removed(name, self.service.delete_parts(name, namespace).await?));
        };
        if !self.is_ours(&ownership, namespace) {
            return Err(self.foreign(&ownership));
        }
        let deployment = ownership.owner.as_ref().map(|owner| &owner.deployment);
        if deployment != Some(&found.deployment.name) || ownership.uid != found.id {
            let message = format!(
                "endpoint {name} at {} has changed since it was listed; the operator does not delete it",
                S::TITLE
            );
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        Ok(self.removed(name, self.service.delete(&view).await?))
    }

    fn issues_keys(&self) -> bool {
        S::ISSUES_KEYS
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        let Some((view, ownership)) = self.find(endpoint).await? else { return Ok(None) };
        let owner = ownership.owner.as_ref().map(|owner| owner.install_id.as_str());
        if owner != Some(self.service.install_id()) {
            return Err(self.foreign(&ownership));
        }
        self.service.key(&view).await
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
