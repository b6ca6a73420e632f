//! Calls to Azure Resource Manager: one version of an API below one resource.

use std::sync::Arc;
use std::time::Duration;

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use roadstead_provider::address::Reach;
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{
    BaseUrl, BaseUrlError, CallEffect, FullListing, Insecure, Pace, Page, PageLimits, Pages, RestCall, RestClient,
    RestFailure, ServiceContext, ServiceProfile, ServiceRoute, Transport,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::credentials::EntraCredentials;
use crate::errors::{class, read_arm_error};

/// Address of Resource Manager.
const MANAGEMENT: &str = "https://management.azure.com";
/// Header with the address of the operation that a change begins.
const OPERATION: &str = "azure-asyncoperation";
/// Characters of such an address; marks of pages have some thousands.
const MAX_ADDRESS: usize = 16 * 1024;
/// Beginning of every path, in whatever letters a resource provider writes it.
const SUBSCRIPTIONS: &str = "/subscriptions/";

/// Pace of all calls. Resource Manager allows a principal in a region 250 reads of a subscription at once and 25 a second more, and 200
/// writes or deletions and 10 a second.
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling>
pub const ARM_CALLS: Pace =
    Pace { operations: &[], rate: RateLimit { burst: 200, interval: Duration::from_millis(50) } };
/// Rate of all writes and deletions, which a driver names.
pub const ARM_WRITES: RateLimit = RateLimit { burst: 200, interval: Duration::from_millis(100) };

/// Resource Manager, to be completed by the name and title of a resource provider, and by the pace of its writes.
pub const ARM: ServiceProfile = ServiceProfile {
    name: "arm",
    title: "Azure Resource Manager",
    deadline: CALL_TIMEOUT,
    max_answer_bytes: 4 * 1024 * 1024,
    paces: &[ARM_CALLS],
    request_id: "x-ms-request-id",
    read_error: read_arm_error,
    rights: &[],
    class,
};

/// Address of Resource Manager, or the stand-in's.
///
/// # Errors
/// Never for Azure's own.
pub fn management(stand_in: Option<&BaseUrl>) -> Result<BaseUrl, BaseUrlError> {
    stand_in.cloned().map_or_else(|| BaseUrl::parse(MANAGEMENT, Insecure::Refused), Ok)
}

/// Parts of a client.
pub struct ArmParts<'a> {
    /// Name and title of the resource provider, over [`ARM`].
    pub profile: ServiceProfile,
    /// Address.
    pub base: BaseUrl,
    /// Version of the API.
    pub version: &'static str,
    /// Credentials.
    pub credentials: Arc<EntraCredentials>,
    /// Addresses that may be connected to.
    pub reach: Reach,
    /// Parts that every driver has.
    pub context: &'a ServiceContext,
}

/// A client of one version of an API.
pub struct ArmClient {
    client: RestClient,
    version: &'static str,
}

/// A change that was accepted.
#[must_use = "its operation has the cause of a failure"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmChange {
    /// Path at which its operation is asked for; `None` where it has ended.
    pub operation: Option<String>,
}

/// An operation that ends later.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ArmOperation {
    /// State; `Succeeded`, `Failed` and `Canceled` are its ends.
    pub status: String,
    /// Failure.
    #[serde(default)]
    pub error: Option<ArmOperationError>,
}

/// Code of the failure of an operation that may not be read.
const CAUSE_UNKNOWN: &str = "CauseUnknown";

impl ArmOperation {
    /// An operation that the caller lacks the right to read.
    fn unreadable(right: &str) -> Self {
        let message =
            format!("the cause is unknown, because the operator may not read its operation: grant it {right}");
        let error = ArmOperationError { code: CAUSE_UNKNOWN.to_owned(), message };
        Self { status: "Unknown".to_owned(), error: Some(error) }
    }
}

impl ArmOperationError {
    /// True for the failure of an operation that may not be read, which may also have succeeded.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.code == CAUSE_UNKNOWN
    }
}

/// Failure of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ArmOperationError {
    /// Code of the service.
    #[serde(default)]
    pub code: String,
    /// Its sentence; untrusted.
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
struct ArmPage<T> {
    value: Vec<T>,
    #[serde(default, rename = "nextLink")]
    next_link: Option<String>,
}

