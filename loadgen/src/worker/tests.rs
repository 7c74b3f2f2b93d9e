//! Workers on a simulated kernel, against a server that does whatever a seed says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rim_driver::sim::{End, Faults, Files, Net, Peer, Received};
use rim_driver::{Driver, Sim, Time};

use super::{Share, Ties, Window, Worker};
use crate::errors::ErrorClass;
use crate::plan::Plan;
use crate::tally::Tally;

const SEEDS: u64 = 300;
const CONNECTIONS: u32 = 7;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end";

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Answer,
    AnswerAndClose,
    Garbage,
    Stop,
    CloseEarly,
    Reset,
}

/// A server in the simulated world. It counts what it does.
struct Server {
    rng: Rng,
    listener: u32,
    open: Vec<(End, Vec<u8>)>,
    deeds: Vec<Deed>,
}

impl Server {
    fn new(net: &mut Net, address: SocketAddr, rng: Rng, deeds: &[Deed]) -> Self {
        let listener = net.listen(address, 128);
        Self { rng, listener, open: Vec::new(), deeds: deeds.to_vec() }
    }

    /// Serves a connection; whether it stays.
    fn serve(&mut self, net: &mut Net, end: End, pending: &mut Vec<u8>) -> bool {
        match net.receive(end, usize::MAX, pending) {
            Ok(Received::Bytes(_)) => {}
            Ok(Received::Nothing) => return true,
            Ok(Received::EndOfStream) | Err(_) => {
                net.close(end);
                return false;
            }
        }
        if !pending.ends_with(b"\r\n\r\n") {
            return true;
        }
        pending.clear();
        let deed = self.deeds[self.rng.usize(..self.deeds.len())];
        let (bytes, stays) = match deed {
            Deed::Answer => (OK, true),
            Deed::AnswerAndClose => (CLOSE, false),
            Deed::Garbage => (&b"SSH-2.0\r\n"[..], true),
            Deed::Stop => (&OK[..40], true),
            Deed::CloseEarly => (&OK[..20], false),
            Deed::Reset => (&b""[..], false),
        };
        // The window is larger than any of these.
        let _ = net.send(end, bytes);
        match deed {
            Deed::Reset => net.reset(end),
            _ if !stays => net.close(end),
            _ => {}
        }
        stays
    }
}

impl Peer for Server {
    fn act(&mut self, _: Time, net: &mut Net, _: &mut Files) -> Option<Time> {
        while let Some(end) = net.accept(self.listener) {
            self.open.push((end, Vec::new()));
        }
        for (end, mut pending) in std::mem::take(&mut self.open) {
            if self.serve(net, end, &mut pending) {
                self.open.push((end, pending));
            }
        }
        None
    }
}

/// Runs a worker on the kernel of a seed for half a second of its time.
fn run(seed: u64, faults: Faults, deeds: &[Deed], requests: u64) -> Tally {
    let plan = Plan::new(
        &["http://127.0.0.1:80/".parse().unwrap()],
        CONNECTIONS,
        28_000,
        Duration::from_secs(1),
    );
    let plan = Arc::new(plan.unwrap());
    let sim = Sim::with_faults(seed, faults);
    let world = sim.world();
    {
        let mut world = world.borrow_mut();
        let address = plan.targets[0].address;
        let server = Server::new(&mut world.net, address, Rng::with_seed(seed), deeds);
        world.add_peer(server);
    }
    let share = Share { plan, first: 0, connections: CONNECTIONS, connects_at_once: 3 };
    let mut worker = Worker::new(sim, share, Ties::default());
    worker.open(Duration::from_secs(1)).unwrap();
    let start = worker.driver.now();
    let window = Window {
        start,
        end: (requests == u64::MAX).then(|| start + Duration::from_millis(500)),
        requests,
        give_up_after: Duration::from_secs(2),
    };
    worker.measure(window).unwrap();
    let tally = worker.take_tally();
    worker.leave(Duration::from_secs(60)).unwrap();
    assert_eq!(worker.driver.leaks(), Vec::<String>::new(), "seed {seed}");
    assert_eq!(world.borrow().violations(), Vec::<String>::new(), "seed {seed}");
    for (law, holds) in tally.laws() {
        assert!(holds, "seed {seed}: {law}: {:?} {:?}", tally.requests, tally.connections);
    }
    tally
}

#[test]
fn no_request_is_lost_whatever_happens() {
    let all = [
        Deed::Answer,
        Deed::Answer,
        Deed::AnswerAndClose,
        Deed::Garbage,
        Deed::Stop,
        Deed::CloseEarly,
        Deed::Reset,
    ];
    let mut answered = 0;
    for seed in 0..SEEDS {
        let faults = Faults::random(&mut Rng::with_seed(seed));
        let requests = if seed % 2 == 0 { 50 } else { 200 };
        let tally = run(seed, faults, &all, requests);
        answered += tally.requests.answered;
        assert!(tally.requests.sent <= requests);
    }
    assert!(answered > SEEDS * 5, "{answered}");
}

#[test]
fn an_honest_server_on_a_kernel_that_only_splits_and_delays_answers_all() {
    for seed in 0..SEEDS {
        let faults = Faults { error: 0.0, ..Faults::random(&mut Rng::with_seed(seed)) };
        let tally = run(seed, faults, &[Deed::Answer, Deed::AnswerAndClose], 100);
        assert_eq!(tally.requests.answered, 100, "seed {seed}: {:?}", tally.errors);
        assert_eq!(tally.errors.total(), 0, "seed {seed}");
        assert_eq!(tally.connections.starved, 0, "seed {seed}");
    }
}

#[test]
fn each_deed_has_its_class() {
    for (deed, class) in [
        (Deed::Garbage, ErrorClass::MalformedResponse),
        (Deed::CloseEarly, ErrorClass::ClosedEarly),
        (Deed::Reset, ErrorClass::Reset),
    ] {
        for seed in 0..50 {
            let faults = Faults { error: 0.0, ..Faults::random(&mut Rng::with_seed(seed)) };
            let tally = run(seed, faults, &[deed], 30);
            assert_eq!(tally.errors.of(class), 30, "seed {seed}, {deed:?}: {:?}", tally.errors);
            assert_eq!(tally.requests.failed, 30, "seed {seed}");
        }
    }
}

#[test]
fn a_window_ends_in_time_with_what_is_out() {
    for seed in 0..50 {
        let tally = run(seed, Faults::none(), &[Deed::Stop], u64::MAX);
        assert_eq!(tally.requests.outstanding, u64::from(CONNECTIONS));
        assert_eq!(tally.connections.starved, u64::from(CONNECTIONS));
        assert!(tally.latency.summary().is_lower_bound());
    }
}
