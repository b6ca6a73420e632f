//! Signature Version 4: recomputed for every request, in headers and in the presigned calls that are bearer tokens.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

use super::settings::LongLivedKey;
use crate::cloud::Call;
use crate::query::decoded;

/// Requests that were signed earlier or later than this are refused.
const SKEW_MILLIS: i64 = 15 * 60 * 1000;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The bearer tokens of one service.
pub struct TokenForm {
    prefix: &'static str,
    host: &'static str,
    service: &'static str,
}

/// Those of SageMaker's OpenAI route.
pub const SAGEMAKER_TOKENS: TokenForm =
    TokenForm { prefix: "sagemaker-api-key-", host: "sagemaker.amazonaws.com", service: "sagemaker" };
/// Those of Bedrock's runtime.
pub const BEDROCK_TOKENS: TokenForm =
    TokenForm { prefix: "bedrock-api-key-", host: "bedrock.amazonaws.com", service: "bedrock" };

/// Keys of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Id of the key.
    pub id: String,
    /// Secret of the key.
    pub secret: String,
    /// Account of the caller.
    pub account: String,
    /// ARN of the caller.
    pub arn: String,
    /// Token and expiry in milliseconds since 1970, where the key belongs to a session.
    pub session: Option<(String, i64)>,
}

impl AccessKey {
    /// The key of an account's user.
    pub fn long_lived(key: &LongLivedKey) -> Self {
        Self {
            id: key.id.clone(),
            secret: key.secret.clone(),
            account: key.account.clone(),
            arn: format!("arn:aws:iam::{}:user/clouds", key.account),
            session: None,
        }
    }
}

/// A caller whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Account.
    pub account: String,
    /// ARN.
    pub arn: String,
    /// Region that the request is for.
    pub region: String,
}

/// Fault of a signature: code and text of the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureFault(pub &'static str, pub &'static str);

const MISSING: SignatureFault = SignatureFault("MissingAuthenticationTokenException", "Missing Authentication Token");
const INCOMPLETE: SignatureFault =
    SignatureFault("IncompleteSignatureException", "The Authorization header or its parts are malformed.");
const UNKNOWN: SignatureFault =
    SignatureFault("UnrecognizedClientException", "The security token included in the request is invalid.");
const EXPIRED: SignatureFault =
    SignatureFault("ExpiredTokenException", "The security token included in the request is expired");
const WRONG: SignatureFault = SignatureFault(
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
);
const OLD: SignatureFault = SignatureFault("InvalidSignatureException", "Signature expired");
const SCOPE: SignatureFault =
    SignatureFault("InvalidSignatureException", "Credential should be scoped to the correct service.");

/// The moments against which a signature is judged, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The machine's time, with which callers sign.
    pub machine: i64,
    /// The services' time, at which sessions and tokens expire.
    pub service: i64,
}

/// Parts of a signature.
struct Signed<'a> {
    key: &'a str,
    /// Day, region, service and the final word.
    scope: [&'a str; 4],
    date: &'a str,
    headers: &'a str,
    signature: &'a str,
}

/// The caller of a request whose headers are signed for `service`.
///
/// # Errors
/// The fault of the signature.
pub fn of_headers(call: &Call, service: &str, keys: &[AccessKey], at: Moment) -> Result<Caller, SignatureFault> {
    let authorization = call.header("authorization");
    if authorization.is_empty() {
        return Err(MISSING);
    }
    let fields = authorization.strip_prefix(ALGORITHM).ok_or(INCOMPLETE)?;
    let fields: BTreeMap<&str, &str> = fields.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let field = |name| fields.get(name).copied().ok_or(INCOMPLETE);
    let (key, scope) = scope(field("Credential")?).ok_or(INCOMPLETE)?;
    let date = call.header("x-amz-date");
    let signed = Signed { key, scope, date, headers: field("SignedHeaders")?, signature: field("Signature")? };
    let key = known(&signed, service, keys, at)?;
    if let Some((token, _)) = &key.session
        && call.header("x-amz-security-token") != token
    {
        return Err(UNKNOWN);
    }
    if (moment(date).ok_or(INCOMPLETE)? - at.machine).abs() > SKEW_MILLIS {
        return Err(OLD);
    }
    let headers = signed.headers.split(';').map(|name| (name, call.header(name).trim().to_owned()));
    let path: Vec<String> = call.path.split('/').map(encoded).collect();
    let request =
        canonical(call.method.as_str(), &path.join("/"), &sorted(&call.query, None), headers, &hash(&call.body));
    check(&signed, key, &request)
}

