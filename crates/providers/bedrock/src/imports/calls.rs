//! Calls that import, list and delete models.

use http::Method;
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{CallEffect, FullListing, Page, Pages, RestCall, RestFailure};
use serde::Deserialize;

use super::wire::{ImportedModelView, JobView, NewImport};
use crate::calls::{BedrockCalls, LIMITS, ROWS, after, found};
use crate::operations as op;
use crate::place::escaped;

impl BedrockCalls {
    /// The model of this name or ARN.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn model(&self, identifier: &str) -> Result<Option<ImportedModelView>, ProviderError> {
        found(self.read(op::GET_MODEL, format!("/imported-models/{}", escaped(identifier))).await)
    }

    /// The job of this ARN.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn job(&self, arn: &str) -> Result<Option<JobView>, ProviderError> {
        found(self.read(op::GET_JOB, format!("/model-import-jobs/{}", escaped(arn))).await)
    }

    /// The jobs whose names contain this text.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn jobs_named(&self, text: &str) -> Result<FullListing<JobView>, ProviderError> {
        self.jobs(&format!("nameContains={text}")).await
    }

    /// The jobs in this state. Those that have ended stay forever.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn jobs_in(&self, status: &str) -> Result<FullListing<JobView>, ProviderError> {
        self.jobs(&format!("statusEquals={status}")).await
    }

    async fn jobs(&self, filter: &str) -> Result<FullListing<JobView>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct JobPage {
            #[serde(default)]
            model_import_job_summaries: Vec<JobView>,
            next_token: Option<String>,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let path = format!("/model-import-jobs?maxResults={ROWS}&{filter}{}", after(pages.mark()));
            let page: JobPage = self.read(op::LIST_JOBS, path).await?;
            pages.add(Page { items: page.model_import_job_summaries, next: page.next_token })?;
        }
        Ok(pages.finish())
    }

    /// All imported models of the account and region.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn models(&self) -> Result<FullListing<ImportedModelView>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ModelPage {
            #[serde(default)]
            model_summaries: Vec<ImportedModelView>,
            next_token: Option<String>,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let path = format!("/imported-models?maxResults={ROWS}{}", after(pages.mark()));
            let page: ModelPage = self.read(op::LIST_MODELS, path).await?;
            pages.add(Page { items: page.model_summaries, next: page.next_token })?;
        }
        Ok(pages.finish())
    }

    /// Begins an import.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn import(&self, import: &NewImport) -> Result<(), RestFailure> {
        let call =
            RestCall::new(op::CREATE_JOB, CallEffect::Writes, Method::POST, "/model-import-jobs").json(import)?;
        self.bedrock.call(call).await.map(drop)
    }

    /// Deletes a model; what is gone already is deleted.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete(&self, arn: &str) -> Result<(), ProviderError> {
        let path = format!("/imported-models/{}", escaped(arn));
        let call = RestCall::new(op::DELETE_MODEL, CallEffect::Writes, Method::DELETE, path);
        match self.bedrock.call(call).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => Err(failure.into()),
            _ => Ok(()),
        }
    }
}
