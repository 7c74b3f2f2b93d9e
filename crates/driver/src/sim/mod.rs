//! A seeded model of a kernel, with virtual time.
//!
//! [`Sim`] is a [`Driver`] like the others, and the code above it runs on it unchanged. It keeps the
//! promises of the trait and none beyond them: within these, a seed decides what is short, what
//! fails, what is late and in which order things complete. The same seed and the same calls give the
//! same run. What its user does wrong is recorded as a violation.
//!
//! A turn takes a microsecond. Beyond that, time only moves when there is nothing left to do at its
//! present value; then it jumps to whatever comes next.

mod faults;
mod files;
mod net;
mod progress;
#[cfg(test)]
mod tests;
mod timed;
mod world;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slab::Slab;

pub use self::faults::Faults;
pub use self::files::Files;
pub use self::net::{End, Net, Received};
use self::progress::{Needs, State};
pub use self::world::{Peer, World};
use crate::{
    Completion, Counters, Driver, Errno, Lease, Listener, Op, OpId, OpKind, Outcome, Owner, Socket,
    Time, Token, Waker,
};

/// What a turn takes: without it, a user that tries again at once would stop the time.
const TURN_TAKES: Duration = Duration::from_micros(1);
/// Connections that a simulated listener queues.
const BACKLOG: usize = 128;

/// The simulated driver.
pub struct Sim {
    world: Rc<RefCell<World>>,
    ops: Slab<InFlight>,
    /// Operations started so far: tells apart those that have used the same place.
    serial: u32,
    /// Operations submitted since everything that was submitted began.
    queued: usize,
    sockets: Slab<End>,
    files: Slab<OpenFile>,
    buffers: Vec<Buffer>,
    free_buffers: Vec<u32>,
    woken: Arc<AtomicBool>,
    counters: Counters,
}

/// An operation that has not given its last completion.
struct InFlight {
    serial: u32,
    token: Token,
    kind: OpKind,
    needs: Needs,
    state: State,
    is_cancelled: bool,
    /// Nothing will be added to `ready`.
    has_ended: bool,
    /// Completions that wait to be given, with the time from which on they can be.
    ready: VecDeque<(Time, Completion)>,
}

/// A file or directory that is open.
#[derive(Clone, Copy)]
struct OpenFile {
    inode: u64,
    /// Opened with `O_PATH`: there is nothing to be read.
    is_path: bool,
}

struct Buffer {
    bytes: Vec<u8>,
    is_leased: bool,
}

impl Sim {
    /// A kind and quick kernel.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_faults(seed, Faults::none())
    }

    /// A kernel that does to its user what `faults` says, as `seed` decides.
    #[must_use]
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        let count = faults.receive_buffers;
        Self {
            world: Rc::new(RefCell::new(World::new(seed, faults))),
            ops: Slab::new(),
            serial: 0,
            queued: 0,
            sockets: Slab::new(),
            files: Slab::new(),
            buffers: (0..count).map(|_| Buffer { bytes: Vec::new(), is_leased: false }).collect(),
            free_buffers: (0..u32::try_from(count).expect("few buffers")).rev().collect(),
            woken: Arc::new(AtomicBool::new(false)),
            counters: Counters::default(),
        }
    }

    /// The world that this driver is in.
    #[must_use]
    pub fn world(&self) -> Rc<RefCell<World>> {
        self.world.clone()
    }

    /// Listens on `address`, to be named in [`Op::Accept`].
    pub fn listen(&mut self, address: SocketAddr) -> Listener {
        Listener(self.world.borrow_mut().net.listen(address, BACKLOG))
    }

    /// What the user of this driver has not given back: operations, sockets, files, leases.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        let ops = self.ops.iter().map(|(_, op)| format!("{:?} of {:?}", op.kind, op.token));
        let sockets = self.sockets.iter().map(|(socket, _)| format!("socket {socket}"));
        let files = self.files.iter().map(|(file, _)| format!("file {file}"));
        let leased = self.buffers.iter().enumerate().filter(|(_, buffer)| buffer.is_leased);
        let leases = leased.map(|(id, _)| format!("lease of buffer {id}"));
        ops.chain(sockets).chain(files).chain(leases).collect()
    }

    /// Lets what has been submitted begin, if the queue has no room for one more: it and what is
    /// submitted from now on in this turn see the world at different moments.
    fn make_room(&mut self) {
        if self.queued >= self.world.borrow().faults.submission_entries {
            self.counters.enters += 1;
            self.queued = 0;
            self.progress();
        }
        self.queued += 1;
    }

    /// Gives due completions in a random order, those of one operation in their own.
    fn deliver(&mut self, completions: &mut Vec<Completion>) {
        let mut world = self.world.borrow_mut();
        let now = world.now();
        let mut due: Vec<usize> = Vec::new();
        for (key, op) in &self.ops {
            due.extend(op.ready.iter().filter(|(time, _)| *time <= now).map(|_| key));
        }
        world.rng.shuffle(&mut due);
        if due.len() > world.faults.completion_entries {
            self.counters.overflows += 1;
            due.truncate(world.faults.completion_entries);
        }
        due.truncate(world.faults.batch_max);
        for key in due {
            let op = &mut self.ops[key];
            let Some((_, completion)) = op.ready.pop_front() else { continue };
            if !completion.more {
                self.ops.remove(key);
            }
            self.counters.completed += 1;
            completions.push(completion);
        }
    }

    /// The next time at which an operation moves on by itself.
    fn next_due(&self) -> Option<Time> {
        let ready = self.ops.iter().filter_map(|(_, op)| Some(op.ready.front()?.0));
        let timed = self.ops.iter().filter_map(|(_, op)| op.state.due());
        ready.chain(timed).min()
    }

    fn complete_wake(&mut self, completions: &mut Vec<Completion>) {
        if self.woken.swap(false, Ordering::Acquire) {
            let token = Token::new(Owner::Control, 0, 0);
            let result = Ok(Outcome::Woken);
            completions.push(Completion { token, kind: OpKind::Wake, more: true, result });
        }
    }

    /// The connection behind `socket`; using one that is not open is a violation.
    fn end(&self, socket: Socket, kind: OpKind) -> Result<End, Errno> {
        self.sockets.get(socket.0 as usize).copied().ok_or_else(|| {
            self.world.borrow_mut().violation(format_args!("{kind:?} on closed {socket:?}"));
            Errno::BADF
        })
    }

    /// The file behind `file`; using one that is not open is a violation.
    fn inode(&self, file: crate::File, kind: OpKind) -> Result<u64, Errno> {
        self.open_file(file, kind).map(|file| file.inode)
    }

    fn readable_inode(&self, file: crate::File) -> Result<u64, Errno> {
        let file = self.open_file(file, OpKind::Read)?;
        if file.is_path { Err(Errno::BADF) } else { Ok(file.inode) }
    }

    fn open_file(&self, file: crate::File, kind: OpKind) -> Result<OpenFile, Errno> {
        self.files.get(file.0 as usize).copied().ok_or_else(|| {
            self.world.borrow_mut().violation(format_args!("{kind:?} on closed {file:?}"));
            Errno::BADF
        })
    }
}

