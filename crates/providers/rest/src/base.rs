//! Base address of a service.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Scheme, host and port of a service, and the path that all of its calls have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

/// Permission for addresses without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insecure {
    /// Only https.
    Refused,
    /// Also http: a flag of the operator allows it, for tests.
    Allowed,
}

/// Reason why a text is no base address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It is no URL with a host.
    #[error("write it as https://HOST or https://HOST:PORT")]
    Malformed,
    /// It has a user, a query or a fragment.
    #[error("it must have no user, query or fragment")]
    Surplus,
    /// It is not https.
    #[error("it must begin with https://")]
    Plain,
}

impl BaseUrl {
    /// Reads a base address, with or without a slash at its end.
    ///
    /// # Errors
    /// [`BaseUrlError`] where it is none.
    pub fn parse(text: &str, insecure: Insecure) -> Result<Self, BaseUrlError> {
        if text.contains(['@', '#', '?']) {
            return Err(BaseUrlError::Surplus);
        }
        let parts = Uri::from_str(text).map_err(|_| BaseUrlError::Malformed)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(BaseUrlError::Malformed);
        };
        let allowed = scheme == Scheme::HTTPS || (scheme == Scheme::HTTP && insecure == Insecure::Allowed);
        if !allowed {
            return Err(BaseUrlError::Plain);
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        Ok(Self { scheme, authority, prefix: path.trim_end_matches('/').to_owned() })
    }

    /// Host, with the port if it has one: the value of the header `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Address of a call with this path.
    ///
    /// # Errors
    /// If the path is not one of a URL.
    pub fn with(&self, path: &str) -> Result<Uri, http::Error> {
        let path = format!("{}{path}", self.prefix);
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// True for an address of loopback, where a secret does not leave the machine.
#[must_use]
pub fn is_on_this_machine(address: &str) -> bool {
    address.strip_prefix("http://127.0.0.1:").is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_address_is_https_without_anything_that_could_carry_a_secret() {
        let parse = |text| BaseUrl::parse(text, Insecure::Refused);
        assert_eq!(parse("https://a.example/v2/").unwrap().to_string(), "https://a.example/v2");
        assert_eq!(parse("http://a.example"), Err(BaseUrlError::Plain));
        assert_eq!(parse("ftp://a.example"), Err(BaseUrlError::Plain));
        for surplus in ["https://user:word@a.example", "https://a.example?a=b", "https://a.example#a"] {
            assert_eq!(parse(surplus), Err(BaseUrlError::Surplus), "{surplus}");
        }
        for malformed in ["", "a.example", "/v2", "https://"] {
            assert_eq!(parse(malformed), Err(BaseUrlError::Malformed), "{malformed}");
        }
        assert!(BaseUrl::parse("http://127.0.0.1:80", Insecure::Allowed).is_ok());
    }

    #[test]
    fn the_path_of_a_call_follows_the_common_one() {
        let base = BaseUrl::parse("https://a.example:8443/v2", Insecure::Refused).unwrap();
        assert_eq!(base.with("/endpoint/team?limit=5").unwrap(), "https://a.example:8443/v2/endpoint/team?limit=5");
        assert_eq!(base.authority(), "a.example:8443");
        assert!(base.with("/a b").is_err());
    }
}
