//! The driver on epoll.
//!
//! A good event loop of the kind that io_uring replaces: every socket is registered once, for both
//! directions and edge-triggered; what the kernel has said of it is remembered, so that sends go
//! out at once and nothing is tried in vain; one epoll_wait per turn. Whatever epoll cannot wait
//! for, files above all, runs on a pool of threads.

mod accept;
mod connect;
mod files;
mod receive;
mod send;
mod sockets;
mod source;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventFlags};
use slab::Slab;

use self::accept::Listening;
use self::files::Answer;
use self::receive::ReceiveBuffers;
use self::sockets::Sockets;
use self::source::{Names, Source};
use crate::pool::Pool;
use crate::wake::Wake;
use crate::{
    Clock, Completion, Counters, Driver, Errno, Lease, Op, OpId, OpKind, Settings, Time, Token,
    Waker,
};

/// How many events one wait may bring.
const EVENTS_AT_ONCE: usize = 512;

/// The driver on epoll.
pub struct Epoll {
    epoll: OwnedFd,
    events: Vec<Event>,
    sockets: Sockets,
    listeners: Slab<Listening>,
    buffers: ReceiveBuffers,
    names: Names,
    /// Sources that are ready and have an operation waiting, of which no event will tell again.
    left_over: VecDeque<Source>,
    /// Completions at hand before the next wait.
    ready: Vec<Completion>,
    files: Slab<Arc<OwnedFd>>,
    pool: Pool<Answer>,
    jobs: Slab<(Token, OpKind)>,
    wake: Wake,
    /// What made the driver unusable, until `turn` can tell it.
    broken: Option<io::Error>,
    clock: Clock,
    now: Time,
    counters: Counters,
}

impl Epoll {
    /// Makes an epoll for this thread.
    ///
    /// # Errors
    /// That there is too little memory or too few open files for it.
    pub fn new(settings: &Settings) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = Wake::new()?;
        let interest = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, wake.event(), Source::Wake.data(), interest)?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS_AT_ONCE),
            sockets: Sockets::default(),
            listeners: Slab::new(),
            buffers: ReceiveBuffers::new(settings.receive_buffers, settings.receive_buffer_bytes)?,
            names: Names::default(),
            left_over: VecDeque::new(),
            ready: Vec::new(),
            files: Slab::new(),
            pool: Pool::new(settings.offload_threads, wake.event().clone()),
            jobs: Slab::new(),
            wake,
            broken: None,
            clock: Clock,
            now: Clock.now(),
            counters: Counters::default(),
        })
    }

    /// Goes on where the last turn stopped for the sake of others, or where an operation was
    /// submitted for something that was ready before.
    fn go_on(&mut self, completions: &mut Vec<Completion>) {
        // What is left over once more waits for the next turn.
        for _ in 0..self.left_over.len() {
            match self.left_over.pop_front() {
                Some(Source::Socket(number)) => self.receive_some(number, completions),
                Some(Source::Listener(index)) => self.accept_some(index, completions),
                Some(Source::Wake) | None => {}
            }
        }
    }

    /// The eventfd was signalled, by a waker or by the pool.
    fn woken(&mut self, completions: &mut Vec<Completion>) {
        self.wake.event().clear();
        self.take_results(completions);
        completions.extend(self.wake.take());
    }

    /// Waits, and notes what the kernel tells.
    fn wait(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        self.counters.enters += 1;
        let at_most = at_most.map(|at_most| Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        });
        self.events.clear();
        let room = spare_capacity(&mut self.events);
        match epoll::wait(self.epoll.as_fd(), room, at_most.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Driver for Epoll {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn submit(&mut self, token: Token, op: Op) -> OpId {
        self.counters.submitted += 1;
        match op {
            Op::Accept { listener, once } => self.accept(token, listener, once),
            Op::Receive { socket } => self.receive(token, socket),
            Op::Send { socket, outgoing } => self.send(token, socket, outgoing),
            Op::Connect { to, from } => self.connect(token, to, from),
            Op::PeerName { socket } => self.peer_name(token, socket),
            Op::Shutdown { socket } => self.shutdown(token, socket),
            Op::Close { socket } => self.close(token, socket),
            Op::Open { path, how } => self.open(token, path, how),
            Op::Stat { file } => self.stat(token, file),
            Op::Read { file, offset, buffer, len } => self.read(token, file, offset, buffer, len),
            Op::CloseFile { file } => self.close_file(token, file),
            Op::Offload(job) => self.offload(token, job),
        }
    }

    fn cancel(&mut self, id: OpId) {
        match Source::of_name(id) {
            Source::Socket(number) => self.cancel_on_socket(number, id),
            Source::Listener(index) => self.cancel_accept(index, id),
            Source::Wake => {}
        }
    }

    fn turn(&mut self, until: Option<Time>, completions: &mut Vec<Completion>) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let before = completions.len();
        completions.append(&mut self.ready);
        self.go_on(completions);
        let is_idle = completions.len() == before && self.left_over.is_empty();
        self.wait(match until {
            _ if !is_idle => Some(Duration::ZERO),
            Some(until) => Some(until.since(self.clock.now())),
            None => None,
        })?;
        self.now = self.clock.now();
        let events = mem::take(&mut self.events);
        for event in &events {
            match Source::of_data(event.data) {
                Source::Socket(number) => self.socket_event(number, event.flags, completions),
                Source::Listener(index) => self.listener_event(index, completions),
                Source::Wake => self.woken(completions),
            }
        }
        self.events = events;
        self.counters.completed += (completions.len() - before) as u64;
        Ok(())
    }

    #[inline]
    fn received(&self, lease: &Lease) -> &[u8] {
        self.buffers.bytes(lease)
    }

    #[inline]
    fn release(&mut self, lease: Lease) {
        self.buffers.release(lease.id);
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

/// A slab's index as an id.
fn id(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 of anything")
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
