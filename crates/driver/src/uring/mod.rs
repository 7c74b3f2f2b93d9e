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

use std::collections::HashSet;
use std::io;
use std::mem::ManuallyDrop;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::squeue;
use libc::iovec;
use slab::Slab;
use socket2::{SockAddr, SockAddrStorage};

pub use self::features::{Feature, Features, SetupError, probe};
use self::in_flight::{ConnectStage, FollowUp, Hold, InFlight, UserData};
use self::prepare::{Descriptor, IPV4_BYTES, IPV6_BYTES};
use self::receive::ReceiveBuffers;
use self::ring::{Ring, Wait};
use crate::pool::Pool;
use crate::wake::Wake;
use crate::{
    Clock, Completion, Counters, Driver, Errno, JobResult, Lease, Listener, Op, OpId, OpKind,
    OpenHow, Outgoing, Socket, Time, Token, Waker, socket,
};

/// Marks a [`Socket`] that is a descriptor of the process and not a place in the ring's table.
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

    /// Queues an entry, handing older ones to the kernel if there is no room.
    ///
    /// # Safety
    /// As for [`Ring::push`].
    unsafe fn push(&mut self, entry: &squeue::Entry) {
        self.requests += 1;
        self.counters.submitted += 1;
        // SAFETY: the caller's promise.
        while !unsafe { self.ring.push(entry) } {
            self.flush();
            if self.broken.is_some() {
                // The entry never reaches the kernel; the next turn tells the caller.
                return;
            }
        }
    }

    /// Queues an entry for an operation that keeps memory in `in_flight`.
    ///
    /// # Safety
    /// The entry may name only memory that belongs to `data`'s hold.
    unsafe fn push_kept(&mut self, entry: squeue::Entry, data: UserData) -> OpId {
        // SAFETY: what `entry` names stays in place until `complete` removes the hold, which is at
        // the last completion.
        unsafe { self.push(&entry.user_data(data.0)) };
        OpId(data.0)
    }

    /// Queues an entry that names no memory but the provided buffers.
    fn push_plain(&mut self, entry: squeue::Entry, data: UserData) -> OpId {
        // SAFETY: such an entry names no memory, or the group of provided buffers, which live as
        // long as the ring.
        unsafe { self.push(&entry.user_data(data.0)) };
        OpId(data.0)
    }

    /// Hands what is queued to the kernel without waiting, in mid-turn.
    fn flush(&mut self) {
        self.queued_bytes = 0;
        self.counters.enters += 1;
        if let Err(error) = self.ring.enter(Wait::No) {
            self.broken = Some(error);
        }
        if self.ring.is_overflowing() {
            let mut ready = std::mem::take(&mut self.ready);
            self.reap(&mut ready, usize::MAX);
            self.ready = ready;
        }
    }

    fn descriptor(socket: Socket) -> Descriptor {
        if socket.0 & REAL == 0 {
            Descriptor::Direct(socket.0)
        } else {
            Descriptor::Real((socket.0 & !REAL).cast_signed())
        }
    }

    fn raw_file(&self, file: crate::File) -> RawFd {
        self.files[file.0 as usize].as_raw_fd()
    }

    fn accept(&mut self, token: Token, listener: Listener) -> OpId {
        let multishot = self.features.has(Feature::MultishotAccept);
        let direct = self.features.has(Feature::DirectDescriptors);
        let raw = self.listeners[listener.0 as usize].as_raw_fd();
        let entry = prepare::accept(raw, multishot, direct);
        self.push_plain(entry, UserData::of_token(OpKind::Accept, token))
    }

    fn receive(&mut self, token: Token, socket: Socket) -> OpId {
        let (kind, descriptor) = (OpKind::Receive, Self::descriptor(socket));
        if self.features.has(Feature::ProvidedBuffers) {
            let multishot = self.features.has(Feature::MultishotReceive);
            let entry = prepare::receive_provided(descriptor, multishot);
            return self.push_plain(entry, UserData::of_token(kind, token));
        }
        let Some((buffer, address, len)) = self.receive.take() else {
            self.counters.out_of_buffers += 1;
            return self.fail(token, kind, Errno::NOBUFS);
        };
        let data = self.in_flight.insert(token, kind, Hold::Receive { buffer });
        // SAFETY: the buffer is the operation's until `complete` makes a lease of it.
        unsafe { self.push_kept(prepare::receive(descriptor, address, len), data) }
    }

    fn send(&mut self, token: Token, socket: Socket, outgoing: Outgoing) -> OpId {
        let descriptor = Self::descriptor(socket);
        self.queued_bytes += outgoing.remaining();
        let data = self.in_flight.insert(token, OpKind::Send, Hold::Send(outgoing));
        let vectorized = self.features.has(Feature::VectorizedSend);
        let entry = self.in_flight.get(data).expect("just inserted");
        let Hold::Send(outgoing) = &entry.hold else { unreachable!("just inserted") };
        let prepared = match outgoing.unsent() {
            (one, []) | ([], one) => prepare::send(descriptor, one),
            (first, second) => {
                entry.vectors = [first, second].map(vector);
                if vectorized {
                    prepare::send_vectorized(descriptor, &entry.vectors)
                } else {
                    entry.header.msg_iov = entry.vectors.as_mut_ptr();
                    // `usize` in glibc, `int` in musl.
                    entry.header.msg_iovlen = entry.vectors.len() as _;
                    prepare::send_message(descriptor, &entry.header)
                }
            }
        };
        // SAFETY: bytes, vectors and header lie in the hold or beside it in the same entry, and
        // nobody touches them before `complete`.
        let id = unsafe { self.push_kept(prepared, data) };
        if self.batch_bytes != 0 && self.queued_bytes >= self.batch_bytes {
            self.flush();
        }
        id
    }

    fn connect(
        &mut self,
        token: Token,
        to: std::net::SocketAddr,
        from: Option<std::net::IpAddr>,
    ) -> OpId {
        let kind = OpKind::Connect;
        let socket = match socket::client(to, from) {
            Ok(socket) => OwnedFd::from(socket),
            Err(error) => return self.fail(token, kind, errno(&error)),
        };
        let address = Box::new(SockAddr::from(to));
        if self.features.has(Feature::DirectDescriptors) {
            let place = Box::new(socket.as_raw_fd());
            let stage = ConnectStage::Installing { socket, place, cancelled: false };
            let data = self.in_flight.insert(token, kind, Hold::Connect { stage, address });
            let Hold::Connect { stage: ConnectStage::Installing { place, .. }, .. } =
                &mut self.in_flight.get(data).expect("just inserted").hold
            else {
                unreachable!("just inserted")
            };
            let entry = prepare::install(place);
            // SAFETY: the number lies in a box of the hold.
            return unsafe { self.push_kept(entry, data) };
        }
        let descriptor = Descriptor::Real(socket.as_raw_fd());
        let stage = ConnectStage::Real(socket);
        let entry = prepare::connect(descriptor, &address);
        let data = self.in_flight.insert(token, kind, Hold::Connect { stage, address });
        // SAFETY: the address lies in a box of the hold.
        unsafe { self.push_kept(entry, data) }
    }

    /// Connects a socket that has been moved into the ring's table.
    fn connect_installed(&mut self, data: UserData) {
        let Some(in_flight::Entry {
            hold: Hold::Connect { stage: ConnectStage::Direct(place), address },
            ..
        }) = self.in_flight.get(data)
        else {
            unreachable!("only `complete_install` asks for it")
        };
        let entry = prepare::connect(Descriptor::Direct(*place), address);
        // SAFETY: the address lies in a box of the hold.
        unsafe { self.push_kept(entry, data) };
    }

    fn peer_name(&mut self, token: Token, socket: Socket) -> OpId {
        let (kind, descriptor) = (OpKind::PeerName, Self::descriptor(socket));
        match descriptor {
            _ if self.features.has(Feature::PeerNames) => {
                self.ask_peer_name(token, descriptor, IPV4_BYTES)
            }
            Descriptor::Direct(_) => self.fail(token, kind, Errno::OPNOTSUPP),
            // A plain system call that never blocks.
            Descriptor::Real(raw) => {
                let result = socket::peer_name(raw);
                self.finish(token, kind, result.map(crate::Outcome::PeerName))
            }
        }
    }

    fn ask_peer_name(&mut self, token: Token, socket: Descriptor, bytes: u32) -> OpId {
        let mut room = Box::new(SockAddrStorage::zeroed());
        let entry = prepare::peer_name(socket, &mut room, bytes);
        let hold = Hold::PeerName { socket, room };
        let data = self.in_flight.insert(token, OpKind::PeerName, hold);
        // SAFETY: the room is a box of the hold.
        unsafe { self.push_kept(entry, data) }
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

    fn open(&mut self, token: Token, path: std::ffi::CString, how: OpenHow) -> OpId {
        let directory = match how {
            OpenHow::Root => libc::AT_FDCWD,
            OpenHow::Beneath(root) => self.raw_file(root),
        };
        let hold = Hold::Open { path, how: Box::new(prepare::open_how(how)) };
        let data = self.in_flight.insert(token, OpKind::Open, hold);
        let entry = match &self.in_flight.get(data).expect("just inserted").hold {
            Hold::Open { path, how } => prepare::open(directory, path, how),
            _ => unreachable!("just inserted"),
        };
        // SAFETY: path and `open_how` lie on the heap and belong to the hold.
        unsafe { self.push_kept(entry, data) }
    }

    fn stat(&mut self, token: Token, file: crate::File) -> OpId {
        let raw = self.raw_file(file);
        let mut answer = prepare::empty_statx();
        let entry = prepare::stat(raw, &mut answer);
        let data = self.in_flight.insert(token, OpKind::Stat, Hold::Stat(answer));
        // SAFETY: the answer is a box of the hold; the empty path is static.
        unsafe { self.push_kept(entry, data) }
    }

    fn read(
        &mut self,
        token: Token,
        file: crate::File,
        offset: u64,
        mut buffer: Vec<u8>,
        len: usize,
    ) -> OpId {
        buffer.reserve(len);
        let entry = prepare::read(self.raw_file(file), offset, &mut buffer, len);
        let data = self.in_flight.insert(token, OpKind::Read, Hold::Read(buffer));
        // SAFETY: the kernel writes to spare capacity of the hold's buffer, which does not move.
        unsafe { self.push_kept(entry, data) }
    }

    fn close(&mut self, token: Token, socket: Socket) -> OpId {
        let descriptor = Self::descriptor(socket);
        if let Descriptor::Real(raw) = descriptor {
            self.real_sockets.remove(&raw);
        }
        self.push_plain(prepare::close(descriptor), UserData::of_token(OpKind::Close, token))
    }

    fn close_file(&mut self, token: Token, file: crate::File) -> OpId {
        let raw = self.files.remove(file.0 as usize).into_raw_fd();
        let entry = prepare::close(Descriptor::Real(raw));
        self.push_plain(entry, UserData::of_token(OpKind::CloseFile, token))
    }

    /// Completes an operation in the next turn that the kernel never sees.
    fn finish(
        &mut self,
        token: Token,
        kind: OpKind,
        result: Result<crate::Outcome, Errno>,
    ) -> OpId {
        self.ready.push(Completion { token, kind, more: false, result });
        OpId(UserData::IGNORED.0)
    }

    fn fail(&mut self, token: Token, kind: OpKind, errno: Errno) -> OpId {
        self.finish(token, kind, Err(errno))
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

    /// Arms the operation that waits for the eventfd.
    fn arm_wake(&mut self) {
        let mut count = Box::new([0; 8]);
        let entry = prepare::read_count(self.wake.event().as_fd().as_raw_fd(), &mut count);
        let data = self.in_flight.insert(Wake::token(), OpKind::Wake, Hold::Wake(count));
        // SAFETY: the count is a box of the hold.
        unsafe { self.push_kept(entry, data) };
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
            Op::Accept { listener } => self.accept(token, listener),
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
        let is_quiet = !std::thread::panicking() && self.quiesce();
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

fn vector(part: &[u8]) -> iovec {
    iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() }
}

/// A slab's index as an id.
fn id(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 of anything")
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
