//! Where connections come from.
//!
//! A connection is told from others by both addresses and both ports. To one address and port, one
//! source address carries only as many connections as there are local ports. The loopback network
//! has 16 million addresses, all of them local without further ado: there, more source addresses
//! make more connections.

use std::net::{IpAddr, Ipv4Addr};

/// The addresses of 127/8 but the first and the last, which are not for hosts.
const LOOPBACK_ADDRESSES: u32 = (1 << 24) - 2;

/// Source addresses for the connections to one address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// How many connections share a source address; `None` where the kernel chooses it.
    each: Option<u32>,
}

impl Sources {
    /// For so many connections to `target` from a machine with so many local ports; `None` if that
    /// cannot be.
    #[must_use]
    pub fn new(target: IpAddr, connections: u32, ports: u32) -> Option<Self> {
        // connect(2) looks for a free port quickly in one half of the range, and slowly in the rest.
        let half = (ports / 2).max(1);
        let is_loopback = matches!(target, IpAddr::V4(target) if target.is_loopback());
        if is_loopback && connections > half {
            let enough = connections.div_ceil(half) <= LOOPBACK_ADDRESSES;
            return enough.then_some(Self { each: Some(half) });
        }
        (connections <= ports).then_some(Self { each: None })
    }

    /// The source address of connection `index`.
    #[must_use]
    pub fn of(self, index: u32) -> Option<IpAddr> {
        let number = index / self.each?;
        let first = u32::from(Ipv4Addr::LOCALHOST);
        Some(Ipv4Addr::from(first + number).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn as_many_sources_as_ports_require() {
        for (connections, ports, addresses) in [
            (1, 28_232, 0),
            (14_116, 28_232, 0),
            (14_117, 28_232, 2),
            (100_000, 28_232, 8),
            (1_000, 100, 20),
            (3, 1, 3),
        ] {
            let sources = Sources::new(LOCAL, connections, ports).unwrap();
            let mut used: Vec<_> = (0..connections).filter_map(|i| sources.of(i)).collect();
            used.dedup();
            assert_eq!(used.len(), addresses, "{connections} over {ports}");
            assert!(used.iter().all(IpAddr::is_loopback));
        }
    }

    #[test]
    fn sources_begin_at_the_usual_address() {
        let sources = Sources::new(LOCAL, 1_000, 4).unwrap();
        assert_eq!(sources.of(0), Some(LOCAL));
        assert_eq!(sources.of(1), Some(LOCAL));
        assert_eq!(sources.of(2), Some("127.0.0.2".parse().unwrap()));
        assert_eq!(sources.of(999), Some("127.0.1.244".parse().unwrap()));
    }

    #[test]
    fn elsewhere_the_ports_are_the_limit() {
        for target in ["::1", "192.0.2.1", "2001:db8::1"] {
            let target = target.parse().unwrap();
            let sources = Sources::new(target, 100, 100).unwrap();
            assert_eq!(sources.of(99), None);
            assert_eq!(Sources::new(target, 101, 100), None);
        }
    }
}
