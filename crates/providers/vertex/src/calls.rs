//! Calls to Vertex AI and to Resource Manager, each with its input and output.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use roadstead_google::{GoogleAddresses, GoogleCredentials, GoogleParts, class, read_google_error};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{
    Authorize, BaseUrl, BaseUrlError, CallEffect, FullListing, Pace, Page, PageLimits, Pages, RestAnswer, RestCall,
    RestClient, RestFailure, ServiceProfile, ServiceRoute, Transport, encoded,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::operations as op;
use crate::place::{ProjectAccess, VertexPlace};
use crate::wire::{
    EndpointForm, LabelMap, ListPage, NewDeployment, NewUpload, OperationView, RegisteredModel, VertexView,
};

/// Items of one page.
const ROWS: usize = 100;
/// Bounds of a listing: twice as many endpoints as the largest tested fleet.
const LIMITS: PageLimits = PageLimits { pages: 300, items: 20_000 };
/// Bounds of the operations of one endpoint.
const OPERATION_LIMITS: PageLimits = PageLimits { pages: 10, items: 1000 };
/// Google publishes 600 requests a minute for the management of resources, in each region of a project; a listing of ten thousand
/// endpoints takes a hundred at once. <https://cloud.google.com/vertex-ai/docs/quotas>
const PACE: Pace = Pace { operations: &[], rate: RateLimit { burst: 120, interval: Duration::from_millis(125) } };
const PACES: &[Pace] = &[PACE];
const _: () = assert!(PACE.most_in(Duration::from_mins(1)) <= 600);

/// The control plane.
pub const VERTEX_AI: ServiceProfile = ServiceProfile {
    name: "vertexai",
    title: "Vertex AI",
    deadline: CALL_TIMEOUT,
    max_answer_bytes: 4 * 1024 * 1024,
    paces: PACES,
    request_id: "x-request-id",
    read_error: read_google_error,
    rights: &op::PERMISSIONS,
    class,
};

const RESOURCE_MANAGER: ServiceProfile =
    ServiceProfile { name: "resourcemanager", title: "Resource Manager", paces: &[], ..VERTEX_AI };

/// The services of one place.
pub struct VertexCalls {
    vertex: RestClient,
    projects: RestClient,
    parent: String,
    project: String,
}

impl VertexCalls {
    /// Credentials of a driver.
    ///
    /// # Errors
    /// [`BaseUrlError`] where an address is none.
    pub fn credentials(access: &ProjectAccess) -> Result<GoogleCredentials, BaseUrlError> {
        let VertexPlace { endpoint, .. } = &access.place;
        Ok(GoogleCredentials::new(GoogleParts {
            identity: access.identity.clone(),
            acting_as: access.acting_as.clone(),
            addresses: GoogleAddresses::of(endpoint.as_ref())?,
            reach: access.place.reach(),
            meter: Arc::clone(&access.context.meter),
            clock: access.context.clock,
        }))
    }

