//! The order of the calls that create, change and delete a deployment.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use http::StatusCode;
use roadstead_api::v1alpha1::{ExternalId, names};
use roadstead_azure::{ArmChange, ArmOperationError, marks};
use roadstead_provider::address::Reach;
use roadstead_provider::template_hash::short_digest;
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{
    BaseUrlError, EndpointOwnership, ManagedService, RestFailure, ServiceContext, StatedTerms, TermsByType,
    claim_by_endpoints, created_concurrently, invalid_key, wait_for,
};

use crate::calls::{AZURE_OPENAI, AccountCalls};
use crate::failure;
use crate::form::{CatalogForm, form};
use crate::observed;
use crate::ownership::{self, KEY};
use crate::place::{CognitiveAccess, CognitivePlace, capabilities};
use crate::state::{CatalogReading, CatalogStep};
use crate::terms::terms;
use crate::wire::{CatalogDeployment, CognitiveView};

/// Characters of the identity of an account: 128 bits of a digest.
const IDENTITY_CHARS: usize = 32;

/// Azure OpenAI in one account.
pub struct AzureOpenAi {
    place: CognitivePlace,
    context: ServiceContext,
    /// Its calls.
    pub(crate) calls: AccountCalls,
    /// The hub that has the claim.
    hub_uid: RwLock<String>,
    /// The account, as it was read last.
    account: Mutex<Option<CognitiveView>>,
    /// Operations of the latest changes, by deployment.
    changes: Mutex<BTreeMap<String, String>>,
    stated: StatedTerms,
}

impl AzureOpenAi {
    /// The service; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where an address is none.
    pub fn new(access: CognitiveAccess) -> Result<Self, ProviderError> {
        let invalid = |error: BaseUrlError| ProviderError::new(ErrorClass::Invalid, format!("address: {error}"));
        let calls = AccountCalls::new(&access).map_err(invalid)?;
        let stated = StatedTerms::new(AZURE_OPENAI.title, access.context.clock);
        let CognitiveAccess { place, context, .. } = access;
        let (hub_uid, account, changes) = (RwLock::default(), Mutex::default(), Mutex::default());
        Ok(Self { place, context, calls, hub_uid, account, changes, stated })
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the account, and keeps it.
    async fn read_account(&self) -> Result<CognitiveView, ProviderError> {
        let account = self.calls.account().await?;
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = Some(account.clone());
        Ok(account)
    }

    /// The account as it was read last.
    async fn account(&self) -> Result<CognitiveView, ProviderError> {
        let known = self.account.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(account) => Ok(account),
            None => self.read_account().await,
        }
    }

    /// Address of the account for clients.
    async fn url(&self) -> Result<String, ProviderError> {
        let subdomain = self.account().await?.properties.custom_sub_domain_name.ok_or_else(|| {
            let message = format!(
                "account {} has no subdomain of its own, without which it takes no token: set a custom domain name",
                self.place.account
            );
            ProviderError::new(ErrorClass::Invalid, message)
        });
        self.place.url(&subdomain?)
    }

    /// Quotas, read again if it is time, where the deployments of this installation are `ours`.
    pub(crate) async fn newest_terms<'a>(&self, ours: impl Iterator<Item = &'a CatalogDeployment>) -> TermsByType {
        let read = self.stated.newest(async |now| {
            let location = self.account().await?.location;
            let usages = self.calls.usages(&self.place.usages(&location)).await?;
            Ok(terms(&self.place, &self.calls.models().await?, &usages, ours, now))
        });
        read.await
    }

    /// Words of the refusal to read them.
    pub(crate) fn terms_refusal(&self) -> Option<String> {
        self.stated.refusal()
    }

    /// Failure of the latest change of a deployment, as far as its operation is known. At rest nothing is asked.
    async fn failure(
        &self,
        view: &CatalogDeployment,
        form: &CatalogForm,
    ) -> Result<Option<ArmOperationError>, ProviderError> {
        if self.reading(view, form, None).due() == CatalogStep::Nothing {
            return Ok(None);
        }
        let Some(path) = self.changes().get(&form.name).cloned() else { return Ok(None) };
        let error = self.calls.operation(&path).await?.and_then(|operation| operation.error);
        // Only a deployment that has failed says by itself that its operation has.
        Ok(error.filter(|error| view.properties.provisioning_state == "Failed" || !error.is_unreadable()))
    }

    fn reading<'a>(
        &self,
        view: &'a CatalogDeployment,
        form: &'a CatalogForm,
        failure: Option<&'a ArmOperationError>,
    ) -> CatalogReading<'a> {
        CatalogReading { view, form, failure, now: self.context.now() }
    }

    /// Keeps the address of a change's operation, which has the cause of its failure.
    fn began(&self, name: &str, change: ArmChange) {
        match change.operation {
            Some(path) => drop(self.changes().insert(name.to_owned(), path)),
            None => drop(self.changes().remove(name)),
        }
    }
}

