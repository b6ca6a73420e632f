//! Where a simulated cloud is.

use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

/// Where the simulated cloud is: `http://HOST:PORT`, and nothing after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudAddress {
    text: String,
    host: IpOrName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum IpOrName {
    Ip(IpAddr),
    Name,
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
        let host = uri.host().filter(|_| plain && !trimmed.contains('@')).ok_or_else(invalid)?;
        let host = host.trim_matches(['[', ']']).parse().map_or(IpOrName::Name, IpOrName::Ip);
        Ok(Self { text: trimmed.to_owned(), host })
    }
}

impl CloudAddress {
    /// The URL of a path at the cloud.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// Whether the cloud may be at this address: a name may mean any.
    #[must_use]
    pub fn is_at(&self, address: IpAddr) -> bool {
        match self.host {
            IpOrName::Ip(own) => own == address,
            IpOrName::Name => true,
        }
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
        for bad in ["", "cloud:9090", "https://a:1", "http://a:1/path", "http://a:1?q", "http://user@a:1"] {
            assert!(bad.parse::<CloudAddress>().is_err(), "{bad}");
        }
        let address: CloudAddress = "http://127.0.0.1:9090/".parse().unwrap();
        assert_eq!(address.url("/log"), "http://127.0.0.1:9090/log");
        assert!(address.is_at("127.0.0.1".parse().unwrap()));
        assert!(!address.is_at("127.0.0.2".parse().unwrap()));
    }
}
