//! The driver on io_uring.
//!
//! One ring per thread, made on that thread. Connected sockets live in the ring's own table,
//! received bytes land in buffers that the kernel picks, one operation accepts all connections, and
//! one receives all requests of a connection, as far as kernel and settings allow.

mod complete;
mod features;
mod in_flight;
mod prepare;
mod receive;
mod ring;
mod setup;
mod submit;

use std::collections::HashSet;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use slab::Slab;

pub use self::features::{Feature, Features, SetupError, probe};
use self::in_flight::{ConnectStage, FollowUp, Hold, InFlight, UserData};
use self::prepare::{Descriptor, IPV6_BYTES};
use self::receive::ReceiveBuffers;
use self::ring::{Ring, Wait};
use crate::pool::Pool;
use crate::wake::Wake;
use crate::{
    Clock, Completion, Counters, Driver, Errno, JobResult, Lease, Listener, Op, OpId, OpKind, Time,
    Token, Waker,
};

/// Marks a [`Socket`](crate::Socket) that is a descriptor of the process and not a place in the ring's table.
const REAL: u32 = 1 << 31;

/// How long dropping a ring waits for its operations to end before it gives their memory up.
const QUIESCE_AT_MOST: Duration = Duration::from_secs(2);

/// The driver on io_uring.
pub struct Uring {
    /// Ends before the memory below that it can see: `drop` says how.
    ring: ManuallyDrop<Ring>,
    in_flight: ManuallyDrop<InFlight>,
    receive: ManuallyDrop<ReceiveBuffers>,
    /// Operations that the kernel holds.
    requests: usize,
    features: Features,
    completions_max: usize,
    batch_bytes: usize,
    wait_completions_max: usize,
    wait_min_us: u32,
    /// Bytes of sends that are queued and not yet handed to the kernel.
    queued_bytes: usize,
    /// Completions at hand before the next look at the ring.
    ready: Vec<Completion>,
    /// What completions have asked for, to be done before the next submission.
    follow_ups: Vec<FollowUp>,
    /// How many completions the last turn brought.
    last_batch: usize,
    listeners: Slab<TcpListener>,
    files: Slab<OwnedFd>,
    /// Sockets that are descriptors of the process, for closing them in `drop`.
    real_sockets: HashSet<RawFd>,
    pool: Pool<JobResult>,
    jobs: Slab<Token>,
    wake: Wake,
    /// What made the driver unusable, until `turn` can tell it.
    broken: Option<io::Error>,
    clock: Clock,
    now: Time,
    counters: Counters,
}

impl Uring {
    /// What of the kernel's features is in use.
    #[must_use]
    pub fn features(&self) -> Features {
        self.features
    }

    /// Takes a listening socket, to be named in [`Op::Accept`].
    pub fn listen(&mut self, listener: TcpListener) -> Listener {
        Listener(id(self.listeners.insert(listener)))
    }

    /// Does what completions have asked for.
    fn follow_up(&mut self) {
        while let Some(follow_up) = self.follow_ups.pop() {
            match follow_up {
                FollowUp::ArmWake => self.arm_wake(),
                FollowUp::Connect(data) => self.connect_installed(data),
                FollowUp::PeerName(token, socket) => {
                    self.ask_peer_name(token, socket, IPV6_BYTES);
                }
                FollowUp::Free(place) => {
                    let entry = prepare::close(Descriptor::Direct(place));
                    self.push_plain(entry, UserData::IGNORED);
                }
            }
        }
    }

    /// How long the next turn may wait.
    fn wait(&self, until: Option<Time>) -> Wait {
        let at_most = match until {
            Some(until) if until <= self.now => return Wait::No,
            // What was done since the last turn took time.
            Some(until) => Some(until.since(self.clock.now())),
            None => None,
        };
        let wanted = if self.features.has(Feature::MinimumWait) { self.last_batch / 2 } else { 1 };
        let completions = wanted.clamp(1, self.wait_completions_max.max(1));
        Wait::For { completions, at_most, min_wait_us: self.wait_min_us }
    }

    /// Cancels everything and waits for the kernel to give it all back; whether it did.
    fn quiesce(&mut self) -> bool {
        let give_up = self.clock.now() + QUIESCE_AT_MOST;
        self.push_plain(prepare::cancel_everything(), UserData::IGNORED);
        let mut completions = Vec::new();
        while self.requests > 0 {
            let now = self.clock.now();
            let at_most = Some(give_up.since(now));
            let wait = Wait::For { completions: 1, at_most, min_wait_us: 0 };
            if now >= give_up || self.ring.enter(wait).is_err() {
                return false;
            }
            self.reap(&mut completions, usize::MAX);
            completions.clear();
        }
        true
    }
}

