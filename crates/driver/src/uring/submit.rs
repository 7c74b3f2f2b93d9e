//! Submitting: one entry, or the first of several, for each operation.

use std::ffi::CString;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

use io_uring::squeue;
use libc::iovec;
use socket2::{SockAddr, SockAddrStorage};

use super::features::Feature;
use super::in_flight::{self, ConnectStage, Hold, UserData};
use super::prepare::{self, Descriptor, IPV4_BYTES};
use super::ring::Wait;
use super::{REAL, Uring, errno};
use crate::wake::Wake;
use crate::{
    Completion, Errno, File, Listener, OpId, OpKind, OpenHow, Outcome, Outgoing, Socket, Token,
    socket,
};

impl Uring {
    /// Queues an entry, handing older ones to the kernel if there is no room.
    ///
    /// # Safety
    /// As for [`super::ring::Ring::push`].
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
    pub(super) fn push_plain(&mut self, entry: squeue::Entry, data: UserData) -> OpId {
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

    pub(super) fn accept(&mut self, token: Token, listener: Listener, once: bool) -> OpId {
        let multishot = self.features.has(Feature::MultishotAccept) && !once;
        let direct = self.features.has(Feature::DirectDescriptors);
        let raw = self.listeners[listener.0 as usize].as_raw_fd();
        let entry = prepare::accept(raw, multishot, direct);
        self.push_plain(entry, UserData::of_token(OpKind::Accept, token))
    }

    pub(super) fn receive(&mut self, token: Token, socket: Socket) -> OpId {
        let (kind, descriptor) = (OpKind::Receive, Self::descriptor(socket));
        if self.features.has(Feature::ProvidedBuffers) {
            let entry = if self.features.has(Feature::MultishotReceive) {
                prepare::receive_multishot(descriptor)
            } else {
                prepare::receive_provided(descriptor, self.receive.buffer_bytes())
            };
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

    pub(super) fn send(&mut self, token: Token, socket: Socket, outgoing: Outgoing) -> OpId {
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

    pub(super) fn connect(&mut self, token: Token, to: SocketAddr, from: Option<IpAddr>) -> OpId {
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
    pub(super) fn connect_installed(&mut self, data: UserData) {
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

    pub(super) fn peer_name(&mut self, token: Token, socket: Socket) -> OpId {
        let (kind, descriptor) = (OpKind::PeerName, Self::descriptor(socket));
        match descriptor {
            _ if self.features.has(Feature::SocketCommands) => {
                self.ask_peer_name(token, descriptor, IPV4_BYTES)
            }
            Descriptor::Direct(_) => self.fail(token, kind, Errno::OPNOTSUPP),
            // A plain system call that never blocks.
            Descriptor::Real(raw) => {
                let result = socket::peer_name(raw);
                self.finish(token, kind, result.map(Outcome::PeerName))
            }
        }
    }

    pub(super) fn ask_peer_name(&mut self, token: Token, socket: Descriptor, bytes: u32) -> OpId {
        let mut room = Box::new(SockAddrStorage::zeroed());
        let entry = prepare::peer_name(socket, &mut room, bytes);
        let hold = Hold::PeerName { socket, room };
        let data = self.in_flight.insert(token, OpKind::PeerName, hold);
        // SAFETY: the room is a box of the hold.
        unsafe { self.push_kept(entry, data) }
    }

    pub(super) fn open(&mut self, token: Token, path: CString, how: OpenHow) -> OpId {
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

    pub(super) fn stat(&mut self, token: Token, file: File) -> OpId {
        let raw = self.raw_file(file);
        let mut answer = prepare::empty_statx();
        let entry = prepare::stat(raw, &mut answer);
        let data = self.in_flight.insert(token, OpKind::Stat, Hold::Stat(answer));
        // SAFETY: the answer is a box of the hold; the empty path is static.
        unsafe { self.push_kept(entry, data) }
    }

    pub(super) fn read(
        &mut self,
        token: Token,
        file: File,
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

    pub(super) fn close(&mut self, token: Token, socket: Socket) -> OpId {
        let descriptor = Self::descriptor(socket);
        if let Descriptor::Real(raw) = descriptor {
            assert!(self.real_sockets.remove(&raw), "{socket:?}: closed once");
        }
        self.push_plain(prepare::close(descriptor), UserData::of_token(OpKind::Close, token))
    }

    pub(super) fn close_file(&mut self, token: Token, file: File) -> OpId {
        let raw = self.files.remove(file.0 as usize).into_raw_fd();
        let entry = prepare::close(Descriptor::Real(raw));
        self.push_plain(entry, UserData::of_token(OpKind::CloseFile, token))
    }

    /// Arms the operation that waits for the eventfd.
    pub(super) fn arm_wake(&mut self) {
        let mut count = Box::new([0; 8]);
        let entry = prepare::read_count(self.wake.event().as_fd().as_raw_fd(), &mut count);
        let data = self.in_flight.insert(Wake::token(), OpKind::Wake, Hold::Wake(count));
        // SAFETY: the count is a box of the hold.
        unsafe { self.push_kept(entry, data) };
    }

    pub(super) fn descriptor(socket: Socket) -> Descriptor {
        if socket.0 & REAL == 0 {
            Descriptor::Direct(socket.0)
        } else {
            Descriptor::Real((socket.0 & !REAL).cast_signed())
        }
    }

    fn raw_file(&self, file: File) -> RawFd {
        self.files[file.0 as usize].as_raw_fd()
    }

    /// Completes an operation in the next turn that the kernel never sees.
    fn finish(&mut self, token: Token, kind: OpKind, result: Result<Outcome, Errno>) -> OpId {
        self.ready.push(Completion { token, kind, more: false, result });
        OpId(UserData::IGNORED.0)
    }

    fn fail(&mut self, token: Token, kind: OpKind, errno: Errno) -> OpId {
        self.finish(token, kind, Err(errno))
    }
}

fn vector(part: &[u8]) -> iovec {
    iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() }
}
