//! The driver of one place: the order of the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use roadstead_api::v1alpha1::{ExternalId, TargetType};
use roadstead_provider::address::Reach;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{
    Bearer, EndpointOwner, EndpointOwnership, ManagedService, ServiceContext, ServiceRoute, StatedTerms, Transport,
    created_concurrently,
};

use crate::calls::{DedicatedCalls, PROFILE, TITLE};
use crate::catalogue::check;
use crate::form::{DedicatedForm, SOURCE};
use crate::marks::{DedicatedMarks, endpoint};
use crate::observed;
use crate::operations::SERVICE;
use crate::place::{DedicatedAccess, DedicatedAddresses, DedicatedPlace};
use crate::tokens;
use crate::wire::{DedicatedState, DedicatedView, id};

/// Dedicated Inference of one team in one region.
pub struct DedicatedInference {
    /// The calls.
    pub(crate) calls: DedicatedCalls,
    /// Prices.
    pub(crate) terms: StatedTerms,
    /// The place.
    pub(crate) place: DedicatedPlace,
    addresses: DedicatedAddresses,
    reach: Reach,
    context: ServiceContext,
    hub: RwLock<String>,
    /// Ids of instances by the names of their endpoints, as far as they were seen or are on record: a name alone is looked up in a list of
    /// everything, and an instance that was renamed is found by its id alone.
    ids: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl DedicatedInference {
    /// The service; nothing is asked before it is used.
    #[must_use]
    pub fn new(access: DedicatedAccess) -> Self {
        let DedicatedAccess { addresses, place, token, reach, context } = access;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach });
        let client = context.client(PROFILE, addresses.interface.clone(), &transport, Arc::new(Bearer::new(token)));
        let (calls, terms) = (DedicatedCalls::new(client), StatedTerms::new(TITLE, context.clock));
        let (hub, ids) = (RwLock::default(), Mutex::default());
        Self { calls, terms, place, addresses, reach, context, hub, ids }
    }

    fn known(&self, name: &str) -> BTreeSet<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    fn note(&self, name: &str, instance: &str) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.entry(name.to_owned()).or_default().insert(instance.to_owned());
    }

    fn forget(&self, name: &str, instance: &str) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ids.get_mut(name) {
            known.remove(instance);
            if known.is_empty() {
                ids.remove(name);
            }
        }
    }

    /// True for an instance with the marks of this installation.
    fn is_ours(&self, view: &DedicatedView) -> bool {
        DedicatedMarks::read(&view.spec.name).is_some_and(|marks| marks.owner.install_id == self.install_id())
    }

    /// The instances of an endpoint whose ids are known.
    async fn by_ids(&self, name: &str) -> Result<Vec<DedicatedView>, ProviderError> {
        let mut found = Vec::new();
        for instance in self.known(name) {
            match self.calls.get(&instance).await? {
                Some(view) if endpoint(&view.spec.name) == name => found.push(view),
                Some(view) => return Err(renamed(name, &view)),
                None => self.forget(name, &instance),
            }
        }
        Ok(found)
    }
}

/// The error of an instance that has another name than that of its endpoint: it is not gone, and still billed.
fn renamed(name: &str, view: &DedicatedView) -> ProviderError {
    let message = format!(
        "instance {} of endpoint {name} is called {:?} at {TITLE} now, and is billed; the operator makes no other one and does not delete \
         it: delete it there, or give it a name that begins with {name}__ and has its former marks",
        view.id, view.spec.name
    );
    ProviderError::new(ErrorClass::Conflict, message)
}

