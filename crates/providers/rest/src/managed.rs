//! A managed service as its driver describes it: what is asked of it, without the order and without the rules of ownership.

use async_trait::async_trait;
use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{Probe, ProbeAnswer};
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};

use crate::listing::Listable;

/// Name, identity and owner of an endpoint, as the service shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOwnership {
    /// Name.
    pub name: String,
    /// Identity that one of the same name that is made later does not have, such as the time of its creation.
    pub uid: String,
    /// Owner; `None` where it carries no mark of Roadstead.
    pub owner: Option<EndpointOwner>,
}

/// Owner of an endpoint by its marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOwner {
    /// Installation.
    pub install_id: String,
    /// Namespace of the deployment.
    pub namespace: String,
    /// Name of the deployment.
    pub deployment: String,
}

/// One account, project or namespace of a service.
///
/// [`ServiceDriver`](crate::ServiceDriver) asks it in the order that is safe for every service: it reads before it changes, and
/// changes or deletes only what the marks show to be ours.
#[async_trait]
pub trait ManagedService: Listable {
    /// Name in metrics, such as `sagemaker`.
    const NAME: &'static str;
    /// Name in messages, such as `SageMaker`.
    const TITLE: &'static str;
    /// The service itself issues the keys of its endpoints: [`key`](Self::key) issues one, and a former one stays valid.
    const ISSUES_KEYS: bool = false;
    /// An existing endpoint with its marks.
    type View: Send + Sync;
    /// A wanted endpoint.
    type Form: Send + Sync;

    /// Abilities of the service.
    fn capabilities(&self) -> Capabilities;

    /// Id of this installation.
    fn install_id(&self) -> &str;

    /// Addresses to which its endpoints may lead.
    fn reach(&self) -> Reach;

    /// Identity of the place, as the service tells it for the credentials.
    ///
    /// # Errors
    /// The failure of a call.
    async fn identity(&self) -> Result<String, ProviderError>;

    /// Claims the place, whose identity is `site`, for the hub `hub_uid`, taking it over from `takeover` if that hub holds it.
    ///
    /// # Errors
    /// The failure of a call.
    async fn claim(&self, site: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError>;

    /// Token for a probe; `None` where endpoints take the key of the probe itself.
    ///
    /// # Errors
    /// If there is none now.
    async fn token(&self) -> Result<Option<Redacted>, ProviderError> {
        Ok(None)
    }

    /// Asks an endpoint in another way than by a request to it; `None` where a request is right.
    async fn ask(&self, asked: &Probe) -> Option<ProbeAnswer> {
        let _ = asked;
        None
    }

    /// The wanted endpoint in the service's terms.
    ///
    /// # Errors
    /// `Invalid` or `Refused` where the service cannot run it so, with what must be changed.
    fn form(&self, wanted: &Wanted) -> Result<Self::Form, ProviderError>;

    /// Takes note of the identity that is on record for an endpoint, before the endpoint is looked up: for a service at which endpoints can
    /// be renamed, so that one that has another name now does not count as gone.
    fn recall(&self, name: &str, uid: &str) {
        let _ = (name, uid);
    }

    /// The endpoint of this name, whoever made it.
    ///
    /// # Errors
    /// The failure of a call.
    async fn find(&self, name: &str) -> Result<Option<Self::View>, ProviderError>;

    /// Name, identity and owner of an endpoint.
    fn ownership(view: &Self::View) -> EndpointOwnership;

    /// True if an endpoint is marked as the wanted one, whatever its offer and form.
    fn is_of(view: &Self::View, form: &Self::Form) -> bool;

    /// The endpoint as the core sees it.
    ///
    /// # Errors
    /// The failure of a call.
    async fn present(
        &self,
        wanted: &Wanted,
        view: &Self::View,
        form: &Self::Form,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError>;

    /// Creates an endpoint whose name was free a moment ago: parts that cost nothing first.
    ///
    /// # Errors
    /// The failure of a call; [`created_concurrently`] where the name is taken now.
    async fn create(&self, form: &Self::Form) -> Result<Self::View, ProviderError>;

    /// Takes the step that makes an endpoint of ours what it should be, if one is due.
    ///
    /// # Errors
    /// The failure of a call; `Transient` where the service takes no change now.
    async fn correct(&self, view: &Self::View, form: &Self::Form) -> Result<(), ProviderError>;

    /// Takes one step of deleting exactly this endpoint with everything that belongs to it.
    ///
    /// # Errors
    /// The failure of a call.
    async fn delete(&self, view: &Self::View) -> Result<Removal, ProviderError>;

    /// Takes one step of deleting what belongs to an endpoint that is gone, of a deployment in `namespace`.
    ///
    /// # Errors
    /// The failure of a call.
    async fn delete_parts(&self, name: &str, namespace: &str) -> Result<Removal, ProviderError> {
        let _ = (name, namespace);
        Ok(Removal::Gone)
    }

    /// The API key that is left with an endpoint of this installation, `None` if there is none; or a new one that the service issues.
    ///
    /// # Errors
    /// [`invalid_key`] where it is not one of Roadstead's, else the failure of a call.
    async fn key(&self, view: &Self::View) -> Result<Option<Redacted>, ProviderError>;
}

/// The error of a creation whose name was taken since it was free; the next observation shows by whom.
#[must_use]
pub fn created_concurrently(name: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Transient, format!("endpoint {name} was created concurrently"))
}

/// The error of an endpoint at the service `title` whose key is none.
#[must_use]
pub fn invalid_key(title: &str, name: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Invalid, format!("endpoint {name} has no valid API key; delete it at {title}"))
}
