//! The service as calls see it: limits, errors, and each call with its answer.
//!
//! Source: digitalocean/openapi, `specification/DigitalOcean-public.v2.yaml`, and docs.digitalocean.com, reference/api (rate limits). The words of
//! refusals are assumed: see docs/providers/digitalocean.md.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{
    CallEffect, ErrorEnvelope, Pace, Page, PageLimits, Pages, RestCall, RestClient, RestFailure, ServiceProfile,
    class_of_status, encoded,
};
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::operations;
use crate::wire::{
    AccountAnswer, AccountView, DedicatedView, GpuPrices, InstancePage, IssuedToken, ModelCatalogue, OneInstance,
    TokenList, TokenView, id,
};

/// Name of the service in messages.
pub const TITLE: &str = "DigitalOcean";
/// Entries of a page: as many as the service allows.
const PAGE: usize = 200;
/// Bounds of a listing.
const LIMITS: PageLimits = PageLimits { pages: 100, items: 20_000 };
/// Path of all instances.
const INSTANCES: &str = "/v2/dedicated-inferences";

/// The service allows a token 250 calls in a minute and 5,000 in an hour.
const PACES: &[Pace] = &[MINUTE, HOUR];
const MINUTE: Pace = Pace { operations: &[], rate: RateLimit { burst: 100, interval: Duration::from_millis(400) } };
const HOUR: Pace = Pace { operations: &[], rate: RateLimit { burst: 1000, interval: Duration::from_millis(900) } };
const _: () = assert!(MINUTE.most_in(Duration::from_mins(1)) <= 250);
const _: () = assert!(HOUR.most_in(Duration::from_hours(1)) <= 5_000);

/// The interface.
pub const PROFILE: ServiceProfile = ServiceProfile {
    name: operations::SERVICE,
    title: TITLE,
    deadline: Duration::from_secs(20),
    max_answer_bytes: 4 * 1024 * 1024,
    paces: PACES,
    request_id: "x-request-id",
    read_error,
    rights: &operations::SCOPES,
    class,
};

#[derive(Deserialize)]
struct OceanError {
    id: String,
    message: String,
}

fn read_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let OceanError { id, message } = serde_json::from_slice(body).ok()?;
    Some(ErrorEnvelope { code: id, message })
}

fn class(status: StatusCode, envelope: &ErrorEnvelope) -> ErrorClass {
    match class_of_status(status) {
        ErrorClass::Invalid => class_of_text(&envelope.message),
        class => class,
    }
}

/// Class of a refusal by its words.
fn class_of_text(text: &str) -> ErrorClass {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["already in use", "already exists", "must be unique"]) {
        ErrorClass::Conflict
    } else if says(&["quota", "exceed your"])
        || (text.contains("limit") && says(&["reached", "exceeded"]) && says(&["droplet", "gpu", "account"]))
    {
        ErrorClass::QuotaExceeded
    } else if says(&["capacity", "sold out"]) {
        ErrorClass::CapacityExhausted
    } else if says(&["not available", "not supported", "does not run"]) {
        // The target offers what its region does not have: another target may.
        ErrorClass::Refused
    } else {
        ErrorClass::Invalid
    }
}

/// The calls of the driver.
pub struct DedicatedCalls {
    client: RestClient,
}

impl DedicatedCalls {
    /// Calls by this client.
    pub const fn new(client: RestClient) -> Self {
        Self { client }
    }

    async fn read<T: DeserializeOwned>(&self, operation: &'static str, path: String) -> Result<T, RestFailure> {
        self.client.call(RestCall::new(operation, CallEffect::Reads, Method::GET, path)).await?.json()
    }

    async fn write(&self, operation: &'static str, method: Method, path: String) -> Result<(), RestFailure> {
        self.client.call(RestCall::new(operation, CallEffect::Writes, method, path)).await.map(drop)
    }

    /// The account of the token.
    pub async fn account(&self) -> Result<AccountView, ProviderError> {
        Ok(self.read::<AccountAnswer>(operations::ACCOUNT, "/v2/account".to_owned()).await?.account)
    }

    /// GPUs with their prices.
    pub async fn sizes(&self) -> Result<GpuPrices, ProviderError> {
        Ok(self.read(operations::SIZES, format!("{INSTANCES}/sizes")).await?)
    }

    /// Models with their GPUs.
    pub async fn models(&self) -> Result<ModelCatalogue, ProviderError> {
        Ok(self.read(operations::MODELS, format!("{INSTANCES}/gpu-model-config")).await?)
    }

