//! The order of the calls that create, change and delete an endpoint.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{ExternalId, names};
use roadstead_provider::address::Reach;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{
    Authorize, Bearer, EndpointOwner, EndpointOwnership, ManagedService, RestClient, ServiceContext, ServiceRoute,
    Transport, claim_by_endpoints, created_concurrently, invalid_key,
};
use serde::Deserialize;
use serde_json::json;

use crate::form::{HubForm, SOURCE};
use crate::observed;
use crate::place::{HubAccess, HubPlace};
use crate::seal::KeySeal;
use crate::service::{HubPaths, NAME, PROFILE, all, is_done_already, whoami};
use crate::terms::HubTerms;
use crate::view::{HubView, KEY_DIGEST, SEALED_KEY, tags};

/// Hugging Face in one namespace and region.
pub struct HuggingFace {
    /// The control plane.
    pub(crate) endpoints: RestClient,
    hub: RestClient,
    /// Its calls.
    pub(crate) paths: HubPaths,
    /// Price and quota of the hardware.
    pub(crate) terms: HubTerms,
    place: HubPlace,
    reach: Reach,
    context: ServiceContext,
    seal: Option<KeySeal>,
    hub_uid: RwLock<String>,
}

#[derive(Deserialize)]
struct Account {
    name: String,
    id: String,
    #[serde(default)]
    orgs: Vec<Organization>,
}

#[derive(Deserialize)]
struct Organization {
    name: String,
    id: String,
}