/// The caller of a bearer token, which is a presigned call.
///
/// # Errors
/// The fault of the token.
pub fn of_token(token: &str, form: &TokenForm, keys: &[AccessKey], at: Moment) -> Result<Caller, SignatureFault> {
    let text = token.strip_prefix(form.prefix).ok_or(UNKNOWN)?;
    let text = BASE64.decode(text.as_bytes()).map_err(|_| UNKNOWN)?;
    let text = String::from_utf8(text).map_err(|_| UNKNOWN)?;
    let text = text.strip_suffix("&Version=1").ok_or(UNKNOWN)?;
    let query = text.strip_prefix(form.host).and_then(|rest| rest.strip_prefix("/?")).ok_or(UNKNOWN)?;
    let fields: BTreeMap<&str, String> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name, decoded(value))).collect();
    let field = |name| fields.get(name).map(String::as_str).ok_or(INCOMPLETE);
    if field("Action")? != "CallWithBearerToken" {
        return Err(UNKNOWN);
    }
    let (key, scope) = scope(field("X-Amz-Credential")?).ok_or(INCOMPLETE)?;
    let (date, signature) = (field("X-Amz-Date")?, field("X-Amz-Signature")?);
    let signed = Signed { key, scope, date, headers: field("X-Amz-SignedHeaders")?, signature };
    let key = known(&signed, form.service, keys, at)?;
    if let Some((token, _)) = &key.session
        && field("X-Amz-Security-Token")? != token
    {
        return Err(UNKNOWN);
    }
    let life: i64 = field("X-Amz-Expires")?.parse().map_err(|_| INCOMPLETE)?;
    if !(1..=43_200).contains(&life) || moment(date).ok_or(INCOMPLETE)? + life * 1000 < at.service {
        return Err(EXPIRED);
    }
    let headers = [("host", form.host.to_owned())].into_iter();
    let request = canonical("POST", "/", &sorted(query, Some("X-Amz-Signature")), headers, &hash(b""));
    check(&signed, key, &request)
}

fn scope(credential: &str) -> Option<(&str, [&str; 4])> {
    let (key, scope) = credential.split_once('/')?;
    Some((key, scope.split('/').collect::<Vec<_>>().try_into().ok()?))
}

/// The key, if it exists and has not expired, and the signature is for this service.
fn known<'a>(
    signed: &Signed<'_>,
    service: &str,
    keys: &'a [AccessKey],
    at: Moment,
) -> Result<&'a AccessKey, SignatureFault> {
    let key = keys.iter().find(|key| key.id == signed.key).ok_or(UNKNOWN)?;
    if key.session.as_ref().is_some_and(|(_, until)| *until <= at.service) {
        return Err(EXPIRED);
    }
    let [day, _, scoped, last] = signed.scope;
    if scoped != service || last != "aws4_request" || !signed.date.starts_with(day) {
        return Err(SCOPE);
    }
    Ok(key)
}

fn check(signed: &Signed<'_>, key: &AccessKey, request: &str) -> Result<Caller, SignatureFault> {
    let scope = signed.scope.join("/");
    let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", signed.date, hash(request.as_bytes()));
    let first = format!("AWS4{}", key.secret).into_bytes();
    let secret = signed.scope.iter().fold(first, |secret, part| hmac(&secret, part.as_bytes()).to_vec());
    if HEXLOWER.encode(&hmac(&secret, text.as_bytes())) != signed.signature {
        return Err(WRONG);
    }
    let region = signed.scope[1].to_owned();
    Ok(Caller { account: key.account.clone(), arn: key.arn.clone(), region })
}

