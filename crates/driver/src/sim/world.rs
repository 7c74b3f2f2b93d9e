//! What the simulated kernel knows: time, network, files, and who else uses them.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use super::{Faults, Files, Net};
use crate::Time;

/// The simulated time of day at the start: 2026-01-01T00:00:00Z, in seconds since 1970.
const START_UNIX: u64 = 1_767_225_600;

/// Somebody else in the simulated world: a client, or one who changes files.
pub trait Peer {
    /// Does what it wants to do now. Says when it wants to act next; if never, it is only asked
    /// again when something else has happened.
    fn act(&mut self, now: Time, net: &mut Net, files: &mut Files) -> Option<Time>;
}

/// The state of the simulated kernel.
pub struct World {
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    /// The network.
    pub net: Net,
    /// The files.
    pub files: Files,
    peers: Vec<Box<dyn Peer>>,
    now: Time,
    violations: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut world = Self {
            net: Net::new(rng.fork(), &faults),
            rng,
            faults,
            files: Files::new(),
            peers: Vec::new(),
            now: Time::ZERO,
            violations: Vec::new(),
        };
        world.set_time(Time::from_nanos(1));
        world
    }

    /// Adds somebody who acts in this world from now on.
    pub fn add_peer(&mut self, peer: impl Peer + 'static) {
        self.peers.push(Box::new(peer));
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The simulated time of day, since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_time(&self) -> Duration {
        Duration::from_secs(START_UNIX) + self.now.since(Time::ZERO)
    }

    /// What the driver's user did that no kernel would forgive.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(super) fn violation(&mut self, what: impl fmt::Display) {
        self.violations.push(format!("at {:?}: {what}", self.now.since(Time::ZERO)));
    }

    pub(super) fn set_time(&mut self, now: Time) {
        self.now = now;
        let unix_ns = self.unix_time().as_nanos();
        self.files.set_time(i128::try_from(unix_ns).expect("times fit"));
        self.net.deliver(now);
    }

    /// Lets everybody act; when the next of them wants to.
    pub(super) fn act(&mut self) -> Option<Time> {
        let mut next: Option<Time> = None;
        for peer in &mut self.peers {
            if let Some(time) = peer.act(self.now, &mut self.net, &mut self.files) {
                next = Some(next.map_or(time, |next| next.min(time)));
            }
        }
        next
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }

    /// Some time up to `longest_ns`.
    pub(super) fn delay(&mut self, longest_ns: u64) -> Duration {
        Duration::from_nanos(if longest_ns == 0 { 0 } else { self.rng.u64(0..longest_ns) })
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).finish_non_exhaustive()
    }
}
