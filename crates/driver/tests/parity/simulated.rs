//! The simulated world as an environment for scripts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rim_driver::{Driver, Listener, Sim};

use super::environment::{Environment, Made};

/// The simulated world.
pub(crate) struct Simulated {
    sim: Sim,
    last_port: u16,
}

impl Simulated {
    pub(crate) fn new(sim: Sim) -> Self {
        for directory in ["parent", "parent/root"] {
            sim.world().borrow_mut().files.make_directory(directory);
        }
        Self { sim, last_port: 8000 }
    }
}

impl Environment for Simulated {
    fn driver(&mut self) -> &mut dyn Driver {
        &mut self.sim
    }

    fn listen(&mut self, ip: IpAddr) -> Option<(Listener, SocketAddr)> {
        self.last_port += 1;
        let address = SocketAddr::new(ip, self.last_port);
        Some((self.sim.listen(address), address))
    }

    fn refusing(&mut self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 1).into()
    }

    fn silent(&mut self) -> Option<SocketAddr> {
        None
    }

    fn root(&self) -> String {
        "/parent/root".into()
    }

    fn make(&mut self, path: &str, what: Made<'_>) {
        let beside = path.strip_prefix("../").map(|path| format!("parent/{path}"));
        let path = beside.unwrap_or_else(|| format!("parent/root/{path}"));
        let world = self.sim.world();
        let files = &mut world.borrow_mut().files;
        match what {
            Made::File(content) => files.replace(&path, content),
            Made::Directory => files.make_directory(&path),
            Made::Link(target) => files.make_link(&path, target),
            Made::Fifo => files.make_fifo(&path),
        }
    }
}
