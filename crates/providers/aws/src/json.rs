//! Calls of the JSON services.

use http::{HeaderName, HeaderValue, Method};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{CallEffect, RestCall};
use serde::Serialize;

/// Content type of the protocol JSON 1.1.
const JSON_1_1: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
/// Header that names the operation.
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// A call of `operation` of the service with this prefix, such as `SageMaker`.
///
/// # Errors
/// `Bug` if the input cannot be written as JSON.
pub fn json_call(
    prefix: &str,
    operation: &'static str,
    effect: CallEffect,
    input: &impl Serialize,
) -> Result<RestCall, ProviderError> {
    let target = HeaderValue::try_from(format!("{prefix}.{operation}"))
        .map_err(|_| ProviderError::new(ErrorClass::Bug, format!("{prefix}.{operation} is no value of a header")))?;
    RestCall::new(operation, effect, Method::POST, "/").header(TARGET, target).json_as(JSON_1_1, input)
}
