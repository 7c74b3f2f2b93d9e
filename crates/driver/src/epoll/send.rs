//! Sending.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use super::Epoll;
use super::sockets::{Armed, Sending};
use super::source::Source;
use crate::{Completion, Errno, OpId, OpKind, Outcome, Outgoing, Socket, Token};

impl Epoll {
    /// Sends at once what there is room for; the rest goes out as the peer makes room.
    pub(super) fn send(&mut self, token: Token, socket: Socket, outgoing: Outgoing) -> OpId {
        let Some(state) = self.sockets.get(socket.0) else {
            return self.fail(token, OpKind::Send, Errno::BADF);
        };
        assert!(state.send.is_none(), "{socket:?}: a second send");
        let id = self.names.next(Source::Socket(socket.0));
        state.send = Some(Sending { armed: Armed { token, id }, before: outgoing.sent, outgoing });
        let completion = self.send_some(socket.0);
        self.ready.extend(completion);
        id
    }

    /// Goes on with the send that is armed, if there is one; its completion, if this ends it.
    pub(super) fn send_some(&mut self, number: u32) -> Option<Completion> {
        let state = self.sockets.get(number)?;
        let sending = state.send.as_mut()?;
        while state.writable {
            self.counters.enters += 1;
            match write(&state.fd, &sending.outgoing) {
                Ok(sent) => {
                    sending.outgoing.sent += sent;
                    if sending.outgoing.remaining() == 0 {
                        return state.send.take().map(|sending| sending.end(Errno::CANCELED));
                    }
                    // The kernel took less than it was offered: it has no more room, and an event
                    // will tell when it has.
                    state.writable = false;
                }
                Err(Errno::AGAIN) => state.writable = false,
                Err(Errno::INTR) => {}
                Err(errno) => return state.send.take().map(|sending| sending.end(errno)),
            }
        }
        None
    }
}

impl Sending {
    /// The completion of a send that goes no further: with what was sent, if all of it was or at
    /// least something, as io_uring does; with `errno` if nothing.
    pub(super) fn end(self, errno: Errno) -> Completion {
        let is_all = self.outgoing.remaining() == 0;
        let result = if is_all || self.outgoing.sent > self.before {
            Ok(Outcome::Sent(self.outgoing))
        } else {
            Err(errno)
        };
        self.armed.complete(OpKind::Send, false, result)
    }
}

/// One system call, with both parts if there are two.
fn write(socket: &OwnedFd, outgoing: &Outgoing) -> Result<usize, Errno> {
    let flags = SendFlags::NOSIGNAL;
    match outgoing.unsent() {
        (one, []) | ([], one) => send(socket, one, flags),
        (first, second) => {
            let parts = [first, second].map(IoSlice::new);
            sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), flags)
        }
    }
}