    /// Clients with these credentials.
    ///
    /// # Errors
    /// [`BaseUrlError`] where the location cannot be one.
    pub fn new(access: &ProjectAccess, credentials: &Arc<GoogleCredentials>) -> Result<Self, BaseUrlError> {
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach: access.place.reach() });
        let client = |profile: ServiceProfile, base: BaseUrl| {
            access.context.client(profile, base, &transport, Arc::clone(credentials) as Arc<dyn Authorize>)
        };
        Ok(Self {
            vertex: client(VERTEX_AI, access.place.control()?),
            projects: client(RESOURCE_MANAGER, access.place.projects()?),
            parent: format!("/v1/{}", access.place.parent()),
            project: access.place.project.clone(),
        })
    }

    /// The number of the project.
    ///
    /// # Errors
    /// The failure of the call; `Transient` where the answer names none.
    pub async fn project_number(&self) -> Result<String, ProviderError> {
        #[derive(Deserialize)]
        struct Project {
            name: String,
        }
        let path = format!("/v3/projects/{}", self.project);
        let call = RestCall::new(op::GET_PROJECT, CallEffect::Reads, Method::GET, path);
        let answer = self.projects.call(call).await?;
        let Project { name } = answer.json()?;
        let number = name.strip_prefix("projects/").filter(|number| !number.is_empty() && number.len() <= 20);
        let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        number.map(ToOwned::to_owned).ok_or_else(|| {
            ProviderError::new(ErrorClass::Transient, format!("{}: the answer names no project", answer.what))
        })
    }

    fn read(&self, operation: &'static str, rest: &str) -> RestCall {
        RestCall::new(operation, CallEffect::Reads, Method::GET, format!("{}{rest}", self.parent))
    }

    fn write(&self, operation: &'static str, method: Method, rest: &str) -> RestCall {
        RestCall::new(operation, CallEffect::Writes, method, format!("{}{rest}", self.parent))
    }

    /// Reads something that may not exist.
    async fn find<T: DeserializeOwned>(&self, call: RestCall) -> Result<Option<T>, ProviderError> {
        match self.vertex.call(call).await {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn endpoint(&self, name: &str) -> Result<Option<VertexView>, ProviderError> {
        self.find(self.read(op::GET_ENDPOINT, &format!("/endpoints/{name}"))).await
    }

    /// The model of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn model(&self, name: &str) -> Result<Option<RegisteredModel>, ProviderError> {
        self.find(self.read(op::GET_MODEL, &format!("/models/{name}"))).await
    }

    /// Begins a creation, and returns its operation. A name that is taken is no failure: whoever looks next sees what has it.
    async fn begin(&self, call: RestCall) -> Result<Option<OperationView>, ProviderError> {
        match self.vertex.call(call).await {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(failure) if failure.error.class == ErrorClass::Conflict => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The operation of this id below a model.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn operation(&self, model: &str, id: &str) -> Result<Option<OperationView>, ProviderError> {
        self.find(self.read(op::GET_OPERATION, &format!("/models/{model}/operations/{id}"))).await
    }

    /// Begins to upload a model, if its name is free.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn upload(&self, upload: &NewUpload) -> Result<Option<OperationView>, ProviderError> {
        self.begin(self.write(op::UPLOAD_MODEL, Method::POST, "/models:upload").json(upload)?).await
    }

    /// Begins to create an endpoint, if its name is free.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create(&self, name: &str, form: &EndpointForm) -> Result<(), ProviderError> {
        let path = format!("/endpoints?endpointId={name}");
        self.begin(self.write(op::CREATE_ENDPOINT, Method::POST, &path).json(form)?).await.map(drop)
    }

    /// Replaces the labels of an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn label(&self, name: &str, labels: &LabelMap) -> Result<(), ProviderError> {
        let path = format!("/endpoints/{name}?updateMask=labels");
        let call = self.write(op::UPDATE_ENDPOINT, Method::PATCH, &path).json(&json!({"labels": labels}))?;
        self.change(call).await
    }

    /// Deploys a model. Where that very model is deployed or being deployed already, a former call has had its effect.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn deploy(&self, name: &str, deployment: &NewDeployment) -> Result<(), ProviderError> {
        let path = format!("/endpoints/{name}:deployModel");
        self.change(self.write(op::DEPLOY, Method::POST, &path).json(deployment)?).await
    }

    /// Sets the number of replicas of a deployed model.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn scale(&self, name: &str, id: &str, replicas: i32) -> Result<(), ProviderError> {
        let path = format!("/endpoints/{name}:mutateDeployedModel");
        let resources = json!({"minReplicaCount": replicas, "maxReplicaCount": replicas});
        let body = json!({
            "deployedModel": {"id": id, "dedicatedResources": resources},
            "updateMask": "dedicatedResources.minReplicaCount,dedicatedResources.maxReplicaCount",
        });
        self.change(self.write(op::MUTATE, Method::POST, &path).json(&body)?).await
    }

    /// Ends a deployment; what is undeployed already is so.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn undeploy(&self, name: &str, id: &str) -> Result<(), RestFailure> {
        let path = format!("/endpoints/{name}:undeployModel");
        let call = self.write(op::UNDEPLOY, Method::POST, &path).json(&json!({"deployedModelId": id}))?;
        self.delete(call).await
    }

    /// Makes a change; a name that is taken, or another change under way, passes by itself.
    async fn change(&self, call: RestCall) -> Result<(), ProviderError> {
        let passes = |failure: &RestFailure| failure.error.class == ErrorClass::Conflict;
        match self.vertex.call(call).await {
            Ok(_) => Ok(()),
            Err(failure) if passes(&failure) => Err(failure.of_class(ErrorClass::Transient).into()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Deletes an endpoint; what is gone already is deleted.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete_endpoint(&self, name: &str) -> Result<(), RestFailure> {
        self.delete(self.write(op::DELETE_ENDPOINT, Method::DELETE, &format!("/endpoints/{name}"))).await
    }

    /// Deletes a model; what is gone already is deleted.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete_model(&self, name: &str) -> Result<(), RestFailure> {
        self.delete(self.write(op::DELETE_MODEL, Method::DELETE, &format!("/models/{name}"))).await
    }

    async fn delete(&self, call: RestCall) -> Result<(), RestFailure> {
        match self.vertex.call(call).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    /// The operations of an endpoint.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn operations(&self, name: &str) -> Result<Vec<OperationView>, ProviderError> {
        let path = format!("/endpoints/{name}/operations");
        Ok(self.list(op::LIST_OPERATIONS, &path, "operations", "", OPERATION_LIMITS).await?.items)
    }

    /// The endpoints with this label.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn endpoints(&self, label: &str, value: &str) -> Result<FullListing<VertexView>, ProviderError> {
        self.list(op::LIST_ENDPOINTS, "/endpoints", "endpoints", &filter([(label, value)]), LIMITS).await
    }

    /// The models with these labels.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn models(&self, labels: &LabelMap) -> Result<Vec<RegisteredModel>, ProviderError> {
        let filter = filter(labels.iter().map(|(label, value)| (label.as_str(), value.as_str())));
        Ok(self.list(op::LIST_MODELS, "/models", "models", &filter, LIMITS).await?.items)
    }

    async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        member: &str,
        filter: &str,
        limits: PageLimits,
    ) -> Result<FullListing<T>, ProviderError> {
        let mut pages = Pages::new(limits);
        while pages.is_open() {
            let mark = pages.mark().map(|mark| format!("&pageToken={}", encoded(mark))).unwrap_or_default();
            let filter = if filter.is_empty() { String::new() } else { format!("&filter={}", encoded(filter)) };
            let call = self.read(operation, &format!("{path}?pageSize={ROWS}{filter}{mark}"));
            pages.add(page_of(&self.vertex.call(call).await?, member)?)?;
        }
        Ok(pages.finish())
    }
}

/// One page of the items in the member of this name.
fn page_of<T: DeserializeOwned>(answer: &RestAnswer, member: &str) -> Result<Page<T>, ProviderError> {
    let ListPage { next_page_token, mut members } = answer.json()?;
    let items = members.remove(member).map_or_else(|| Ok(Vec::new()), serde_json::from_value);
    // The reader's error may quote a value.
    let items = items.map_err(|_| {
        ProviderError::new(ErrorClass::Transient, format!("{}: an item has an unexpected form", answer.what))
    })?;
    Ok(Page { items, next: Some(next_page_token).filter(|next| !next.is_empty()) })
}

/// A filter for labels; names and values are plain words.
fn filter<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let one = |(label, value): (&str, &str)| format!("labels.{label}=\"{value}\"");
    labels.into_iter().map(one).collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_labels() {
        let text = filter([("roadstead-install-id", "prod"), ("roadstead-endpoint", "a")]);
        assert_eq!(text, "labels.roadstead-install-id=\"prod\" AND labels.roadstead-endpoint=\"a\"");
    }
}
