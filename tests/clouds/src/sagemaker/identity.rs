//! STS: who a caller is, and sessions of roles. Its protocol is a form in and XML out.

use std::collections::BTreeMap;

use axum::http::StatusCode;

use super::rules;
use super::settings::TrustedRole;
use super::signature::{AccessKey, Caller, SignatureFault};
use crate::clock::rfc3339;
use crate::cloud::Reply;
use crate::rules::Rule;

/// Life of a session that does not ask for another one, in seconds.
const HOUR: i64 = 3600;

/// The answer of `GetCallerIdentity`.
pub fn caller(caller: &Caller) -> Reply {
    let Caller { account, arn, .. } = caller;
    answered("GetCallerIdentity", &format!("<Arn>{arn}</Arn><UserId>{account}</UserId><Account>{account}</Account>"))
}

/// A session of a role, and the answer that hands it over. `number` makes its keys unique.
///
/// # Errors
/// The refusal.
pub fn assume(
    operation: &str,
    form: &BTreeMap<String, String>,
    roles: &[TrustedRole],
    number: usize,
    now: i64,
) -> Result<(AccessKey, Reply), Box<Reply>> {
    let field = |name: &str| form.get(name).map(String::as_str);
    let arn = field("RoleArn").unwrap_or_default();
    let denied = |rule| {
        let message = format!("User is not authorized to perform: sts:{operation} on resource: {arn}");
        Box::new(refused(StatusCode::FORBIDDEN, "AccessDenied", &message).by(rule))
    };
    let role = roles.iter().find(|role| role.arn == arn).ok_or_else(|| denied(&rules::SESSION))?;
    if role.external_id.is_some() && role.external_id.as_deref() != field("ExternalId") {
        return Err(denied(&rules::EXTERNAL_ID));
    }
    if operation == "AssumeRoleWithWebIdentity" && field("WebIdentityToken").is_none_or(str::is_empty) {
        return Err(Box::new(
            refused(StatusCode::BAD_REQUEST, "InvalidIdentityToken", "No token was provided.").by(&rules::SESSION),
        ));
    }
    let seconds = field("DurationSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(HOUR);
    let until = now + seconds * 1000;
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let session = field("RoleSessionName").unwrap_or("session");
    let name = arn.rsplit('/').next().unwrap_or_default();
    let key = AccessKey {
        id: format!("ASIACLOUDS{number}"),
        secret: format!("secret-of-session-{number}"),
        arn: format!("arn:aws:sts::{account}:assumed-role/{name}/{session}"),
        account,
        session: Some((format!("token-of-session-{number}"), until)),
    };
    let reply = answered(operation, &handed(&key, until)).by(&rules::SESSION);
    Ok((key, reply))
}

fn handed(key: &AccessKey, until: i64) -> String {
    let AccessKey { id, secret, arn, session, .. } = key;
    let token = session.as_ref().map_or("", |(token, _)| token);
    let expiration = rfc3339(until);
    format!(
        "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROACLOUDS:session</AssumedRoleId></AssumedRoleUser>"
    )
}

fn answered(operation: &str, result: &str) -> Reply {
    let body = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>\
         </{operation}Response>"
    );
    Reply::new(StatusCode::OK, "text/xml", body)
}

/// A refusal in STS's envelope.
pub fn refused(status: StatusCode, code: &str, message: &str) -> Reply {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
    );
    Reply::new(status, "text/xml", body)
}

/// STS's own names for the faults of signatures.
pub fn signature(fault: SignatureFault) -> (&'static str, &'static Rule) {
    let code = match fault.0 {
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "ExpiredTokenException" => "ExpiredToken",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        _ => "IncompleteSignature",
    };
    (code, &rules::SIGNATURE)
}
