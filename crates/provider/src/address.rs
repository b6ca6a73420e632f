//! Which addresses the operator lets others send it to: a kubeconfig names a server, a member names where it answers.
//!
//! The check applies to the address of the connection, after name resolution: forms such as `0x7f.1`, `2130706433` and
//! `::ffff:127.0.0.1` mean the same address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::net::TcpStream;

/// The longest that resolving a name and connecting may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Metadata services of clouds outside the link-local range.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
/// The same for IPv6.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Which addresses may be reached.
pub type Reach = fn(IpAddr) -> bool;

/// Whatever others say, leads neither to the operator's own machine nor to a cloud's metadata service.
#[must_use]
pub fn elsewhere(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => elsewhere_v4(address),
        IpAddr::V6(address) => elsewhere_v6(address),
    }
}

/// True for every address: the operator's flags allow all of them.
#[must_use]
pub fn anywhere(_: IpAddr) -> bool {
    true
}

fn elsewhere_v4(address: Ipv4Addr) -> bool {
    // All of 0.0.0.0/8 means "this host" somewhere.
    let this_host = address.octets()[0] == 0 || address.is_loopback();
    let one_host = !address.is_multicast() && !address.is_broadcast();
    !this_host && one_host && !address.is_link_local() && !METADATA_V4.contains(&address)
}

fn elsewhere_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded_v4(address) {
        return elsewhere_v4(inner);
    }
    let site_local = address.segments()[0] & 0xffc0 == 0xfec0;
    let own = address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() || site_local;
    !own && !address.is_multicast() && !METADATA_V6.contains(&address)
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, translated (NAT64) or tunnelled (6to4).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Not ::, not ::1: the deprecated compatible form.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        _ => None,
    }
}

/// Connects to the first address of `host` that may be reached and answers.
///
/// # Errors
/// `PermissionDenied` where `host` has addresses and none may be reached; else what resolving or connecting said.
pub async fn connect(host: &str, port: u16, reach: Reach) -> io::Result<TcpStream> {
    let attempt = async {
        let addresses = tokio::net::lookup_host((host, port)).await?;
        let mut failure = io::Error::new(
            io::ErrorKind::PermissionDenied,
            "its address is loopback, link-local or a metadata service; the operator does not connect to it",
        );
        for address in addresses.filter(|address| reach(address.ip())) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    };
    match tokio::time::timeout(TIMEOUT, attempt).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", TIMEOUT.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_an_address_leads_to_the_operator_or_to_a_metadata_service() {
        for address in [
            "127.0.0.1",
            "127.255.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "::127.0.0.1",
            "::169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!elsewhere(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn clusters_and_endpoints_may_be_in_private_networks() {
        for address in
            ["10.0.0.1", "192.168.1.1", "100.64.0.1", "203.0.113.7", "2001:db8::1", "fd12::1", "::ffff:10.0.0.1"]
        {
            assert!(elsewhere(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn other_words_for_the_same_place_are_refused_where_the_connection_is_made() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect("127.0.0.1", port, anywhere).await.is_ok());
        for host in ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "0", "::1"] {
            let error = connect(host, port, elsewhere).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{host}: {error}");
        }
    }
}
