//! The plan of a run: what is requested, from where to where.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rim_driver::Content;

use crate::failure::CannotRun;
use crate::response::Method;
use crate::source::Sources;
use crate::url::Url;

/// What every request says of who sends it.
const USER_AGENT: &str = concat!("rimload/", env!("CARGO_PKG_VERSION"));

/// One URL, ready to be requested.
#[derive(Clone, Debug)]
pub struct Target {
    /// As it was given.
    pub url: String,
    /// Where the server is.
    pub address: SocketAddr,
    /// The whole request, shared by all connections.
    pub request: Content,
    /// Its method.
    pub method: Method,
    sources: Sources,
    /// How many of the targets are at this address, and how many of those come before this one.
    at_address: u32,
    before: u32,
}

/// From where to where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The server.
    pub to: SocketAddr,
    /// The local address; `None` leaves it to the kernel.
    pub from: Option<IpAddr>,
}

/// What all workers share: targets, which connections take in turn.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of the command line.
    pub targets: Vec<Target>,
    /// How many connections there are.
    pub connections: u32,
}

impl Plan {
    /// Resolves the names and prepares the requests, for so many connections from a machine with so
    /// many local ports.
    ///
    /// # Errors
    /// That a name cannot be resolved, or that there are too few ports.
    pub fn new(
        urls: &[Url],
        connections: u32,
        ports: u32,
        connect_timeout: Duration,
    ) -> Result<Self, CannotRun> {
        let mut known = HashMap::new();
        let mut addresses = Vec::new();
        for url in urls {
            let name = (url.host.clone(), url.port);
            let address = match known.get(&name) {
                Some(address) => *address,
                None => resolve(url, connect_timeout)?,
            };
            known.insert(name, address);
            addresses.push(address);
        }
        let cycle = urls.len() as u32;
        let mut targets: Vec<Target> = Vec::new();
        for (url, address) in urls.iter().zip(&addresses) {
            let at_address = addresses.iter().filter(|other| *other == address).count() as u32;
            // Rounded up to whole cycles, of which each takes `at_address`.
            let here = connections.div_ceil(cycle).saturating_mul(at_address);
            let here = here.min(connections);
            let too_few = CannotRun::TooFewPorts { address: *address, connections: here, ports };
            let before = targets.iter().filter(|other| other.address == *address);
            targets.push(Target {
                url: url.text.clone(),
                address: *address,
                request: Arc::new(request(url)),
                method: Method::Get,
                sources: Sources::new(address.ip(), here, ports).ok_or(too_few)?,
                at_address,
                before: before.count() as u32,
            });
        }
        Ok(Self { targets, connections })
    }

    /// The addresses of the servers, for people.
    #[must_use]
    pub fn addresses(&self) -> String {
        let addresses: BTreeSet<_> = self.targets.iter().map(|target| target.address).collect();
        let words: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        words.join(", ")
    }

    /// Which target a connection takes.
    #[inline]
    #[must_use]
    pub fn target_of(&self, connection: u32) -> usize {
        connection as usize % self.targets.len()
    }

    /// From where to where a connection goes.
    #[must_use]
    pub fn route(&self, connection: u32) -> Route {
        let target = &self.targets[self.target_of(connection)];
        let cycle = connection / self.targets.len() as u32;
        let index = cycle * target.at_address + target.before;
        Route { to: target.address, from: target.sources.of(index) }
    }
}

fn request(url: &Url) -> Vec<u8> {
    let (target, host) = (&url.target, &url.authority);
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\n\r\n")
        .into_bytes()
}

/// The address of a URL's host; of several, the first where somebody listens.
fn resolve(url: &Url, connect_timeout: Duration) -> Result<SocketAddr, CannotRun> {
    let failed = |error: io::Error| CannotRun::Unresolved(url.host.clone(), error);
    let addresses: Vec<_> =
        (url.host.as_str(), url.port).to_socket_addrs().map_err(failed)?.collect();
    if let [address] = addresses[..] {
        return Ok(address);
    }
    let answers =
        |address: &&SocketAddr| TcpStream::connect_timeout(address, connect_timeout).is_ok();
    let listening = addresses.iter().find(answers);
    let first = listening.or(addresses.first()).copied();
    first.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(urls: &[&str], connections: u32, ports: u32) -> Result<Plan, CannotRun> {
        let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
        Plan::new(&urls, connections, ports, Duration::from_secs(1))
    }

    #[test]
    fn requests_say_what_and_where() {
        let plan = plan(&["http://[::1]:8080/a?b=c"], 1, 100).unwrap();
        let expected =
            format!("GET /a?b=c HTTP/1.1\r\nHost: [::1]:8080\r\nUser-Agent: {USER_AGENT}\r\n\r\n");
        assert_eq!(plan.targets[0].request.as_slice(), expected.as_bytes());
        assert_eq!(plan.route(0).to, "[::1]:8080".parse().unwrap());
    }

    #[test]
    fn connections_take_urls_in_turn() {
        let plan = plan(&["http://127.0.0.1:1/", "http://127.0.0.1:2/"], 5, 100).unwrap();
        let ports: Vec<u16> = (0..5).map(|i| plan.route(i).to.port()).collect();
        assert_eq!(ports, [1, 2, 1, 2, 1]);
    }

    #[test]
    fn urls_at_one_address_share_its_ports() {
        let urls = ["http://127.0.0.1:1/a", "http://127.0.0.1:2/", "http://127.0.0.1:1/b"];
        let plan = plan(&urls, 30, 20).unwrap();
        for port in [1, 2] {
            let mut connections = HashMap::<_, u32>::new();
            let routes = (0..30).map(|i| plan.route(i));
            for route in routes.filter(|route| route.to.port() == port) {
                *connections.entry(route.from).or_default() += 1;
            }
            assert!(connections.values().all(|count| *count <= 10), "{connections:?}");
            assert_eq!(connections.len(), if port == 1 { 2 } else { 1 });
        }
    }

    #[test]
    fn too_few_ports_are_told_beforehand() {
        let error = plan(&["http://[::1]:1/"], 101, 100).unwrap_err();
        assert!(matches!(error, CannotRun::TooFewPorts { connections: 101, ports: 100, .. }));
        // Two addresses have twice as many.
        assert!(plan(&["http://[::1]:1/", "http://[::1]:2/"], 200, 100).is_ok());
    }
}
