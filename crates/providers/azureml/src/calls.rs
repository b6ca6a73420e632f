//! Calls to Azure Resource Manager, each with its input and output.

use std::sync::Arc;

use http::Method;
use roadstead_azure::{
    ARM, ARM_CALLS, ARM_WRITES, ArmChange, ArmClient, ArmOperation, ArmParts, ArmTags, EntraCredentials, EntraParts,
    MANAGEMENT_SCOPE, authority, management,
};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{BaseUrlError, FullListing, Pace, PageLimits, RestFailure, ServiceProfile, encoded};
use serde_json::json;

use crate::form::sku;
use crate::operations as op;
use crate::place::{AzureMlPlace, WorkspaceAccess};
use crate::wire::{
    EndpointKeyPair, EnvironmentBody, NewOnline, NewOnlineDeployment, OnlineDeploymentView, OnlineView,
    TaggedProperties, VersionProperties, WorkspaceView,
};

/// Right to read operations.
const READ_OPERATIONS: &str = "Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read";
/// Version of the API.
const VERSION: &str = "2025-12-01";
/// Bounds of a listing: twice as many endpoints as the largest tested fleet, in pages of 30.
const LIMITS: PageLimits = PageLimits { pages: 700, items: 20_000 };
/// Bounds of the deployments of one endpoint.
const DEPLOYMENT_LIMITS: PageLimits = PageLimits { pages: 10, items: 100 };

/// The service.
pub const AZURE_ML: ServiceProfile = ServiceProfile {
    name: "azureml",
    title: "Azure ML",
    rights: &op::ACTIONS,
    paces: &[ARM_CALLS, Pace { operations: &op::WRITES, rate: ARM_WRITES }],
    ..ARM
};

/// The services of one workspace.
pub struct AzureMlCalls {
    arm: ArmClient,
    parent: String,
}

impl AzureMlCalls {
    /// A client with the credentials of a place.
    ///
    /// # Errors
    /// [`BaseUrlError`] where an address is none.
    pub fn new(access: &WorkspaceAccess) -> Result<Self, BaseUrlError> {
        let AzureMlPlace { endpoint, .. } = &access.place;
        let credentials = Arc::new(EntraCredentials::new(EntraParts {
            identity: access.identity.clone(),
            authority: authority(endpoint.as_ref())?,
            scope: MANAGEMENT_SCOPE,
            reach: access.place.reach(),
            meter: Arc::clone(&access.context.meter),
            clock: access.context.clock,
        }));
        let arm = ArmClient::new(ArmParts {
            profile: AZURE_ML,
            base: management(endpoint.as_ref())?,
            version: VERSION,
            credentials,
            reach: access.place.reach(),
            context: &access.context,
        });
        Ok(Self { arm, parent: access.place.parent() })
    }

    fn endpoint_path(&self, name: &str) -> String {
        format!("{}/onlineEndpoints/{name}", self.parent)
    }

    fn deployment_path(&self, name: &str, deployment: &str) -> String {
        format!("{}/deployments/{deployment}", self.endpoint_path(name))
    }

