//! The sockets of an epoll driver: what is known of each, and what waits for it.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, EventFlags};
use rustix::net::{Shutdown, shutdown};

use super::Epoll;
use super::source::Source;
use crate::{Completion, Errno, OpId, OpKind, Outcome, Outgoing, Socket, Token, socket};

/// What every socket is registered for, once: an event comes when one of these begins, and is
/// remembered until the socket itself says otherwise.
const INTEREST: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::PRI)
    .union(EventFlags::ET);

const READABLE: EventFlags =
    EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::HUP).union(EventFlags::ERR);

const WRITABLE: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);

/// With one of these, a short read does not mean that there is nothing more to be read.
const HIDING_MORE: EventFlags =
    EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR).union(EventFlags::PRI);

/// An operation that waits for its source to become ready.
#[derive(Clone, Copy)]
pub(super) struct Armed {
    pub(super) token: Token,
    pub(super) id: OpId,
}

impl Armed {
    /// A completion of it.
    pub(super) fn complete(
        self,
        kind: OpKind,
        more: bool,
        result: Result<Outcome, Errno>,
    ) -> Completion {
        Completion { token: self.token, kind, more, result }
    }
}

/// A send that waits for room.
pub(super) struct Sending {
    pub(super) armed: Armed,
    pub(super) outgoing: Outgoing,
    /// How much had been sent before this operation.
    pub(super) before: usize,
}

/// One socket.
pub(super) struct SocketState {
    pub(super) fd: OwnedFd,
    /// A read may give something.
    pub(super) readable: bool,
    /// A write may take something.
    pub(super) writable: bool,
    /// What comes with the bytes that can be read makes no event of its own: read until told that
    /// there is nothing more.
    pub(super) hides_more: bool,
    pub(super) connect: Option<Armed>,
    pub(super) receive: Option<Armed>,
    pub(super) send: Option<Sending>,
}

/// All sockets, by their descriptors.
#[derive(Default)]
pub(super) struct Sockets(Vec<Option<SocketState>>);

impl Sockets {
    /// Takes a new socket; the number is its descriptor's.
    fn insert(&mut self, fd: OwnedFd) -> (u32, &SocketState) {
        let number = fd.as_raw_fd().cast_unsigned();
        let index = number as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        let state = self.0[index].insert(SocketState {
            fd,
            readable: false,
            writable: true,
            hides_more: false,
            connect: None,
            receive: None,
            send: None,
        });
        (number, state)
    }

    #[inline]
    pub(super) fn get(&mut self, number: u32) -> Option<&mut SocketState> {
        self.0.get_mut(number as usize)?.as_mut()
    }

    /// Forgets a socket; dropping what is returned closes it.
    pub(super) fn remove(&mut self, number: u32) -> Option<SocketState> {
        self.0.get_mut(number as usize)?.take()
    }
}

impl Epoll {
    /// Takes a new non-blocking socket and registers it, for as long as it is open.
    pub(super) fn adopt(&mut self, fd: OwnedFd) -> Result<u32, Errno> {
        let (number, state) = self.sockets.insert(fd);
        self.counters.enters += 1;
        let data = Source::Socket(number).data();
        match epoll::add(&self.epoll, &state.fd, data, INTEREST) {
            Ok(()) => Ok(number),
            Err(errno) => {
                self.sockets.remove(number);
                Err(errno)
            }
        }
    }

    /// Remembers what an event says of a socket, and does what waited for it.
    pub(super) fn socket_event(
        &mut self,
        number: u32,
        flags: EventFlags,
        completions: &mut Vec<Completion>,
    ) {
        let Some(state) = self.sockets.get(number) else {
            return;
        };
        state.readable |= flags.intersects(READABLE);
        state.writable |= flags.intersects(WRITABLE);
        state.hides_more = flags.intersects(HIDING_MORE);
        if state.connect.is_some() {
            if flags.intersects(WRITABLE) {
                completions.extend(self.finish_connect(number));
            }
            return;
        }
        completions.extend(self.send_some(number));
        self.receive_some(number, completions);
    }

    pub(super) fn peer_name(&mut self, token: Token, socket: Socket) -> OpId {
        self.at_once(token, OpKind::PeerName, socket, |fd| {
            socket::peer_name(fd.as_raw_fd()).map(Outcome::PeerName)
        })
    }

    pub(super) fn shutdown(&mut self, token: Token, socket: Socket) -> OpId {
        self.at_once(token, OpKind::Shutdown, socket, |fd| {
            shutdown(fd, Shutdown::Write).map(|()| Outcome::Done)
        })
    }

    /// Closes at once, and completes in the next turn.
    pub(super) fn close(&mut self, token: Token, socket: Socket) -> OpId {
        self.counters.enters += 1;
        let Some(state) = self.sockets.remove(socket.0) else {
            return self.fail(token, OpKind::Close, Errno::BADF);
        };
        let is_idle = state.receive.is_none() && state.send.is_none();
        assert!(is_idle, "{socket:?}: closed with operations in flight");
        self.finish(token, OpKind::Close, Ok(Outcome::Done))
    }

    /// An operation that never waits.
    fn at_once(
        &mut self,
        token: Token,
        kind: OpKind,
        socket: Socket,
        call: impl FnOnce(&OwnedFd) -> Result<Outcome, Errno>,
    ) -> OpId {
        self.counters.enters += 1;
        let state = self.sockets.get(socket.0).ok_or(Errno::BADF);
        let result = state.and_then(|state| call(&state.fd));
        self.finish(token, kind, result)
    }

    /// Ends the operation of that name, if the socket still has it.
    pub(super) fn cancel_on_socket(&mut self, number: u32, id: OpId) {
        let Some(state) = self.sockets.get(number) else {
            return;
        };
        let is_it = |armed: &mut Armed| armed.id == id;
        let canceled = Err(Errno::CANCELED);
        if let Some(armed) = state.receive.take_if(is_it) {
            self.ready.push(armed.complete(OpKind::Receive, false, canceled));
        } else if let Some(sending) = state.send.take_if(|sending| sending.armed.id == id) {
            // There may be some room: the kernel tells of it only when a third of the buffer is
            // free. Whoever sends the rest is to find out, as on io_uring.
            state.writable = true;
            self.ready.push(sending.end(Errno::CANCELED));
        } else if let Some(armed) = state.connect.take_if(is_it) {
            self.sockets.remove(number);
            self.ready.push(armed.complete(OpKind::Connect, false, canceled));
        }
    }
}