impl HuggingFace {
    /// The service; nothing is asked before it is used.
    #[must_use]
    pub fn new(access: HubAccess) -> Self {
        let HubAccess { addresses, place, token, reach, context } = access;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach });
        let credentials: Arc<dyn Authorize> = Arc::new(Bearer::new(token.clone()));
        let client = |base| context.client(PROFILE, base, &transport, Arc::clone(&credentials));
        Self {
            endpoints: client(addresses.endpoints),
            hub: client(addresses.hub),
            paths: HubPaths::of(&place.namespace),
            terms: HubTerms::new(&place.cloud, &place.region, context.clock),
            seal: KeySeal::of(&token),
            hub_uid: RwLock::default(),
            place,
            reach,
            context,
        }
    }

    /// Pauses an endpoint without replicas, and wakes any other.
    async fn wake_or_pause(&self, form: &HubForm) -> Result<(), ProviderError> {
        let call = if form.replicas == 0 { self.paths.pause(&form.name) } else { self.paths.resume(&form.name) };
        match self.endpoints.call(call).await {
            // A former call did it, whose answer was lost.
            Err(failure) if !is_done_already(&failure) => Err(failure.into()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ManagedService for HuggingFace {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = PROFILE.title;
    type View = HubView;
    type Form = HubForm;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engines: Some([String::from("vllm")].into()),
            sources: Some([SOURCE.to_owned()].into()),
            whole_instances: true,
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
        let account: Account = self.hub.call(whoami()).await?.json()?;
        let HubPlace { namespace, cloud, region } = &self.place;
        let all =
            std::iter::once((&account.name, &account.id)).chain(account.orgs.iter().map(|org| (&org.name, &org.id)));
        let found = all.into_iter().find(|(name, _)| *name == namespace);
        let Some((_, id)) = found else {
            let message = format!("the token is not one of namespace {namespace}, its user or its organizations");
            return Err(ProviderError::new(ErrorClass::Unauthorized, message));
        };
        Ok(format!("{id}.{cloud}.{region}"))
    }

    /// A namespace has no place for a claim: the endpoints of the installation say which hub they belong to. A namespace without one is
    /// free.
    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let views = all(&self.endpoints, &self.paths).await?;
        let is_ours = |view: &&HubView| view.owner().is_some_and(|owner| owner.install_id == self.install_id());
        let ours: Vec<&HubView> = views.iter().filter(is_ours).collect();
        let claim = claim_by_endpoints(ours.iter().map(|view| view.hub()), hub_uid, takeover);
        if claim == Claim::Ours {
            // Without the new tag, they would claim the namespace for the hub that gives way once `takeover` is not set any more.
            for view in ours.iter().filter(|view| view.hub() != hub_uid && Some(view.hub()) == takeover) {
                let body = json!({"tags": tags(hub_uid)});
                self.endpoints.call(self.paths.update(&view.name, &body)?).await?;
            }
            hub_uid.clone_into(&mut self.hub_uid.write().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(claim)
    }

    fn form(&self, wanted: &Wanted) -> Result<HubForm, ProviderError> {
        let hub = self.hub_uid.read().unwrap_or_else(PoisonError::into_inner).clone();
        let owner = EndpointTags::of(self.install_id(), &wanted.endpoint);
        let sealed = self.seal.as_ref().and_then(|seal| seal.seal(&wanted.endpoint.name_any(), &wanted.api_key));
        HubForm::of(wanted, &hub, owner, sealed)
    }

    async fn find(&self, name: &str) -> Result<Option<HubView>, ProviderError> {
        match self.endpoints.call(self.paths.get(name)).await {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    fn ownership(view: &HubView) -> EndpointOwnership {
        let owner = view.owner().map(|EndpointTags { install_id, namespace, deployment, .. }| EndpointOwner {
            install_id,
            namespace,
            deployment,
        });
        EndpointOwnership { name: view.name.clone(), uid: view.uid(), owner }
    }

    fn is_of(view: &HubView, form: &HubForm) -> bool {
        view.owner().is_some_and(|known| known.is_same_endpoint(&form.owner))
    }

    async fn present(
        &self,
        wanted: &Wanted,
        view: &HubView,
        form: &HubForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        Ok(observed::present(view, form, wanted, external_id))
    }

    async fn create(&self, form: &HubForm) -> Result<HubView, ProviderError> {
        let HubPlace { cloud, region, .. } = &self.place;
        let call = self.paths.create(&form.creation(cloud, region)?)?;
        let view: HubView = match self.endpoints.call(call).await {
            Ok(answer) => answer.json()?,
            Err(failure) if failure.error.class == ErrorClass::Conflict => {
                return Err(created_concurrently(&form.name));
            }
            Err(failure) => return Err(failure.into()),
        };
        if form.replicas == 0 {
            self.wake_or_pause(form).await?;
        }
        Ok(view)
    }

    async fn correct(&self, view: &HubView, form: &HubForm) -> Result<(), ProviderError> {
        if !form.is_of(view) {
            self.endpoints.call(self.paths.update(&form.name, &form.update()?)?).await?;
        }
        if !form.is_awake_as(view) {
            self.wake_or_pause(form).await?;
        }
        Ok(())
    }

    async fn delete(&self, view: &HubView) -> Result<Removal, ProviderError> {
        let name = &view.name;
        match self.endpoints.call(self.paths.delete(name)).await {
            Ok(_) => {}
            Err(failure) if failure.error.class == ErrorClass::NotFound => {}
            Err(failure) => return Err(failure.into()),
        }
        Ok(match self.find(name).await? {
            None => Removal::Gone,
            Some(_) => Removal::InProgress { message: format!("endpoint {name} is being deleted") },
        })
    }

    async fn key(&self, view: &HubView) -> Result<Option<Redacted>, ProviderError> {
        // With a new token the seal of the former one does not open: a new key is made.
        let sealed = view.variable(SEALED_KEY).unwrap_or_default();
        let Some(key) = self.seal.as_ref().and_then(|seal| seal.open(&view.name, sealed)) else { return Ok(None) };
        if names::is_api_key(key.expose()) && view.variable(KEY_DIGEST) == Some(digest(key.expose()).as_str()) {
            return Ok(Some(key));
        }
        Err(invalid_key(Self::TITLE, &view.name))
    }
}