    /// The workspace itself.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn workspace(&self) -> Result<WorkspaceView, ProviderError> {
        self.arm.get(op::GET_WORKSPACE, &self.parent).await
    }

    /// Tags of the environment of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn environment_tags(&self, name: &str) -> Result<Option<ArmTags>, ProviderError> {
        let path = format!("{}/environments/{name}", self.parent);
        let found: Option<EnvironmentBody<TaggedProperties>> = self.arm.find(op::GET_ENVIRONMENT, &path).await?;
        Ok(found.map(|found| found.properties.tags))
    }

    /// Creates an environment with these tags, or replaces its tags.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn tag_environment(&self, name: &str, tags: &ArmTags) -> Result<(), ProviderError> {
        let path = format!("{}/environments/{name}", self.parent);
        let body = EnvironmentBody { properties: TaggedProperties { tags: tags.clone() } };
        Ok(self.arm.change(op::PUT_ENVIRONMENT, Method::PUT, &path, &body).await.map(drop)?)
    }

    /// Registers the version of an environment, unless it is there. Its name is made from its content.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn register(&self, [name, version]: &[String; 2], body: &VersionProperties) -> Result<(), ProviderError> {
        let path = format!("{}/environments/{name}/versions/{version}", self.parent);
        let known: Option<EnvironmentBody<serde_json::Value>> = self.arm.find(op::GET_VERSION, &path).await?;
        if known.is_some() {
            return Ok(());
        }
        let body = EnvironmentBody { properties: body.clone() };
        Ok(self.arm.change(op::PUT_VERSION, Method::PUT, &path, &body).await.map(drop)?)
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn endpoint(&self, name: &str) -> Result<Option<OnlineView>, ProviderError> {
        self.arm.find(op::GET_ENDPOINT, &self.endpoint_path(name)).await
    }

    /// The endpoints with this tag.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn endpoints(&self, tag: &str, value: &str) -> Result<FullListing<OnlineView>, ProviderError> {
        let path = format!("{}/onlineEndpoints?tags={}", self.parent, encoded(&format!("{tag}={value}")));
        self.arm.list(op::LIST_ENDPOINTS, &path, LIMITS).await
    }

    /// Begins to create an endpoint, if its name is free.
    ///
    /// # Errors
    /// The failure of the call; `Conflict` if something has the name.
    pub async fn create(&self, name: &str, body: &NewOnline) -> Result<(), RestFailure> {
        self.arm.create(op::PUT_ENDPOINT, &self.endpoint_path(name), body).await.map(drop)
    }

    /// Begins to change an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn put(&self, name: &str, body: &NewOnline) -> Result<(), RestFailure> {
        self.arm.change(op::PUT_ENDPOINT, Method::PUT, &self.endpoint_path(name), body).await.map(drop)
    }

    /// Begins to replace the tags of an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn tag(&self, name: &str, tags: &ArmTags) -> Result<(), RestFailure> {
        let body = json!({"tags": tags});
        self.arm.change(op::PATCH_ENDPOINT, Method::PATCH, &self.endpoint_path(name), &body).await.map(drop)
    }

    /// Begins to delete an endpoint with its deployments.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete(&self, name: &str) -> Result<(), RestFailure> {
        self.arm.delete(op::DELETE_ENDPOINT, &self.endpoint_path(name)).await.map(drop)
    }

    /// The key of an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn key(&self, name: &str) -> Result<EndpointKeyPair, ProviderError> {
        self.arm.ask(op::LIST_KEYS, &format!("{}/listKeys", self.endpoint_path(name))).await
    }

    /// Begins to set the key of an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn set_key(&self, name: &str, key: &str) -> Result<(), RestFailure> {
        let body = json!({"keyType": "Primary", "keyValue": key});
        let path = format!("{}/regenerateKeys", self.endpoint_path(name));
        self.arm.change(op::SET_KEY, Method::POST, &path, &body).await.map(drop)
    }

    /// The deployments of an endpoint.
    ///
    /// # Errors
    /// The failure of a call; `Transient` where the endpoint has gone meanwhile.
    pub async fn deployments(&self, name: &str) -> Result<Vec<OnlineDeploymentView>, ProviderError> {
        let path = format!("{}/deployments", self.endpoint_path(name));
        match self.arm.list(op::LIST_DEPLOYMENTS, &path, DEPLOYMENT_LIMITS).await {
            Ok(listing) => Ok(listing.items),
            Err(error) if error.class == ErrorClass::NotFound => {
                Err(ProviderError { class: ErrorClass::Transient, ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// Begins to deploy.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn deploy(&self, names: [&str; 2], body: &NewOnlineDeployment) -> Result<ArmChange, RestFailure> {
        let path = self.deployment_path(names[0], names[1]);
        self.arm.change(op::PUT_DEPLOYMENT, Method::PUT, &path, body).await
    }

    /// Begins to set the number of instances, with the tags that say so.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn scale(&self, names: [&str; 2], replicas: i32, tags: &ArmTags) -> Result<ArmChange, RestFailure> {
        let body = json!({"sku": sku(replicas), "tags": tags});
        let path = self.deployment_path(names[0], names[1]);
        self.arm.change(op::PATCH_DEPLOYMENT, Method::PATCH, &path, &body).await
    }

    /// Begins to delete a deployment.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn retire(&self, names: [&str; 2]) -> Result<(), RestFailure> {
        self.arm.delete(op::DELETE_DEPLOYMENT, &self.deployment_path(names[0], names[1])).await.map(drop)
    }

    /// The operation at this path.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn operation(&self, path: &str) -> Result<Option<ArmOperation>, ProviderError> {
        self.arm.operation(op::GET_OPERATION, path, READ_OPERATIONS).await
    }
}
