//! OAuth tokens: of the metadata server, for a signed JWT, for a token of another issuer, and of an account that another one may act as.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::fault::{Answer, MEDIA, VertexFault};
use super::rules;
use super::settings::{AUDIENCE, PRINCIPAL, ServiceAccount, VertexAiSettings, WORKLOAD};
use crate::clock::{VirtualClock, rfc3339_seconds};
use crate::cloud::{Call, Reply};

/// The scope of every call.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The grant of a signed JWT.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Scope of a token with which Google's client only asks for one of another account.
const IAM_SCOPE: &str = "https://www.googleapis.com/auth/iam";
/// The grant of a token of another issuer, the kind of token that it gives, and the kinds that it takes.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const SUBJECT_TYPES: [&str; 2] = ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// Longest life of a JWT and of a token, in seconds.
const LONGEST: i64 = 3600;

/// Tokens that were given, with their accounts and their ends by the machine's clock.
#[derive(Debug, Default)]
pub struct Tokens {
    given: BTreeMap<String, (String, i64)>,
}

impl Tokens {
    /// The account of a valid token; the tokens of the settings are those of the workload.
    pub fn account(&self, call: &Call, settings: &VertexAiSettings) -> Result<String, VertexFault> {
        let token = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if settings.tokens.iter().any(|known| known == token) {
            return Ok(WORKLOAD.to_owned());
        }
        let known = self.given.get(token).filter(|(_, end)| VirtualClock::machine_millis() < *end);
        known.map(|(account, _)| account.clone()).ok_or_else(unauthenticated)
    }

    /// Ends every token that was given.
    pub fn revoke(&mut self) {
        self.given.clear();
    }

    fn give(&mut self, account: &str, seconds: i64) -> (String, i64) {
        let end = VirtualClock::machine_millis() + seconds * 1000;
        let token = format!("ya29.fake-{}-{}", self.given.len(), end);
        self.given.insert(token.clone(), (account.to_owned(), end));
        (token, end)
    }

    /// The metadata server of a pod or machine ([`rules::METADATA`]).
    pub fn metadata(&mut self, call: &Call, settings: &VertexAiSettings) -> Reply {
        if call.header("metadata-flavor") != "Google" || call.method != Method::GET {
            return Reply::new(StatusCode::FORBIDDEN, "text/html", "Missing Metadata-Flavor:Google header.")
                .by(&rules::METADATA);
        }
        let (token, _) = self.give(WORKLOAD, i64::from(settings.token_seconds));
        let body = json!({"access_token": token, "expires_in": settings.token_seconds, "token_type": "Bearer"});
        Reply::new(StatusCode::OK, "application/json", body.to_string())
            .with("metadata-flavor", "Google")
            .by(&rules::METADATA)
    }

    /// The exchange of a signed JWT ([`rules::KEY_EXCHANGE`]).
    pub fn exchange(&mut self, call: &Call, settings: &VertexAiSettings) -> Reply {
        let refused = |text: &str| {
            let body = json!({"error": "invalid_grant", "error_description": text});
            Reply::new(StatusCode::BAD_REQUEST, MEDIA, body.to_string()).by(&rules::KEY_EXCHANGE)
        };
        let form = crate::query::form(&call.body);
        if form.get("grant_type").is_none_or(|grant| grant != GRANT) {
            return refused("unsupported grant_type");
        }
        let assertion = form.get("assertion").map(String::as_str).unwrap_or_default();
        let account = match signed_by(assertion, &settings.accounts) {
            Ok(account) => account,
            Err(text) => return refused(text),
        };
        let (token, _) = self.give(&account, i64::from(settings.token_seconds));
        let body = json!({"access_token": token, "expires_in": settings.token_seconds, "token_type": "Bearer"});
        Reply::new(StatusCode::OK, MEDIA, body.to_string()).by(&rules::KEY_EXCHANGE)
    }

