//! Calls that buy, list and delete throughput.

use http::Method;
use roadstead_provider::ProviderError;
use roadstead_rest::{CallEffect, FullListing, Page, Pages, RestCall, RestFailure};
use serde::Deserialize;

use super::wire::{NewThroughput, ThroughputView};
use crate::calls::{BedrockCalls, LIMITS, ROWS, after, found};
use crate::operations as op;
use crate::place::escaped;

fn path(identifier: &str) -> String {
    format!("/provisioned-model-throughput/{}", escaped(identifier))
}

impl BedrockCalls {
    /// The throughput of this name or ARN.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn throughput(&self, identifier: &str) -> Result<Option<ThroughputView>, ProviderError> {
        found(self.read(op::GET_THROUGHPUT, path(identifier)).await)
    }

    /// All throughputs of the account and region.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn throughputs(&self) -> Result<FullListing<ThroughputView>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ThroughputPage {
            #[serde(default)]
            provisioned_model_summaries: Vec<ThroughputView>,
            next_token: Option<String>,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let path = format!("/provisioned-model-throughputs?maxResults={ROWS}{}", after(pages.mark()));
            let page: ThroughputPage = self.read(op::LIST_THROUGHPUTS, path).await?;
            pages.add(Page { items: page.provisioned_model_summaries, next: page.next_token })?;
        }
        Ok(pages.finish())
    }

    /// Buys a throughput.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn buy(&self, purchase: &NewThroughput) -> Result<(), RestFailure> {
        let path = "/provisioned-model-throughput";
        let call = RestCall::new(op::CREATE_THROUGHPUT, CallEffect::Writes, Method::POST, path).json(purchase)?;
        self.bedrock.call(call).await.map(drop)
    }

    /// Deletes a throughput.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn release(&self, arn: &str) -> Result<(), RestFailure> {
        let call = RestCall::new(op::DELETE_THROUGHPUT, CallEffect::Writes, Method::DELETE, path(arn));
        self.bedrock.call(call).await.map(drop)
    }
}
