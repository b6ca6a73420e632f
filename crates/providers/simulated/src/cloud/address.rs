//! The address of a simulated cloud.

use std::str::FromStr;

use http::Uri;

/// Address of the simulated cloud: `http://HOST:PORT`, and nothing after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudAddress {
    text: String,
}

/// An address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the address of a simulated cloud; write http://HOST:PORT")]
pub struct InvalidAddress {
    text: String,
}

impl FromStr for CloudAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress { text: text.to_owned() };
        let trimmed = text.trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| invalid())?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        // A port that is no port would be passed over for the usual one, and a fragment is no part of the parsed address.
        let host = uri.host().unwrap_or_default();
        let port = uri.authority().and_then(|authority| authority.as_str().strip_prefix(host)).unwrap_or_default();
        let usual = port.is_empty() || uri.port_u16().is_some_and(|port| port > 0);
        if plain && usual && !host.is_empty() && !trimmed.contains(['@', '#']) {
            Ok(Self { text: trimmed.to_owned() })
        } else {
            Err(invalid())
        }
    }
}

impl CloudAddress {
    /// The URL of a path at the cloud.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["http://127.0.0.1:9090", "http://[::1]:9090/", "http://cloud.roadstead-system.svc:9090"] {
            assert!(good.parse::<CloudAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "cloud:9090",
            "https://a:1",
            "http://a:1/path",
            "http://a:1?q",
            "http://a:1#fragment",
            "http://user@a:1",
            "http://a:65536",
            "http://a:0",
            "http://a:",
            "http://[::1]:x",
        ] {
            assert!(bad.parse::<CloudAddress>().is_err(), "{bad}");
        }
        let address: CloudAddress = "http://127.0.0.1:9090/".parse().unwrap();
        assert_eq!(address.url("/log"), "http://127.0.0.1:9090/log");
    }
}