    /// The exchange of a token of another issuer ([`rules::FEDERATED`]).
    pub fn federate(&mut self, call: &Call, settings: &VertexAiSettings) -> Reply {
        let form = crate::query::form(&call.body);
        let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let refused = |error: &str, text: &str| {
            let body = json!({"error": error, "error_description": text});
            Reply::new(StatusCode::BAD_REQUEST, MEDIA, body.to_string()).by(&rules::FEDERATED)
        };
        if text("grant_type") != TOKEN_EXCHANGE || text("requested_token_type") != ACCESS_TOKEN {
            return refused("invalid_request", "Invalid value for \"grant_type\" or \"requested_token_type\".");
        }
        if !SUBJECT_TYPES.contains(&text("subject_token_type")) || ![SCOPE, IAM_SCOPE].contains(&text("scope")) {
            return refused("invalid_request", "Invalid value for \"subject_token_type\" or \"scope\".");
        }
        if text("audience") != AUDIENCE {
            return refused(
                "invalid_target",
                "The target service indicated by the \"audience\" parameters is invalid.",
            );
        }
        if !settings.subject_tokens.iter().any(|known| known == text("subject_token")) {
            return refused("invalid_grant", "Unable to parse the ID Token.");
        }
        let (token, _) = self.give(PRINCIPAL, i64::from(settings.token_seconds));
        let body = json!({
            "access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer",
            "expires_in": settings.token_seconds,
        });
        Reply::new(StatusCode::OK, MEDIA, body.to_string()).by(&rules::FEDERATED)
    }

    /// A token of `email` for somebody else ([`rules::IMPERSONATED`]).
    pub fn impersonate(&mut self, call: &Call, email: &str, settings: &VertexAiSettings) -> Answer {
        let caller = self.account(call, settings)?;
        let known = settings.accounts.iter().find(|known| known.email == email);
        if known.is_none_or(|known| !known.impersonated_by.contains(&caller)) {
            let message = format!(
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource {email} (or it may not exist)."
            );
            return Err(VertexFault::new(403, "PERMISSION_DENIED", &rules::IMPERSONATED, message));
        }
        let body = call.json().unwrap_or_default();
        let scoped = body["scope"].as_array().is_some_and(|scopes| scopes.iter().any(|scope| scope == SCOPE));
        let life = body["lifetime"].as_str().and_then(|life| life.strip_suffix('s')?.parse().ok()).unwrap_or(LONGEST);
        if !scoped || life > LONGEST {
            return Err(VertexFault::invalid(&rules::IMPERSONATED, "The scope or the lifetime is not allowed."));
        }
        let (token, end) = self.give(email, life);
        Ok(json!({"accessToken": token, "expireTime": rfc3339_seconds(end)}))
    }
}

fn unauthenticated() -> VertexFault {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                   valid authentication credential.";
    VertexFault::new(401, "UNAUTHENTICATED", &rules::TOKEN, message)
}

/// The account whose key has signed this JWT.
fn signed_by(jwt: &str, accounts: &[ServiceAccount]) -> Result<String, &'static str> {
    let (signed, signature) = jwt.rsplit_once('.').ok_or("Invalid JWT")?;
    let (header, claims) = signed.split_once('.').ok_or("Invalid JWT")?;
    let read =
        |part: &str| -> Option<Value> { serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?).ok() };
    let (header, claims) = (read(header).ok_or("Invalid JWT header")?, read(claims).ok_or("Invalid JWT claims")?);
    let email = claims["iss"].as_str().unwrap_or_default();
    let account = accounts.iter().find(|known| known.email == email && !known.public_key.is_empty());
    let account = account.ok_or("Invalid grant: account not found")?;
    let key = BASE64.decode(account.public_key.as_bytes()).map_err(|_| "Invalid key")?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| "Invalid JWT Signature.")?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    if header["alg"] != "RS256" || key.verify(signed.as_bytes(), &signature).is_err() {
        return Err("Invalid JWT Signature.");
    }
    let now = VirtualClock::machine_millis() / 1000;
    let (from, end) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
    if end <= now || end - from > LONGEST || from > now + 60 {
        return Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.");
    }
    let is_for = claims["aud"].as_str().is_some_and(|audience| audience.ends_with("/token"));
    let scoped = claims["scope"].as_str().is_some_and(|scopes| scopes.split(' ').any(|scope| scope == SCOPE));
    if is_for && scoped { Ok(account.email.clone()) } else { Err("Invalid JWT: audience or scope") }
}