    /// The instances of a region, or of all: more than a listing may have are an error, because none must be overlooked.
    pub async fn list(&self, region: Option<&str>) -> Result<Vec<DedicatedView>, ProviderError> {
        let region = region.map(|region| format!("&region={}", encoded(region))).unwrap_or_default();
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let number: usize = pages.mark().and_then(|mark| mark.parse().ok()).unwrap_or(1);
            let path = format!("{INSTANCES}?page={number}&per_page={PAGE}{region}");
            let InstancePage { dedicated_inferences: items, links } = self.read(operations::LIST, path).await?;
            let more = links.pages.and_then(|pages| pages.next).is_some();
            pages.add(Page { items, next: more.then(|| (number + 1).to_string()) })?;
        }
        let listed = pages.finish();
        if listed.cut {
            let message = format!("{TITLE} lists more than {} instances; no target may have so many", LIMITS.items);
            return Err(ProviderError::new(ErrorClass::Transient, message));
        }
        listed.items.into_iter().map(DedicatedView::checked).collect()
    }

    /// Creates an instance.
    pub async fn create(&self, body: &Value) -> Result<DedicatedView, ProviderError> {
        let call = RestCall::new(operations::CREATE, CallEffect::Writes, Method::POST, INSTANCES).json(body)?;
        self.client.call(call).await?.json::<OneInstance>()?.dedicated_inference.checked()
    }

    /// The instance of this id; `None` where it is gone.
    pub async fn get(&self, instance: &str) -> Result<Option<DedicatedView>, ProviderError> {
        match self.read::<OneInstance>(operations::GET, format!("{INSTANCES}/{instance}")).await {
            Ok(one) => one.dedicated_inference.checked().map(Some),
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Changes an instance.
    pub async fn update(&self, instance: &str, body: &Value) -> Result<(), ProviderError> {
        let path = format!("{INSTANCES}/{instance}");
        let call = RestCall::new(operations::UPDATE, CallEffect::Writes, Method::PATCH, path).json(body)?;
        Ok(self.client.call(call).await.map(drop)?)
    }

    /// Deletes an instance, unless it is gone.
    pub async fn delete(&self, instance: &str) -> Result<(), ProviderError> {
        unless_gone(self.write(operations::DELETE, Method::DELETE, format!("{INSTANCES}/{instance}")).await)
    }

    /// The tokens of an instance.
    pub async fn tokens(&self, instance: &str) -> Result<Vec<TokenView>, ProviderError> {
        let path = format!("{INSTANCES}/{instance}/tokens?per_page={PAGE}");
        Ok(self.read::<TokenList>(operations::TOKENS, path).await?.tokens)
    }

    /// Issues a token of this name.
    pub async fn create_token(&self, instance: &str, name: &str) -> Result<Redacted, ProviderError> {
        let path = format!("{INSTANCES}/{instance}/tokens");
        let call = RestCall::new(operations::CREATE_TOKEN, CallEffect::Writes, Method::POST, path)
            .json(&json!({"name": name}))?;
        Ok(self.client.call(call).await?.json::<IssuedToken>()?.value())
    }

    /// Revokes a token, unless it is gone.
    pub async fn delete_token(&self, instance: &str, token: &TokenView) -> Result<(), ProviderError> {
        let path = format!("{INSTANCES}/{instance}/tokens/{}", id(&token.id)?);
        unless_gone(self.write(operations::DELETE_TOKEN, Method::DELETE, path).await)
    }
}

fn unless_gone(answer: Result<(), RestFailure>) -> Result<(), ProviderError> {
    match answer {
        Err(failure) if failure.error.class != ErrorClass::NotFound => Err(failure.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_class_that_decides_what_is_done() {
        for (status, text, expected) in [
            (422, "spec.name: is already in use in this team", ErrorClass::Conflict),
            (422, "model_slug org/m is not supported", ErrorClass::Refused),
            (422, "gpu-h100x8-640gb is not available in atl1", ErrorClass::Refused),
            (422, "the quota of GPUs is used up", ErrorClass::QuotaExceeded),
            (422, "droplet limit exceeded", ErrorClass::QuotaExceeded),
            (422, "You have reached your GPU droplet limit", ErrorClass::QuotaExceeded),
            (422, "creating this/these droplet(s) will exceed your droplet limit", ErrorClass::QuotaExceeded),
            (422, "name exceeds the length limit", ErrorClass::Invalid),
            (422, "name length limit exceeded", ErrorClass::Invalid),
            (422, "scale must be within the limits of the size", ErrorClass::Invalid),
            (422, "no capacity for gpu-h100x8-640gb", ErrorClass::CapacityExhausted),
            (422, "spec: a required field is missing", ErrorClass::Invalid),
            (401, "Unable to authenticate you", ErrorClass::Unauthorized),
            (403, "You are not authorized to perform this operation", ErrorClass::Unauthorized),
            (404, "The resource you requested could not be found.", ErrorClass::NotFound),
            (429, "API Rate limit exceeded.", ErrorClass::Throttled { after: None }),
            (500, "Unexpected server-side error", ErrorClass::Transient),
        ] {
            let body = json!({"id": "word", "message": text}).to_string();
            let envelope = read_error(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(class(StatusCode::from_u16(status).unwrap(), &envelope), expected, "{text}");
        }
        assert_eq!(read_error(&HeaderMap::new(), b"<html>"), None);
    }
}