fn canonical<'a>(
    method: &str,
    path: &str,
    query: &str,
    headers: impl Iterator<Item = (&'a str, String)>,
    payload: &str,
) -> String {
    let headers: Vec<(&str, String)> = headers.collect();
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    format!("{method}\n{path}\n{query}\n{}\n\n{}\n{payload}", lines.join("\n"), names.join(";"))
}

/// The pairs of a query in order, without the one called `without`.
fn sorted(query: &str, without: Option<&str>) -> String {
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| Some(*name) != without)
        .map(|(name, value)| format!("{}={}", encoded(&decoded(name)), encoded(&decoded(value))))
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// HMAC (RFC 2104) with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// The text with every byte escaped that is not unreserved.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Milliseconds since 1970 of a time like `20150830T123600Z`.
fn moment(date: &str) -> Option<i64> {
    let time = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", date).ok()?.to_datetime().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, Method};

    /// The key of AWS's own examples.
    fn keys(session: Option<(String, i64)>) -> Vec<AccessKey> {
        vec![AccessKey {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            account: "123456789012".to_owned(),
            arn: "arn:aws:iam::123456789012:user/test".to_owned(),
            session,
        }]
    }

    /// Case `get-vanilla` of AWS's test suite for Signature Version 4.
    fn vanilla() -> Call {
        let mut headers = HeaderMap::new();
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        headers.insert("host", "example.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20150830T123600Z".parse().unwrap());
        headers.insert("authorization", authorization.parse().unwrap());
        Call { method: Method::GET, path: "/".into(), query: String::new(), headers, body: bytes::Bytes::new() }
    }

    fn at(date: &str) -> Moment {
        let millis = moment(date).unwrap();
        Moment { machine: millis, service: millis }
    }

    #[test]
    fn the_published_example_is_right() {
        let caller = of_headers(&vanilla(), "service", &keys(None), at("20150830T124000Z")).unwrap();
        assert_eq!((caller.account.as_str(), caller.region.as_str()), ("123456789012", "us-east-1"));
    }

    #[test]
    fn a_change_of_anything_signed_is_found() {
        let now = at("20150830T124000Z");
        let refused = |call: &Call, service: &str| of_headers(call, service, &keys(None), now).unwrap_err();
        let mut call = vanilla();
        call.headers.remove("authorization");
        assert_eq!(refused(&call, "service"), MISSING);
        let mut call = vanilla();
        call.body = "x".into();
        assert_eq!(refused(&call, "service"), WRONG);
        let mut call = vanilla();
        call.path = "/other".into();
        assert_eq!(refused(&call, "service"), WRONG);
        assert_eq!(refused(&vanilla(), "sagemaker"), SCOPE);
        assert_eq!(of_headers(&vanilla(), "service", &[], now).unwrap_err(), UNKNOWN);
        assert_eq!(of_headers(&vanilla(), "service", &keys(None), at("20150830T130000Z")).unwrap_err(), OLD);
    }

    #[test]
    fn a_session_needs_its_token_and_ends() {
        let now = at("20150830T124000Z");
        let session = |until| keys(Some(("token".to_owned(), until)));
        assert_eq!(of_headers(&vanilla(), "service", &session(now.service + 1), now).unwrap_err(), UNKNOWN);
        assert_eq!(of_headers(&vanilla(), "service", &session(now.service), now).unwrap_err(), EXPIRED);
    }

    #[test]
    fn anything_else_is_no_token() {
        for token in ["", "sagemaker-api-key-", "sagemaker-api-key-!!", "hf_token"] {
            assert_eq!(
                of_token(token, &SAGEMAKER_TOKENS, &keys(None), at("20150830T124000Z")).unwrap_err(),
                UNKNOWN,
                "{token}"
            );
        }
    }
}
