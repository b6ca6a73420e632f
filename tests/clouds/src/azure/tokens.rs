//! Tokens of Microsoft Entra ID: for the secret of an application, or for a token of a cluster that it trusts.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fault::{ArmFault, MEDIA};
use super::rules;
use super::settings::{EntraApplication, EntraDirectory};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Reply};
use crate::query;

/// Kind of an assertion that is a JWT.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Tokens that were given, with their audiences and their ends by the machine's clock.
#[derive(Debug, Default)]
pub struct EntraTokens {
    given: BTreeMap<String, (String, i64)>,
}

impl EntraTokens {
    /// Refuses a call without a valid token for this audience ([`rules::TOKEN`]).
    pub fn accept(&self, call: &Call, audience: &str, directory: EntraDirectory<'_>) -> Result<(), ArmFault> {
        let token = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if directory.tokens.iter().any(|known| known == token) {
            return Ok(());
        }
        let refused = |code, message: String| Err(ArmFault::new(401, code, &rules::TOKEN, message));
        match self.given.get(token) {
            Some((own, _)) if own != audience => {
                refused("InvalidAuthenticationTokenAudience", format!("The token is for {own}, not for {audience}."))
            }
            Some((_, end)) if VirtualClock::machine_millis() < *end => Ok(()),
            Some(_) => refused("ExpiredAuthenticationToken", "The access token expired.".to_owned()),
            None => refused("InvalidAuthenticationToken", "The access token is invalid.".to_owned()),
        }
    }

    /// Ends every token that was given.
    pub fn revoke(&mut self) {
        self.given.clear();
    }

    /// A token for a secret or for a token of a cluster ([`rules::EXCHANGE`]).
    pub fn exchange(&mut self, call: &Call, tenant: &str, directory: EntraDirectory<'_>) -> Reply {
        let form = query::form(&call.body);
        let asked = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if tenant != directory.tenant {
            return refused("invalid_request", &format!("AADSTS90002: Tenant '{tenant}' not found."));
        }
        let known = directory.applications.iter().find(|known| known.client == asked("client_id"));
        let Some(known) = known else {
            let message = format!("AADSTS700016: Application with identifier '{}' was not found.", asked("client_id"));
            return refused("unauthorized_client", &message);
        };
        if asked("grant_type") != "client_credentials" {
            return refused("unsupported_grant_type", "AADSTS70003: The grant type is not supported.");
        }
        if let Err(message) = proves(known, &asked) {
            return refused("invalid_client", message);
        }
        let Some(audience) = asked("scope").split(' ').find_map(|scope| scope.strip_suffix("/.default")) else {
            return refused("invalid_scope", "AADSTS1002012: The scope must end with /.default.");
        };
        let seconds = directory.token_seconds;
        let end = VirtualClock::machine_millis() + i64::from(seconds) * 1000;
        let token = format!("eyJ0.fake-{}-{end}", self.given.len());
        self.given.insert(token.clone(), (audience.to_owned(), end));
        let body =
            json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token});
        Reply::new(StatusCode::OK, MEDIA, body.to_string()).by(&rules::EXCHANGE)
    }
}

/// Accepts the proof of an application's identity.
fn proves<'a>(known: &EntraApplication, asked: &impl Fn(&str) -> &'a str) -> Result<(), &'static str> {
    if asked("client_assertion_type") == ASSERTION {
        let trusted = known.federated.iter().any(|token| token == asked("client_assertion"));
        return trusted.then_some(()).ok_or("AADSTS70021: No matching federated identity record found.");
    }
    let secret = asked("client_secret");
    (!secret.is_empty() && secret == known.secret).then_some(()).ok_or("AADSTS7000215: Invalid client secret provided.")
}

fn refused(code: &str, message: &str) -> Reply {
    let status = if code == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let now = VirtualClock::machine_millis();
    let trace = format!("{:08x}-0000-4000-8000-000000000000", now & 0xffff_ffff);
    let told = format!("{message} Trace ID: {trace} Correlation ID: {trace} Timestamp: {now}");
    let body = json!({"error": code, "error_description": told, "error_codes": [], "trace_id": trace});
    Reply::new(status, MEDIA, body.to_string()).by(&rules::EXCHANGE)
}

/// The addresses of a directory, which clients ask for first ([`rules::DISCOVERY`]).
pub fn discovery(origin: &str, tenant: &str) -> Value {
    json!({
        "issuer": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        "authorization_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{origin}/{tenant}/oauth2/v2.0/token"),
    })
}
