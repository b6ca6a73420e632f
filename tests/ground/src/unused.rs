//! Addresses of loopback for servers that tests start.

use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port. Below the range from which the kernel gives ports, so that no connection and no other server takes one.
const FIRST: u16 = 10_000;

/// An address of loopback on which nothing listens and that nobody else is given: each process has a host of its own.
///
/// A port that the kernel gives and that is closed again may be given to another test before it is used.
pub fn unused_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST);
    let [_, top, high, low] = process::id().to_be_bytes();
    // 127.64.0.0 and above; Linux numbers processes with 22 bits.
    let host = Ipv4Addr::new(127, 64 | (top & 63), high, low);
    SocketAddr::from((host, NEXT.fetch_add(1, Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn no_address_is_given_twice_and_each_can_be_bound() {
        let (first, second) = (unused_address(), unused_address());
        assert_ne!(first, second);
        assert!(TcpListener::bind(first).is_ok() && TcpListener::bind(second).is_ok());
    }
}