impl ArmClient {
    /// A client that has called nothing.
    #[must_use]
    pub fn new(parts: ArmParts<'_>) -> Self {
        let ArmParts { profile, base, version, credentials, reach, context } = parts;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach });
        let client = context.client(profile, base, &transport, credentials);
        Self { client, version }
    }

    /// A path with the version of the API.
    fn versioned(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        format!("{path}{mark}api-version={}", self.version)
    }

    fn reading(&self, operation: &'static str, path: &str) -> RestCall {
        RestCall::new(operation, CallEffect::Reads, Method::GET, self.versioned(path))
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn get<T: DeserializeOwned>(&self, operation: &'static str, path: &str) -> Result<T, ProviderError> {
        Ok(self.client.call(self.reading(operation, path)).await?.json()?)
    }

    /// Reads a resource that may not exist. It does not if the service says so and names it.
    ///
    /// # Errors
    /// The failure of the call; `Transient` where the service says that something else does not exist.
    pub async fn find<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
    ) -> Result<Option<T>, ProviderError> {
        let name = path.rsplit('/').next().unwrap_or_default();
        match self.client.call(self.reading(operation, path)).await {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(failure) if failure.error.class == ErrorClass::NotFound => {
                if failure.message().contains(name) {
                    Ok(None)
                } else {
                    Err(failure.of_class(ErrorClass::Transient).into())
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Asks for something that a resource shows to those who ask for it by POST.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn ask<T: DeserializeOwned>(&self, operation: &'static str, path: &str) -> Result<T, ProviderError> {
        let call = RestCall::new(operation, CallEffect::Reads, Method::POST, self.versioned(path));
        Ok(self.client.call(call).await?.json()?)
    }

    /// Begins a change.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn change(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<ArmChange, RestFailure> {
        let call = RestCall::new(operation, CallEffect::Writes, method, self.versioned(path)).json(body)?;
        self.begin(call).await
    }

    /// Begins to create a resource, unless something has its name: then it fails with `Conflict`.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create(
        &self,
        operation: &'static str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<ArmChange, RestFailure> {
        let call = RestCall::new(operation, CallEffect::Writes, Method::PUT, self.versioned(path)).json(body)?;
        let call = call.header(IF_NONE_MATCH, HeaderValue::from_static("*"));
        match self.begin(call).await {
            Err(failure) if failure.status == Some(StatusCode::PRECONDITION_FAILED) => {
                Err(failure.of_class(ErrorClass::Conflict))
            }
            result => result,
        }
    }

    /// Begins a deletion; what is gone already is deleted.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete(&self, operation: &'static str, path: &str) -> Result<ArmChange, RestFailure> {
        let call = RestCall::new(operation, CallEffect::Writes, Method::DELETE, self.versioned(path));
        match self.begin(call).await {
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(ArmChange { operation: None }),
            result => result,
        }
    }

    async fn begin(&self, call: RestCall) -> Result<ArmChange, RestFailure> {
        let answer = self.client.call(call).await?;
        Ok(ArmChange { operation: operation_path(&answer.headers) })
    }

    /// The operation at this path; `None` once the service has forgotten it. If the caller lacks the right to read it, that is its
    /// failure: `right` names the action.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn operation(
        &self,
        operation: &'static str,
        path: &str,
        right: &str,
    ) -> Result<Option<ArmOperation>, ProviderError> {
        let call = RestCall::new(operation, CallEffect::Reads, Method::GET, path);
        match self.client.call(call).await {
            Ok(answer) => Ok(Some(answer.json()?)),
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
            Err(failure) if failure.status == Some(StatusCode::FORBIDDEN) => Ok(Some(ArmOperation::unreadable(right))),
            Err(failure) => Err(failure.into()),
        }
    }

    /// All items of a list.
    ///
    /// # Errors
    /// The failure of a call; `Transient` where the next page cannot be asked for.
    pub async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        limits: PageLimits,
    ) -> Result<FullListing<T>, ProviderError> {
        let mut pages = Pages::new(limits);
        while pages.is_open() {
            let asked = pages.mark().map_or_else(|| self.versioned(path), ToOwned::to_owned);
            let call = RestCall::new(operation, CallEffect::Reads, Method::GET, asked);
            let ArmPage { value, next_link } = self.client.call(call).await?.json()?;
            pages.add(Page { items: value, next: next_page(next_link.as_deref())? })?;
        }
        Ok(pages.finish())
    }
}

/// Path and query of an address that the service names. It is asked for at Resource Manager, wherever the address leads.
fn path_of(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok().filter(|_| address.len() <= MAX_ADDRESS)?;
    let path = uri.path_and_query()?.to_string();
    let begins = path.get(..SUBSCRIPTIONS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SUBSCRIPTIONS));
    begins.then_some(path)
}

/// Path of the next page. A listing that ended early would show that things are gone.
fn next_page(link: Option<&str>) -> Result<Option<String>, ProviderError> {
    let Some(link) = link.filter(|link| !link.is_empty()) else { return Ok(None) };
    let path = path_of(link).ok_or_else(|| {
        let message = format!(
            "{} names a next page of {} characters that the operator cannot ask for; an address has at most {MAX_ADDRESS} \
             characters and a path that begins with {SUBSCRIPTIONS}",
            ARM.title,
            link.len()
        );
        ProviderError::new(ErrorClass::Transient, message)
    });
    path.map(Some)
}

fn operation_path(headers: &HeaderMap) -> Option<String> {
    path_of(headers.get(OPERATION)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_asked_for_at_resource_manager_wherever_its_address_leads() {
        let of = |address: &'static str| {
            operation_path(&HeaderMap::from_iter([(OPERATION.parse().unwrap(), address.parse().unwrap())]))
        };
        let path = "/subscriptions/a/providers/P/locations/l/operations/1?api-version=2";
        assert_eq!(
            of("https://evil.example/subscriptions/a/providers/P/locations/l/operations/1?api-version=2").as_deref(),
            Some(path)
        );
        assert_eq!(of("https://management.azure.com/other"), None);
        assert_eq!(operation_path(&HeaderMap::new()), None);
    }

    #[test]
    fn a_listing_goes_on_with_every_next_page_and_never_ends_early() {
        let page = |rest: &str| next_page(Some(&format!("https://management.azure.com{rest}")));
        let long = format!("/subscriptions/a/items?$skiptoken={}", "x".repeat(5_000));
        let other_letters = "/Subscriptions/a/items?page=2";
        assert_eq!(page(&long), Ok(Some(long.clone())));
        assert_eq!(page(other_letters), Ok(Some(other_letters.to_owned())));
        assert_eq!((next_page(None), next_page(Some(""))), (Ok(None), Ok(None)));
        let too_long = format!("/subscriptions/a?{}", "x".repeat(MAX_ADDRESS));
        for unusable in ["/other", "/subscriptions/a b", &too_long] {
            assert_eq!(page(unusable).unwrap_err().class, ErrorClass::Transient, "{unusable}");
        }
    }
}
