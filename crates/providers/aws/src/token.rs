//! Bearer tokens for the runtime: a presigned call of `CallWithBearerToken`, made without a call.
//!
//! Source: AWS guide "Invoke endpoints with OpenAI-compatible APIs"; sagemaker-core 2.27.0, `token_generator`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use data_encoding::BASE64;
use http::Request;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};

/// Host of the presigned call, in every region.
const HOST: &str = "sagemaker.amazonaws.com";
/// Mark of the tokens.
const PREFIX: &str = "sagemaker-api-key-";

/// A token of these credentials for the endpoints of one region. It ends after `life`, and with the session behind the
/// credentials.
///
/// # Errors
/// `Bug` if it cannot be signed.
pub fn bearer_token(keys: &Keys, region: &str, life: Duration, now: SystemTime) -> Result<Redacted, ProviderError> {
    let bug = |what: &dyn std::fmt::Display| {
        ProviderError::new(ErrorClass::Bug, format!("the bearer token cannot be signed: {what}"))
    };
    let identity = keys.clone().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(life);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sagemaker")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| bug(&error))?
        .into();
    let uri = format!("https://{HOST}/?Action=CallWithBearerToken");
    let headers = [("host", HOST)].into_iter();
    let signable =
        SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(&[])).map_err(|error| bug(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| bug(&error))?.into_parts();
    let mut request = Request::post(&uri).body(()).map_err(|error| bug(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    let presigned = request.uri().to_string();
    let presigned = presigned.strip_prefix("https://").unwrap_or_default();
    Ok(Redacted::new(format!("{PREFIX}{}", BASE64.encode(format!("{presigned}&Version=1").as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_presigned_call_that_names_its_region_and_its_end() {
        let keys = Keys::new("AKIA1", "canary", Some("session".to_owned()), None, "test");
        let token = bearer_token(&keys, "eu-west-1", Duration::from_mins(5), SystemTime::UNIX_EPOCH).unwrap();
        let inside = BASE64.decode(token.expose().strip_prefix(PREFIX).unwrap().as_bytes()).unwrap();
        let inside = String::from_utf8(inside).unwrap();
        assert!(inside.starts_with("sagemaker.amazonaws.com/?Action=CallWithBearerToken&"), "{inside}");
        for part in [
            "X-Amz-Expires=300",
            "X-Amz-Credential=AKIA1%2F19700101%2Feu-west-1%2Fsagemaker%2Faws4_request",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Security-Token=session",
            "X-Amz-Signature=",
        ] {
            assert!(inside.contains(part), "{part} is not in {inside}");
        }
        assert!(inside.ends_with("&Version=1") && !inside.contains("canary"));
    }
}