#[async_trait]
impl ManagedService for AzureOpenAi {
    const NAME: &'static str = AZURE_OPENAI.name;
    const TITLE: &'static str = AZURE_OPENAI.title;
    type View = CatalogDeployment;
    type Form = CatalogForm;

    fn capabilities(&self) -> Capabilities {
        capabilities(&self.place)
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let CognitiveView { location, properties } = self.read_account().await?;
        self.place.check_location(&location)?;
        Ok(short_digest(&[&self.place.parent(), &properties.date_created], IDENTITY_CHARS))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let listing = self.calls.deployments().await?;
        let is_ours = |view: &&CatalogDeployment| marks::get(&view.tags, marks::INSTALL_ID) == self.install_id();
        let hubs = listing.items.iter().filter(is_ours).map(|view| ownership::hub(&view.tags));
        let claim = claim_by_endpoints(hubs, hub_uid, takeover);
        if claim == Claim::Ours {
            hub_uid.clone_into(&mut self.hub_uid.write().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(claim)
    }

    async fn token(&self) -> Result<Option<Redacted>, ProviderError> {
        self.calls.traffic.token().await.map(Some)
    }

    fn form(&self, wanted: &Wanted) -> Result<CatalogForm, ProviderError> {
        let hub = self.hub_uid.read().unwrap_or_else(PoisonError::into_inner).clone();
        form(&self.place, self.install_id(), &hub, wanted)
    }

    async fn find(&self, name: &str) -> Result<Option<CatalogDeployment>, ProviderError> {
        self.calls.deployment(name).await
    }

    fn ownership(view: &CatalogDeployment) -> EndpointOwnership {
        EndpointOwnership { name: view.name.clone(), uid: ownership::uid(view), owner: marks::owner(&view.tags) }
    }

    fn is_of(view: &CatalogDeployment, form: &CatalogForm) -> bool {
        form.mark.is_on(&view.tags)
    }

    async fn present(
        &self,
        wanted: &Wanted,
        view: &CatalogDeployment,
        form: &CatalogForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        let failure = self.failure(view, form).await?;
        let reading = self.reading(view, form, failure.as_ref());
        Ok(observed::present(wanted.endpoint.spec.model_name(), &self.url().await?, &reading, external_id))
    }

    async fn create(&self, form: &CatalogForm) -> Result<CatalogDeployment, ProviderError> {
        let name = &form.name;
        match self.calls.create(name, &form.deployment(std::iter::empty())?).await {
            // Something has the name by now: a former try has made it, or somebody else.
            Err(failure) if failure.status == Some(StatusCode::PRECONDITION_FAILED) => {}
            result => self.began(name, result?),
        }
        let view = wait_for(Self::TITLE, &format!("deployment {name}"), || self.calls.deployment(name)).await?;
        if form.mark.is_on(&view.tags) { Ok(view) } else { Err(created_concurrently(name)) }
    }

    async fn correct(&self, view: &CatalogDeployment, form: &CatalogForm) -> Result<(), ProviderError> {
        let failure = self.failure(view, form).await?;
        let changed: Result<ArmChange, RestFailure> = match self.reading(view, form, failure.as_ref()).due() {
            CatalogStep::Nothing => return Ok(()),
            CatalogStep::Put => self.calls.put(&form.name, &form.deployment(marks::foreign(&view.tags))?).await,
            CatalogStep::Patch => self.calls.patch(&form.name, &form.patch(view)?).await,
            CatalogStep::Wait => {
                let message = format!("deployment {} waits for its present change to end", form.name);
                return Err(ProviderError::new(ErrorClass::Transient, message));
            }
            CatalogStep::Failed(error) => {
                let message = format!(
                    "Azure OpenAI did not carry out the last change of deployment {}, and the operator retries it after half an hour: {}",
                    form.name, error.message
                );
                return Err(ProviderError::new(failure::late(&error).0, message));
            }
        };
        self.began(&form.name, changed?);
        Ok(())
    }

    async fn delete(&self, view: &CatalogDeployment) -> Result<Removal, ProviderError> {
        let name = &view.name;
        if view.properties.provisioning_state != "Deleting" {
            match self.calls.delete(name).await {
                Err(failure) if failure.status == Some(StatusCode::CONFLICT) => {
                    let message = format!("deployment {name} waits for another change in the account to end");
                    return Ok(Removal::InProgress { message });
                }
                result => result?,
            }
        }
        if self.calls.deployment(name).await?.is_some() {
            return Ok(Removal::InProgress { message: format!("Azure OpenAI is deleting deployment {name}") });
        }
        self.changes().remove(name);
        Ok(Removal::Gone)
    }

    async fn key(&self, view: &CatalogDeployment) -> Result<Option<Redacted>, ProviderError> {
        let key = marks::get(&view.tags, KEY);
        if names::is_api_key(key) {
            Ok(Some(Redacted::new(key.to_owned())))
        } else {
            Err(invalid_key(Self::TITLE, &view.name))
        }
    }
}
