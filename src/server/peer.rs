//! The peer of a connection, by its address.

use std::net::{IpAddr, Ipv6Addr};

/// The address of one client.
///
/// For IPv6 it is the /64 network, since a host can use every address of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peer(IpAddr);

impl Peer {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(it) => {
                let [a, b, c, d, ..] = it.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_address("10.0.0.1", "10.0.0.1", true)]
    #[case::neighbours("10.0.0.1", "10.0.0.2", false)]
    #[case::in_ipv6_notation("10.0.0.1", "::ffff:10.0.0.1", true)]
    #[case::one_network("fd00::1:0:0:0:1", "fd00::1:ffff:0:0:2", true)]
    #[case::two_networks("fd00:0:0:1::1", "fd00:0:0:2::1", false)]
    fn one_client_is_one_peer(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        let of = |it: &str| Peer::of(it.parse().unwrap());
        assert_eq!(of(one) == of(other), same);
    }
}
