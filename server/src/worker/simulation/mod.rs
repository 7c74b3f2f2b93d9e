//! Workers on the simulated driver.
//!
//! A seed makes a site, clients that behave and misbehave, somebody who changes files, and a kernel
//! that is as awkward as kernels may be. The same worker code as in production runs in that world;
//! afterwards everything that clients have received is checked, and that everything has come back.

mod check;
mod client;
mod planted;
mod site;
mod tests;

use std::cell::RefCell;
use std::ffi::CString;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rim_driver::Sim;
use rim_driver::sim::Faults;

use self::client::{Client, Script};
use self::planted::{Fault, Planted};
use self::site::{Changer, Site};
use super::{Counters, Flow, Message, Worker, WorkerSettings};
use crate::files::FileSettings;
use crate::mailbox::Mailbox;
use crate::snapshot::Snapshot;

/// Where the simulated server listens.
const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);
/// Turns after which a run is not going to end.
const TURNS_MAX: u32 = 30_000;
/// Turns after the end, for operations that nobody waits for.
const LAST_TURNS: u32 = 20;
/// Simulated time after which every client has its answers, or has been given up by the server.
const CLIENTS_AT_MOST: Duration = Duration::from_secs(120);
/// Simulated time after which a worker that is told to end has finished everything or given it up.
const DRAIN_AT_MOST: Duration = Duration::from_secs(120);

/// What a run is made of.
struct Scenario {
    seed: u64,
    faults: Faults,
    /// Memory for the cache; files that do not fit are read for each answer.
    cache_bytes: u64,
    site: Site,
    /// Files change during the run.
    changes: bool,
    scripts: Vec<Script>,
    connections_max: usize,
    planted: Option<Fault>,
}

/// What a run has come to.
struct Outcome {
    clients: Vec<Rc<RefCell<Client>>>,
    site: Rc<RefCell<Site>>,
    counters: Counters,
    /// What is wrong, whatever the clients have seen.
    complaints: Vec<String>,
}

fn snapshot() -> Snapshot {
    Snapshot {
        head_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(30),
        send_timeout: Duration::from_secs(10),
        send_rate_min: 512,
        file_timeout: Duration::from_secs(20),
    }
}

fn settings(
    seed: u64,
    bytes_max: u64,
    connections_max: usize,
    mailbox: &Arc<Mailbox<Message>>,
) -> WorkerSettings {
    WorkerSettings {
        snapshot: Arc::new(snapshot()),
        files: FileSettings {
            root: CString::from(c"/srv/www"),
            index: "index.html".into(),
            bytes_max,
            worker: 0,
            workers: 1,
            seed,
        },
        connections_max,
        mailboxes: [mailbox.clone()].into(),
    }
}

impl Scenario {
    /// A run with everything in it that `seed` decides.
    fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut faults = Faults::random(&mut rng);
        // In half of the runs nothing fails, and all clients that behave get all they asked for.
        if rng.bool() {
            faults.error = 0.0;
        }
        let connections_max = if rng.bool() { 100 } else { rng.usize(1..4) };
        // A server has no more connections than places for them: then no connection is lost.
        if faults.error == 0.0 {
            faults.sockets_max = faults.sockets_max.max(connections_max);
        }
        let site = Site::random(&mut rng);
        let scripts = (0..rng.usize(1..12)).map(|_| Script::random(&mut rng, &site)).collect();
        Self {
            seed,
            faults,
            cache_bytes: if rng.bool() { 1 << 30 } else { rng.u64(0..20_000) },
            changes: rng.bool(),
            site,
            scripts,
            connections_max,
            planted: None,
        }
    }

    /// Runs until all clients are done, drains the worker, and looks at what is left.
    fn run(self) -> Outcome {
        let mut sim = Sim::with_faults(self.seed, self.faults.clone());
        let world = sim.world();
        let site = Rc::new(RefCell::new(self.site));
        site.borrow_mut().install(&mut world.borrow_mut().files);
        if self.changes {
            world.borrow_mut().add_peer(Changer::new(self.seed, site.clone()));
        }
        let clients: Vec<_> = self.scripts.into_iter().map(Client::new).collect();
        for client in &clients {
            world.borrow_mut().add_peer(client::Acting(client.clone()));
        }
        let listener = sim.listen(ADDRESS);
        let mailbox = Mailbox::new();
        let settings = settings(self.seed, self.cache_bytes, self.connections_max, &mailbox);
        let driver = Planted::new(sim, self.planted, self.seed);
        let mut worker = Worker::new(driver, vec![listener], settings);
        worker.start();
        let mut complaints = Vec::new();
        let is_done = |client: &Rc<RefCell<Client>>| client.borrow().is_done();
        let mut turns = 0;
        // Whether the worker has ended by itself.
        let mut until = |worker: &mut Worker<Planted>, at_most, is_done: &dyn Fn() -> bool| {
            let give_up = world.borrow().now() + at_most;
            while !is_done() && world.borrow().now() < give_up {
                turns += 1;
                match worker.turn() {
                    Ok(Flow::Ended) => return true,
                    Ok(Flow::Running) if turns < TURNS_MAX => {}
                    Ok(Flow::Running) => break,
                    Err(error) => complaints.push(format!("driver: {error}")),
                }
            }
            false
        };
        if !until(&mut worker, CLIENTS_AT_MOST, &|| clients.iter().all(is_done)) {
            mailbox.send(Message::Drain);
            if !until(&mut worker, DRAIN_AT_MOST, &|| false) {
                complaints.push("the worker does not drain".into());
            }
        }
        // Closes of files that nobody waits for may still be under way.
        for _ in 0..LAST_TURNS {
            let _ = worker.turn();
        }
        complaints.extend(check::leftovers(&worker));
        complaints.extend(world.borrow().violations().iter().cloned());
        let counters = worker.counters;
        Outcome { clients, site, counters, complaints }
    }
}

impl Outcome {
    /// Everything that is wrong with a run.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = self.complaints.clone();
        for (number, client) in self.clients.iter().enumerate() {
            let wrong = check::client(&client.borrow(), &self.site.borrow());
            complaints.extend(wrong.into_iter().map(|what| format!("client {number}: {what}")));
        }
        complaints
    }
}