#[async_trait]
impl ManagedService for DedicatedInference {
    const NAME: &'static str = SERVICE;
    const TITLE: &'static str = TITLE;
    const ISSUES_KEYS: bool = true;
    type View = DedicatedView;
    type Form = DedicatedForm;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engines: Some([String::from("vllm")].into()),
            sources: Some([SOURCE.to_owned()].into()),
            scale_to_zero: false,
            // An update that fails leaves nothing that serves, so another form is a replacement.
            update_in_place: false,
            whole_instances: true,
            own_server: Some(TargetType::DigitalOcean.name()),
            ..Capabilities::default()
        }
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let account = self.calls.account().await?;
        let team = account.team.map_or(account.uuid, |team| team.uuid);
        Ok(format!("{}.{}", id(&team)?, self.place.region))
    }

    /// A team has no place for a claim: the instances of the installation say which hub made them. A region without one is free.
    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.identity().await?;
        let views = self.calls.list(Some(&self.place.region)).await?;
        let marked =
            views.iter().filter_map(|view| Some((&view.created_at, DedicatedMarks::read(&view.newest().name)?)));
        let ours = marked.filter(|(_, marks)| marks.owner.install_id == self.install_id());
        // The newest instance speaks for all: one hub after the other makes them, and a hub that takes over renames those of the former one.
        let newest = ours.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, marks)| marks.hub);
        if let Some(other) = newest.filter(|hub| hub != hub_uid && Some(hub.as_str()) != takeover) {
            return Ok(Claim::Other { hub_uid: other });
        }
        hub_uid.clone_into(&mut self.hub.write().unwrap_or_else(PoisonError::into_inner));
        Ok(Claim::Ours)
    }

    fn form(&self, wanted: &Wanted) -> Result<DedicatedForm, ProviderError> {
        let hub = self.hub.read().unwrap_or_else(PoisonError::into_inner).clone();
        DedicatedForm::of(wanted, self.install_id(), &hub, &self.place)
    }

    fn recall(&self, name: &str, uid: &str) {
        // What cannot be an id was never one of an instance.
        if id(uid).is_ok() {
            self.note(name, uid);
        }
    }

    /// The instance of this installation, if there is one; else one of another hand.
    async fn find(&self, name: &str) -> Result<Option<DedicatedView>, ProviderError> {
        let mut found = self.by_ids(name).await?;
        if !found.iter().any(|view| self.is_ours(view)) {
            for view in self.calls.list(None).await? {
                // A list may still show one that is gone.
                let is_it = endpoint(&view.spec.name) == name;
                if is_it && (view.state() != DedicatedState::Deleting || self.calls.get(&view.id).await?.is_some()) {
                    found.push(view);
                }
            }
        }
        let ours = found.iter().position(|view| self.is_ours(view));
        if let Some(ours) = ours {
            self.note(name, &found[ours].id);
        }
        Ok(found.into_iter().nth(ours.unwrap_or(0)))
    }

    fn ownership(view: &DedicatedView) -> EndpointOwnership {
        let name = &view.spec.name;
        let owner = DedicatedMarks::read(name).map(|DedicatedMarks { owner, .. }| {
            let EndpointTags { install_id, namespace, deployment, .. } = owner;
            EndpointOwner { install_id, namespace, deployment }
        });
        EndpointOwnership { name: endpoint(name).to_owned(), uid: view.id.clone(), owner }
    }

    fn is_of(view: &DedicatedView, form: &DedicatedForm) -> bool {
        DedicatedMarks::read(&view.spec.name).is_some_and(|marks| marks.owner.is_same_endpoint(&form.marks.owner))
    }

    async fn present(
        &self,
        wanted: &Wanted,
        view: &DedicatedView,
        form: &DedicatedForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        Ok(observed::present(view, form, wanted, external_id, &self.addresses))
    }

    async fn create(&self, form: &DedicatedForm) -> Result<DedicatedView, ProviderError> {
        check(&self.calls.models().await?, form)?;
        let view = self.calls.create(&form.creation()).await.map_err(|error| match error.class {
            // The name was free when the list was read: the next observation says who has it.
            ErrorClass::Conflict => created_concurrently(&form.endpoint),
            _ => error,
        })?;
        self.note(&form.endpoint, &view.id);
        Ok(view)
    }

    async fn correct(&self, view: &DedicatedView, form: &DedicatedForm) -> Result<(), ProviderError> {
        match view.state() {
            _ if form.is_done(view) => Ok(()),
            DedicatedState::Active => {
                if !form.is_of(&view.spec) {
                    check(&self.calls.models().await?, form)?;
                }
                self.calls.update(&view.id, &form.update(&view.spec)).await
            }
            // The core leaves what has failed.
            DedicatedState::Failed => Ok(()),
            _ => {
                let message =
                    format!("{TITLE} takes no change of endpoint {} while it is {}", form.endpoint, view.status);
                Err(ProviderError::new(ErrorClass::Transient, message))
            }
        }
    }

    /// Deletes an instance; its tokens go with it.
    async fn delete(&self, view: &DedicatedView) -> Result<Removal, ProviderError> {
        if view.state() != DedicatedState::Deleting {
            self.calls.delete(&view.id).await?;
        }
        Ok(match self.calls.get(&view.id).await? {
            None => Removal::Gone,
            Some(_) => Removal::InProgress { message: format!("instance {} is being deleted", view.id) },
        })
    }

    async fn key(&self, view: &DedicatedView) -> Result<Option<Redacted>, ProviderError> {
        tokens::issue(&self.calls, &view.id).await.map(Some)
    }
}
