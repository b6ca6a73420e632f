//! Calls to Azure Resource Manager, each with its input and output.

use std::sync::Arc;

use http::Method;
use roadstead_azure::{
    ARM, ARM_CALLS, ARM_WRITES, ArmChange, ArmClient, ArmOperation, ArmParts, EntraCredentials, EntraParts,
    MANAGEMENT_SCOPE, authority, management,
};
use roadstead_provider::ProviderError;
use roadstead_rest::{BaseUrlError, FullListing, Pace, PageLimits, RestFailure, ServiceProfile};

use crate::operations as op;
use crate::place::{CognitiveAccess, TRAFFIC_SCOPE};
use crate::wire::{AccountModel, CatalogDeployment, CognitiveView, DeploymentPatch, NewCatalogDeployment, QuotaUsage};

/// Right to read operations.
const READ_OPERATIONS: &str = "Microsoft.CognitiveServices/locations/operationStatuses/read";
/// Version of the API.
const VERSION: &str = "2025-09-01";
/// Bounds of a listing: twice as many deployments as the largest tested fleet, in pages of 50.
const LIMITS: PageLimits = PageLimits { pages: 400, items: 20_000 };

/// The service.
pub const AZURE_OPENAI: ServiceProfile = ServiceProfile {
    name: "azureopenai",
    title: "Azure OpenAI",
    rights: &op::ACTIONS,
    paces: &[ARM_CALLS, Pace { operations: &op::WRITES, rate: ARM_WRITES }],
    ..ARM
};

/// The services of one account.
pub struct AccountCalls {
    arm: ArmClient,
    parent: String,
    /// Credentials for requests to deployments.
    pub traffic: EntraCredentials,
}

impl AccountCalls {
    /// A client with the credentials of a place.
    ///
    /// # Errors
    /// [`BaseUrlError`] where an address is none.
    pub fn new(access: &CognitiveAccess) -> Result<Self, BaseUrlError> {
        let CognitiveAccess { place, identity, context } = access;
        let credentials = |scope| -> Result<EntraCredentials, BaseUrlError> {
            Ok(EntraCredentials::new(EntraParts {
                identity: identity.clone(),
                authority: authority(place.endpoint.as_ref())?,
                scope,
                reach: place.reach(),
                meter: Arc::clone(&context.meter),
                clock: context.clock,
            }))
        };
        let arm = ArmClient::new(ArmParts {
            profile: AZURE_OPENAI,
            base: management(place.endpoint.as_ref())?,
            version: VERSION,
            credentials: Arc::new(credentials(MANAGEMENT_SCOPE)?),
            reach: place.reach(),
            context,
        });
        Ok(Self { arm, parent: place.parent(), traffic: credentials(TRAFFIC_SCOPE)? })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/deployments/{name}", self.parent)
    }

    /// The account itself.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn account(&self) -> Result<CognitiveView, ProviderError> {
        self.arm.get(op::GET_ACCOUNT, &self.parent).await
    }

    /// Models that the account can deploy.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn models(&self) -> Result<Vec<AccountModel>, ProviderError> {
        let path = format!("{}/models", self.parent);
        Ok(self.arm.list(op::LIST_ACCOUNT_MODELS, &path, LIMITS).await?.items)
    }

    /// Quotas at this path.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn usages(&self, path: &str) -> Result<Vec<QuotaUsage>, ProviderError> {
        Ok(self.arm.list(op::LIST_USAGES, path, LIMITS).await?.items)
    }

    /// The deployments of the account, whoever made them.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn deployments(&self) -> Result<FullListing<CatalogDeployment>, ProviderError> {
        let path = format!("{}/deployments", self.parent);
        self.arm.list(op::LIST_DEPLOYMENTS, &path, LIMITS).await
    }

    /// The deployment of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn deployment(&self, name: &str) -> Result<Option<CatalogDeployment>, ProviderError> {
        self.arm.find(op::GET_DEPLOYMENT, &self.path(name)).await
    }

    /// Begins to create a deployment, unless something has its name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create(&self, name: &str, body: &NewCatalogDeployment) -> Result<ArmChange, RestFailure> {
        self.arm.create(op::PUT_DEPLOYMENT, &self.path(name), body).await
    }

    /// Begins to replace a deployment.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn put(&self, name: &str, body: &NewCatalogDeployment) -> Result<ArmChange, RestFailure> {
        self.arm.change(op::PUT_DEPLOYMENT, Method::PUT, &self.path(name), body).await
    }

    /// Begins to change units and tags of a deployment.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn patch(&self, name: &str, body: &DeploymentPatch) -> Result<ArmChange, RestFailure> {
        self.arm.change(op::PATCH_DEPLOYMENT, Method::PATCH, &self.path(name), body).await
    }

    /// Begins to delete a deployment.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete(&self, name: &str) -> Result<(), RestFailure> {
        self.arm.delete(op::DELETE_DEPLOYMENT, &self.path(name)).await.map(drop)
    }

    /// The operation at this path.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn operation(&self, path: &str) -> Result<Option<ArmOperation>, ProviderError> {
        self.arm.operation(op::GET_OPERATION, path, READ_OPERATIONS).await
    }
}