impl Driver for Uring {
    fn name(&self) -> &'static str {
        "uring"
    }

    fn submit(&mut self, token: Token, op: Op) -> OpId {
        match op {
            Op::Accept { listener, once } => self.accept(token, listener, once),
            Op::Receive { socket } => self.receive(token, socket),
            Op::Send { socket, outgoing } => self.send(token, socket, outgoing),
            Op::Connect { to, from } => self.connect(token, to, from),
            Op::PeerName { socket } => self.peer_name(token, socket),
            Op::Shutdown { socket } => {
                let entry = prepare::shutdown(Self::descriptor(socket));
                self.push_plain(entry, UserData::of_token(OpKind::Shutdown, token))
            }
            Op::Close { socket } => self.close(token, socket),
            Op::Open { path, how } => self.open(token, path, how),
            Op::Stat { file } => self.stat(token, file),
            Op::Read { file, offset, buffer, len } => self.read(token, file, offset, buffer, len),
            Op::CloseFile { file } => self.close_file(token, file),
            Op::Offload(job) => {
                let id = self.jobs.insert(token);
                self.pool.run(id as u64, job.0);
                OpId(UserData::IGNORED.0)
            }
        }
    }

    fn cancel(&mut self, id: OpId) {
        let data = UserData(id.0);
        match data.source() {
            in_flight::Source::Ignored => return,
            in_flight::Source::Token(..) => {}
            in_flight::Source::Kept { .. } => {
                // A connect that is still to follow would not be found.
                self.follow_up();
                let Some(entry) = self.in_flight.get(data) else {
                    return;
                };
                if let Hold::Connect { stage: ConnectStage::Installing { cancelled, .. }, .. } =
                    &mut entry.hold
                {
                    *cancelled = true;
                    return;
                }
                entry.is_cancelled = true;
            }
        }
        self.push_plain(prepare::cancel(id.0), UserData::IGNORED);
    }

    fn turn(&mut self, until: Option<Time>, completions: &mut Vec<Completion>) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.follow_up();
        self.receive.publish();
        let is_at_hand = !self.ready.is_empty() || self.ring.has_completions();
        let wait = if is_at_hand { Wait::No } else { self.wait(until) };
        completions.append(&mut self.ready);
        self.queued_bytes = 0;
        self.counters.enters += 1;
        self.ring.enter(wait)?;
        self.now = self.clock.now();
        self.last_batch = self.reap(completions, self.completions_max);
        Ok(())
    }

    #[inline]
    fn received(&self, lease: &Lease) -> &[u8] {
        self.receive.bytes(lease)
    }

    #[inline]
    fn release(&mut self, lease: Lease) {
        self.receive.release(lease.id);
    }

    #[inline]
    fn now(&self) -> Time {
        self.now
    }

    fn unix_time(&self) -> Duration {
        self.clock.unix()
    }

    fn waker(&self) -> Waker {
        self.wake.waker()
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}

impl Drop for Uring {
    /// The kernel may write to buffers and read from bodies as long as an operation is in flight,
    /// and closing a ring only asks for their end. So all is cancelled first and waited for; what
    /// does not come back in time keeps its memory for ever.
    fn drop(&mut self) {
        let is_quiet = if std::thread::panicking() {
            // Closes that are queued have descriptors that nobody else knows any more.
            let _ = self.ring.enter(Wait::No);
            false
        } else {
            self.quiesce()
        };
        // SAFETY: not used again; `self` is being dropped.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
        if is_quiet {
            // SAFETY: as above; the kernel holds nothing of it any more.
            unsafe { ManuallyDrop::drop(&mut self.in_flight) };
            // SAFETY: as above.
            unsafe { ManuallyDrop::drop(&mut self.receive) };
        }
        for raw in self.real_sockets.drain() {
            // SAFETY: the set holds descriptors that came from accept or connect and that no close
            // has been submitted for: they are this driver's own.
            drop(unsafe { OwnedFd::from_raw_fd(raw) });
        }
    }
}

/// A slab's index as an id.
fn id(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 of anything")
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