impl Driver for Sim {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn submit(&mut self, token: Token, op: Op) -> OpId {
        let kind = op.kind();
        self.make_room();
        let needs = Needs::of(&op);
        let state = self.start(op);
        self.serial += 1;
        self.counters.submitted += 1;
        let serial = self.serial;
        let key = self.ops.insert(InFlight {
            serial,
            token,
            kind,
            needs,
            state,
            is_cancelled: false,
            has_ended: false,
            ready: VecDeque::new(),
        });
        OpId((key as u64) << 32 | u64::from(serial))
    }

    fn cancel(&mut self, id: OpId) {
        let (key, serial) = ((id.0 >> 32) as usize, id.0 as u32);
        if let Some(op) = self.ops.get_mut(key).filter(|op| op.serial == serial) {
            op.is_cancelled = true;
        }
    }

    fn turn(&mut self, until: Option<Time>, completions: &mut Vec<Completion>) -> io::Result<()> {
        self.counters.enters += 1;
        let start = self.now() + TURN_TAKES;
        self.world.borrow_mut().set_time(start);
        self.queued = 0;
        loop {
            let next_act = self.world.borrow_mut().act();
            self.progress();
            self.complete_wake(completions);
            self.deliver(completions);
            let now = self.now();
            if !completions.is_empty() || until.is_some_and(|until| until <= now) {
                return Ok(());
            }
            let next_arrival = self.world.borrow().net.next_arrival();
            let next = [next_act, next_arrival, self.next_due(), until].into_iter().flatten().min();
            // Nothing will ever happen by itself: it is the caller's turn.
            let Some(next) = next else { return Ok(()) };
            self.world.borrow_mut().set_time(next.max(now));
        }
    }

    fn received(&self, lease: &Lease) -> &[u8] {
        &self.buffers[lease.id as usize].bytes[..lease.len as usize]
    }

    fn release(&mut self, lease: Lease) {
        let buffer = &mut self.buffers[lease.id as usize];
        if buffer.is_leased {
            buffer.is_leased = false;
            // Whoever looks at it again is to notice.
            buffer.bytes.fill(0xdd);
            self.free_buffers.push(lease.id);
        } else {
            self.world.borrow_mut().violation(format_args!("buffer {} given back twice", lease.id));
        }
    }

    fn now(&self) -> Time {
        self.world.borrow().now()
    }

    fn unix_time(&self) -> Duration {
        self.world.borrow().unix_time()
    }

    fn waker(&self) -> Waker {
        let woken = self.woken.clone();
        Waker::new(move || woken.store(true, Ordering::Release))
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
