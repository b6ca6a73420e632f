//! Bearer tokens for the runtimes: a presigned call of `CallWithBearerToken`, made without a call.
//!
//! Sources: AWS guide "Invoke endpoints with OpenAI-compatible APIs"; sagemaker-core 2.27.0, `token_generator`;
//! aws-bedrock-token-generator 1.1.0.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use data_encoding::BASE64;
use http::Request;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};

/// A service whose runtime takes bearer tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenService {
    /// Bedrock.
    Bedrock,
    /// SageMaker.
    SageMaker,
}

impl TokenService {
    /// Name of the service in signatures.
    const fn name(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::SageMaker => "sagemaker",
        }
    }

    /// Host of the presigned call, in every region.
    fn host(self) -> String {
        format!("{}.amazonaws.com", self.name())
    }

    /// Mark of the tokens.
    fn prefix(self) -> String {
        format!("{}-api-key-", self.name())
    }
}

/// A token of these credentials for the endpoints of a service in one region. It ends after `life`, and with the session behind
/// the credentials.
///
/// # Errors
/// `Bug` if it cannot be signed.
pub fn bearer_token(
    service: TokenService,
    keys: &Keys,
    region: &str,
    life: Duration,
    now: SystemTime,
) -> Result<Redacted, ProviderError> {
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
        .name(service.name())
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| bug(&error))?
        .into();
    let host = service.host();
    let uri = format!("https://{host}/?Action=CallWithBearerToken");
    let headers = [("host", host.as_str())].into_iter();
    let signable =
        SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(&[])).map_err(|error| bug(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| bug(&error))?.into_parts();
    let mut request = Request::post(&uri).body(()).map_err(|error| bug(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    let presigned = request.uri().to_string();
    let presigned = presigned.strip_prefix("https://").unwrap_or_default();
    let encoded = BASE64.encode(format!("{presigned}&Version=1").as_bytes());
    Ok(Redacted::new(format!("{}{encoded}", service.prefix())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_presigned_call_that_names_its_region_and_its_end() {
        let keys = Keys::new("AKIA1", "canary", Some("session".to_owned()), None, "test");
        for (service, name) in [(TokenService::Bedrock, "bedrock"), (TokenService::SageMaker, "sagemaker")] {
            let life = Duration::from_mins(5);
            let token = bearer_token(service, &keys, "eu-west-1", life, SystemTime::UNIX_EPOCH).unwrap();
            let inside = token.expose().strip_prefix(&format!("{name}-api-key-")).unwrap();
            let inside = String::from_utf8(BASE64.decode(inside.as_bytes()).unwrap()).unwrap();
            assert!(inside.starts_with(&format!("{name}.amazonaws.com/?Action=CallWithBearerToken&")), "{inside}");
            for part in [
                "X-Amz-Expires=300",
                &format!("X-Amz-Credential=AKIA1%2F19700101%2Feu-west-1%2F{name}%2Faws4_request"),
                "X-Amz-SignedHeaders=host",
                "X-Amz-Security-Token=session",
                "X-Amz-Signature=",
            ] {
                assert!(inside.contains(part), "{part} is not in {inside}");
            }
            assert!(inside.ends_with("&Version=1") && !inside.contains("canary"));
        }
    }
}
